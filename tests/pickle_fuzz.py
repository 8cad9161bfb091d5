"""Random and altered pickles and archives, to show that the inert reader never runs anything.

``python tests/pickle_fuzz.py --count 1000000`` prints the rate, the slowest file and the memory.
"""

from __future__ import annotations

import argparse
import codecs
import io
import json
import pickle
import random
import resource
import struct
import sys
import tempfile
import time
import types
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from pickletools import genops
from typing import Any

import numpy as np
import torch
from torch import nn

from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures.recognition import recognize_classifier
from napari_quac.networks.checkpoint_content import find_groups
from napari_quac.networks.checkpoint_facts import collect_facts, metadata_of
from napari_quac.networks.checkpoint_file import read_checkpoint
from napari_quac.networks.inert_pickle import read_pickle
from napari_quac.networks.inert_values import BUILDERS, InertPickleError
from napari_quac.networks.weights_choice import choose_weights

CANARY = "canary_of_pickles"
CANARIES = (
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "exec"),
    ("builtins", "__import__"), ("builtins", "getattr"), ("builtins", "open"),
    ("subprocess", "Popen"), ("importlib", "import_module"), ("runpy", "run_path"),
    (CANARY, "touch"), (CANARY, "Trap"), ("canary_never_imported", "touch"),
    ("torch.storage", "_load_from_bytes"), ("torch", "load"), ("pickle", "loads"),
    ("numpy", "load"), ("copyreg", "_reconstructor"), ("functools", "partial"),
)  # fmt: skip
FILE_EVERY = 20
TOUCHED: list[str] = []
ALLOWED_EVENTS = {
    "mmap.__new__", "object.__getattr__", "builtins.id", "os.listdir", "os.scandir",
    "sys._getframe", "array.__new__", "gc.get_objects",
}  # fmt: skip


class Trap:
    """A class that records every way in which a reader could touch it."""

    def __new__(cls, *_: Any, **__: Any) -> Trap:
        TOUCHED.append("new")
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None:
        TOUCHED.append("setstate")

    def __reduce__(self) -> Any:
        TOUCHED.append("reduce")
        return Trap, ()


class Small(nn.Module):
    """A network of an unknown class."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def saved(content: Any, old: bool = False) -> bytes:
    """Return the bytes that ``torch.save`` writes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(content, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


def seeds() -> tuple[list[bytes], list[bytes]]:
    """Return pickles, and files, as training scripts write them."""
    torch.manual_seed(0)
    network = Small()
    optimizer = torch.optim.Adam(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.quint8)
    contents: list[Any] = [
        network.state_dict(),
        {"model_state_dict": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3,
         "loss": torch.tensor(0.3), "args": argparse.Namespace(lr=1, path=Path("a/b"))},
        {"state_dict": {f"model.{k}": v for k, v in network.state_dict().items()},
         "hyper_parameters": {"class_to_idx": {"b": 1, "a": 0}, "mean": np.array([0.5])},
         "ema": {k: v.half() for k, v in network.state_dict().items()}},
        network,
        nn.Sequential(nn.Linear(4, 3)),
        {"q": quantized, "s": torch.eye(3).to_sparse(), "n": np.float64(3), "c": 1 + 2j,
         "weights": {"w": torch.rand(2, 2).bfloat16()}},
    ]  # fmt: skip
    files = [saved(content, old) for content in contents for old in (False, True)]
    files += [pickle.dumps(content, protocol) for content in contents for protocol in (2, 4, 5)]
    pickles = [pickle.dumps({"a": [1, {2, 3}, (4, 5.5, None, True)], b"k": Path("x")}, p)
               for p in range(6)]  # fmt: skip
    for content in files:
        if content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                pickles.append(archive.read("archive/data.pkl"))
        else:
            pickles.append(content)
    return pickles, files


class Fuzzer:
    """Random pickles and files.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pickles, self.files = seeds()
        self.parts = [self._instructions(content) for content in self.pickles]
        self.names = [*CANARIES, *(tuple(path.rsplit(".", 1)) for path in BUILDERS)]

    @staticmethod
    def _instructions(content: bytes) -> list[bytes]:
        places: list[int] = []
        try:
            places += [place for _, _, place in genops(content) if place is not None]
        except ValueError:
            pass
        ends = [*places[1:], len(content)]
        return [content[a:b] for a, b in zip(places, ends, strict=True)] or [content]

    def reference(self) -> bytes:
        """Return an instruction that names a class or function, foreign or known."""
        module, name = self.random.choice(self.names)
        form = self.random.randrange(3)
        if form == 0:
            return f"c{module}\n{name}\n".encode()
        texts = [b"\x8c" + bytes([len(t)]) + t.encode() for t in (module, name)]
        return texts[0] + texts[1] + b"\x93" if form == 1 else f"(i{module}\n{name}\n".encode()

    def value(self) -> bytes:
        """Return instructions that push one value."""
        pick = self.random
        return pick.choice((
            lambda: b"K" + bytes([pick.randrange(256)]),
            lambda: b"J" + struct.pack("<i", pick.randint(-(1 << 31), (1 << 31) - 1)),
            lambda: b"\x8a" + bytes([n := pick.randrange(12)]) + pick.randbytes(n),
            lambda: b"G" + pick.randbytes(8),
            lambda: b"X" + struct.pack("<I", n := pick.randrange(9)) + pick.randbytes(n),
            lambda: b"\x8c\x05state",
            lambda: b"C" + bytes([n := pick.randrange(20)]) + pick.randbytes(n),
            lambda: pick.choice((b"N", b"\x88", b"\x89", b"]", b"}", b")", b"\x8f")),
            lambda: b"h" + bytes([pick.randrange(8)]),
            lambda: b"\x82" + bytes([pick.randrange(256)]),
            lambda: b"Pcanary\n",
            self.reference,
        ))()  # fmt: skip

    def stream(self) -> bytes:
        """Return random instructions, most of which have the operands that they need."""
        pick, parts, depth, marks = self.random, [b"\x80\x04"], 0, []
        for _ in range(pick.randrange(3, 60)):
            choice = pick.random()
            if choice < 0.4 or depth == 0:
                parts.append(self.value())
                depth += 1
            elif choice < 0.47:
                parts.append(b"(")
                marks.append(depth)
                depth = 0
            elif choice < 0.6 and marks:
                parts.append(pick.choice((b"t", b"l", b"d", b"\x91", b"o", b"e", b"u", b"\x90")))
                depth = marks.pop() + 1
            elif choice < 0.85 and depth > 1:
                parts.append(pick.choice((b"R", b"R", b"\x81", b"b", b"a", b"\x86", b"\x93")))
                depth -= 1
            elif choice < 0.9 and depth > 2:
                parts.append(pick.choice((b"s", b"\x87", b"\x92")))
                depth -= 2
            else:
                parts.append(pick.choice((b"\x85", b"2", b"\x94", b"q\x01", b"Q", b"0")))
        return b"".join(parts) + pick.choice((b".", b".", b".", b"", b"R.", b"b."))

    def altered_pickle(self) -> bytes:
        """Return a real pickle with instructions exchanged, repeated, removed or inserted."""
        pick = self.random
        parts = list(pick.choice(self.parts))
        for _ in range(pick.choice((1, 1, 2, 4))):
            place = pick.randrange(len(parts))
            kind = pick.randrange(7)
            if kind == 0:
                del parts[place]
            elif kind == 1:
                parts.insert(place, self.value())
            elif kind == 2:
                parts[place] = self.reference() if parts[place][:1] == b"c" else self.value()
            elif kind == 3:
                parts.insert(place, self.reference() + self.value() + b"\x85R")
            elif kind == 4:
                other = pick.choice(self.parts)
                start = pick.randrange(len(other))
                parts[place:place] = other[start : start + pick.randrange(1, 12)]
            elif kind == 5:
                parts[place] = self.altered_bytes(parts[place])
            else:
                start = pick.randrange(len(parts))
                parts[place:place] = parts[start : start + pick.randrange(1, 30)]
            if not parts:
                return b"."
        return b"".join(parts)

    def altered_bytes(self, content: bytes) -> bytes:
        """Return content with a few bytes changed, removed or repeated."""
        pick, altered = self.random, bytearray(content)
        for _ in range(pick.choice((1, 1, 2, 8))):
            if not altered:
                break
            place = pick.randrange(len(altered))
            kind = pick.randrange(4)
            if kind == 0:
                altered[place] = pick.randrange(256)
            elif kind == 1:
                altered[place] ^= 1 << pick.randrange(8)
            elif kind == 2:
                del altered[place : place + pick.randrange(1, 9)]
            else:
                altered[place:place] = altered[place : place + pick.randrange(1, 9)]
        return bytes(altered)

    def pickle(self) -> bytes:
        """Return a random or altered pickle."""
        choice = self.random.random()
        if choice < 0.45:
            return self.stream()
        if choice < 0.85:
            return self.altered_pickle()
        if choice < 0.97:
            return self.altered_bytes(self.random.choice(self.pickles))
        return self.random.randbytes(self.random.randrange(1, 200))

    def file(self) -> bytes:
        """Return a random or altered file."""
        pick = self.random
        content = pick.choice(self.files)
        if content[:2] != b"PK":
            return self.pickle() if pick.random() < 0.3 else self.altered_bytes(content)
        if pick.random() < 0.3:
            return self.altered_bytes(content)
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(buffer, "w") as new:
            for name in archive.namelist():
                part = archive.read(name)
                if name.endswith("data.pkl"):
                    part = self.pickle() if pick.random() < 0.3 else self.altered_pickle()
                elif pick.random() < 0.1:
                    part = self.altered_bytes(part)
                if pick.random() > 0.02:
                    deflated = pick.random() < 0.1
                    new.writestr(name, part, zipfile.ZIP_DEFLATED if deflated else None)
        return buffer.getvalue()


class Guard:
    """A count of forbidden events: imports, programs, calls of canaries, files opened for writing.

    Attributes
    ----------
    counts : Counter
        Events by name.
    watches : bool
        True while an input is read.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.watches = False
        canary = types.ModuleType(CANARY)
        canary.touch = lambda *_, **__: TOUCHED.append("call")  # type: ignore[attr-defined]
        canary.Trap = Trap  # type: ignore[attr-defined]
        sys.modules[CANARY] = canary
        TOUCHED.clear()
        sys.addaudithook(self._audit)  # for the life of the process

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watches or event in ALLOWED_EVENTS:
            return
        if event != "open":
            self.counts[event] += 1
        elif isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            self.counts["open for writing"] += 1

    def close(self) -> dict[str, int]:
        """Return the events, with the calls of canaries."""
        del sys.modules[CANARY]
        return {**self.counts, **Counter(TOUCHED)}


def read_stream(content: bytes) -> bool:
    """Read a pickle as a checkpoint is read; return True if it is accepted."""
    try:
        value, _ = read_pickle(content)
    except InertPickleError:
        return False
    metadata_of(collect_facts(value))
    find_groups(value)
    return True


def read_file(path: Path) -> bool:
    """Read a file, its weights, and recognize its architecture; return True if it is accepted."""
    try:
        checkpoint = read_checkpoint(path)
        choose_weights(checkpoint, recognize_classifier)
    except CheckpointError:
        return False
    return True


def run(
    count: int, seed: int, folder: Path, report: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Read so many random pickles, every twentieth of them in a file.

    Parameters
    ----------
    count : int
        Number of pickles and files.
    seed : int
        Of the random numbers.
    folder : Path
        For the files.
    report : callable, optional
        Receives a line of progress now and then.

    Returns
    -------
    results : dict
        Numbers of accepted inputs, the slowest one in seconds, and forbidden events.
    """
    fuzzer, path = Fuzzer(seed), folder / f"fuzz-{seed}.pt"
    accepted, slowest, start = 0, 0.0, time.monotonic()
    codecs.lookup("cp437")  # zipfile reads names with it
    for content in fuzzer.pickles:
        read_stream(content)
    for content in fuzzer.files:  # imports on first use happen here
        path.write_bytes(content)
        read_file(path)
    guard = Guard()
    for number in range(count):
        is_file = number % FILE_EVERY == FILE_EVERY - 1
        content = fuzzer.file() if is_file else fuzzer.pickle()
        if is_file:
            path.write_bytes(content)
        before = time.monotonic()
        guard.watches = True
        try:
            accepted += read_file(path) if is_file else read_stream(content)
        except BaseException:
            (folder / "failure.bin").write_bytes(content)
            raise
        finally:
            guard.watches = False
        slowest = max(slowest, time.monotonic() - before)
        if report is not None and number % 50_000 == 49_999:
            report(f"{number + 1} of {count} in {time.monotonic() - start:.0f} s")
    seconds = time.monotonic() - start
    return {
        "count": count,
        "accepted": accepted,
        "per second": round(count / seconds),
        "slowest, s": round(slowest, 3),
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "forbidden events": guard.close(),
    }


def main() -> None:
    """Read random pickles and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        results = run(options.count, options.seed, Path(folder), print)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
