"""Faults of each kind, at one step of a command after the other.

A step is a call that can fail: writing, reading, the pass of a network, an attribution method.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from commands.storage_faults import FaultyDisk
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods import METHODS
from napari_quac.stepwise import Steps
from napari_quac.train.checkpointing import read_state

NAN = "NaN"


def _storage_error(code: int) -> Callable[[str], Exception]:
    return lambda path: OSError(code, os.strerror(code), path)


FAULTS: dict[str, Callable[[str], Exception]] = {
    "ENOSPC": _storage_error(errno.ENOSPC),
    "EACCES": _storage_error(errno.EACCES),
    "EIO": _storage_error(errno.EIO),
    "RuntimeError": lambda path: RuntimeError("injected"),
    "MemoryError": lambda path: MemoryError(),
}
OF_KIND = {
    "write": ("ENOSPC", "EACCES", "EIO", "RuntimeError", "MemoryError"),
    "read": ("EACCES", "EIO", "RuntimeError", "MemoryError"),
    "network": ("RuntimeError", "MemoryError", NAN),
    "method": ("RuntimeError", "MemoryError", NAN),
}


class Faults:
    """Counts the steps of one kind, and lets one of them fail.

    Parameters
    ----------
    kind : str
        "write", "read", "network" or "method".
    folder : Path
        Files elsewhere are left alone.
    fails_at : int
        Number of the step, from 1; 0 for none.
    fault : str
        One of those of the kind. All later writes fail, too, on a full disk.
    """

    def __init__(self, kind: str, folder: Path, fails_at: int = 0, fault: str = NAN):
        self.kind, self.folder, self.fails_at, self.fault = kind, folder, fails_at, fault
        self.n_steps = self.n_failed = self._depth = 0

    def mounted(self) -> Any:
        """Put the steps in place of the real ones."""
        return getattr(self, f"_{self.kind}")()

    def step(self, path: Any = "") -> bool:
        """Count a step; raise its fault, or return True if it is a NaN."""
        self.n_steps += 1
        is_later = self.fault == "ENOSPC" and self.n_steps > self.fails_at > 0
        if self.n_steps != self.fails_at and not is_later:
            return False
        self.n_failed += 1
        if self.fault == NAN:
            return True
        raise FAULTS[self.fault](str(path))

    def step_at(self, path: Any) -> None:
        """Count a step for a file of the folder."""
        path = Path(os.path.abspath(os.fsdecode(path)))
        if path.is_relative_to(self.folder):
            self.step(path)

    def _write(self) -> Any:
        disk = FaultyDisk(self.folder)
        disk.step = self.step_at  # type: ignore[method-assign]
        return disk.mounted()

    @contextmanager
    def _read(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            open_file = io.open

            def faulty_open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
                if not isinstance(file, int) and not set(mode) & set("wax+"):
                    self.step_at(file)
                return open_file(file, mode, *args, **options)

            patch.setattr(io, "open", faulty_open)
            patch.setattr(builtins, "open", faulty_open)
            yield

    @contextmanager
    def _network(self) -> Iterator[None]:
        """Let the outermost pass of a network fail."""
        run = torch.nn.Module.__call__

        def call(module: Any, *args: Any, **options: Any) -> Any:
            if self._depth:
                return run(module, *args, **options)
            self._depth += 1
            try:
                is_nan = self.step()
                output = run(module, *args, **options)
                return _with_nan(output) if is_nan else output
            finally:
                self._depth -= 1

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.nn.Module, "__call__", call)
            yield

    @contextmanager
    def _method(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in METHODS.usable():
                method = METHODS[name]
                patch.setattr(method, "attribute", self._attribute(method.attribute))
            yield

    def _attribute(self, attribute: Callable[..., Any]) -> Callable[..., Any]:
        def call(method: Any, *args: Any) -> Any:
            is_nan = self.step()
            output = attribute(method, *args)
            if not is_nan:
                return output
            output = output.result() if isinstance(output, Steps) else output
            if isinstance(output, SignedMap):
                return replace(output, values=_with_nan(output.values))
            return _with_nan(output)

        return call


def _with_nan(output: Any) -> Any:
    return output * float("nan") if isinstance(output, torch.Tensor) else output


# the last one is a remark about the classifier, for which a network runs, too
VARYING = ("minutes", "seconds", "created", "time", "agreement")


def contents(folder: Path) -> dict[str, Any]:
    """Return what all files below a folder hold, hidden ones included, but no times.

    An unfinished file, or one that cannot be read, is an error.
    """
    results: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        assert not path.name.endswith(".part"), f"unfinished: {path}"
        if path.is_file() and path.parent.name not in ("timings", "faults"):
            results[name] = _content(path)
    return results


def _content(path: Path) -> Any:
    match path.suffix:
        case ".json":
            return _without_times(json.loads(path.read_bytes()))
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case ".npy":
            array = np.load(path)
            return array.shape, array.tobytes()
        case ".csv":
            assert len(pd.read_csv(path))
            return path.read_bytes()
        case ".parquet":
            return pd.read_parquet(path).to_json()
        case ".png" | ".tif" | ".gif":
            with Image.open(path) as picture:
                return picture.size, np.asarray(picture).tobytes()
        case ".svg":
            text = path.read_text(encoding="utf-8").rstrip()
            assert text.endswith("</svg>")
            return len(text) // 1000  # names and the date differ
        case ".pt":
            return {key: state for key, state in read_state(path).items() if key != "minutes"}
        case ".safetensors":  # the metadata hold the time
            content = path.read_bytes()
            return content[8 + int.from_bytes(content[:8], "little") :]
    return path.read_bytes()


def _without_times(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_times(child) for key, child in node.items() if key not in VARYING}
    return [_without_times(child) for child in node] if isinstance(node, list) else node


def assert_equal(first: Any, second: Any, place: str = "") -> None:
    """Compare nested values with tensors, bit for bit."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), place
        for key in first:
            assert_equal(first[key], second[key], f"{place}/{key}")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), place
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), place
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_equal(*pair, f"{place}/{index}")
    else:
        assert first == second, place
