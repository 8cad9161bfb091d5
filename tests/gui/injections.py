"""Faults at one place of the work of the window: in networks, in steps, and in files.

A place is a stack of calls. What a loop repeats is one place, at which one repetition fails.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import random
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import FrameType, GeneratorType
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch.nn.modules import module as torch_modules

from commands.storage_faults import FaultyDisk
from napari_quac.live.lane import Lane
from napari_quac.stepwise import Steps

TEXT = "injected fault"
NAN = "NaN"
ERRORS: dict[str, tuple[str, ...]] = {
    "network": ("RuntimeError", "MemoryError", NAN),
    "step": ("RuntimeError", "MemoryError"),
    "write": ("ENOSPC", "EACCES", "EIO"),
    "read": ("EACCES", "EIO"),
}
"""Ways in which steps of each kind fail."""
NOT_WRITTEN = ("the disk is full", "cannot be written", "could not be written")
WORDS: dict[str, tuple[str, ...]] = {
    "RuntimeError": (TEXT,),
    "MemoryError": ("Memory ran out", "memory ran out"),
    NAN: ("NaN", "not finite", "no finite", "infinite", "not a number", "no numbers"),
    "ENOSPC": (*NOT_WRITTEN, os.strerror(errno.ENOSPC)),
    "EACCES": (*NOT_WRITTEN, os.strerror(errno.EACCES)),
    "EIO": (*NOT_WRITTEN, os.strerror(errno.EIO)),
}
"""Parts of the sentences of which one has to be in the window."""
PACKAGE = f"{os.sep}napari_quac{os.sep}"


def error_of(error: str, path: Any = "") -> BaseException:
    """Return an exception."""
    if error == "RuntimeError":
        return RuntimeError(TEXT)
    if error == "MemoryError":
        return MemoryError()
    code = getattr(errno, error)
    return OSError(code, os.strerror(code), str(path))


def place_of(frame: FrameType | None) -> str:
    """Return the lines of the package in a stack of calls, the outermost first."""
    lines: list[str] = []
    while frame is not None:
        code = frame.f_code
        if PACKAGE in code.co_filename and not code.co_filename.endswith("lane.py"):
            lines.append(f"{Path(code.co_filename).stem}.{code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return " > ".join(reversed(lines))


class Injection:
    """Counts steps by their places, and lets one of them fail.

    Parameters
    ----------
    error : str
        Way in which it fails; see :data:`ERRORS`.
    place : str
        Where; empty for all places together.
    number : int
        Which repetition, from 1; 0 for none.
    folders : sequence of Path
        Files elsewhere are left alone.
    """

    def __init__(
        self, error: str = NAN, place: str = "", number: int = 0, folders: Sequence[Path] = ()
    ) -> None:
        self.error, self.place, self.number, self.folders = error, place, number, folders
        self.counts: Counter[str] = Counter()
        self.n_failed = 0

    @property
    def n_steps(self) -> int:
        """Number of all steps."""
        return sum(self.counts.values())

    def reach(self, place: str) -> bool:
        """Count a step; return True if it is to fail."""
        self.counts[place] += 1
        n = self.counts[place] if self.place else self.n_steps
        is_here = self.place in ("", place) and n == self.number
        is_later = self.error == "ENOSPC" and self.n_failed > 0
        self.n_failed += is_here or is_later
        return is_here or is_later

    def injected(self) -> AbstractContextManager[None]:
        """Put the steps in place of the real ones."""
        raise NotImplementedError


class NetworkFaults(Injection):
    """A call of a network fails, or returns NaN."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._depth: Counter[int] = Counter()
        self._is_nan = False

    @contextmanager
    def injected(self) -> Iterator[None]:
        """Watch all networks in the threads of the window."""
        begin = torch_modules.register_module_forward_pre_hook(self._before)
        end = torch_modules.register_module_forward_hook(self._after, always_call=True)
        try:
            yield
        finally:
            begin.remove()
            end.remove()

    def _before(self, module: Any, inputs: Any) -> None:
        thread = threading.current_thread()
        self._depth[thread.ident or 0] += 1
        if self._depth[thread.ident or 0] > 1 or not thread.name.startswith("quac"):
            return
        if self.reach(place_of(sys._getframe())):
            if self.error != NAN:
                raise error_of(self.error)
            self._is_nan = True

    def _after(self, module: Any, inputs: Any, output: Any) -> Any:
        thread = threading.get_ident()
        self._depth[thread] = max(0, self._depth[thread] - 1)
        if self._depth[thread] or not self._is_nan:
            return None
        self._is_nan = False
        return output * float("nan") if isinstance(output, torch.Tensor) else None


class StepFaults(Injection):
    """A step of the compute thread or of a training fails where it continues."""

    @contextmanager
    def injected(self) -> Iterator[None]:
        """Watch all lanes."""
        perform = Lane._step

        def step(lane: Lane, job: Any) -> None:
            place, owner = position(job.slot, job.steps)
            if self.reach(place):
                error = error_of(self.error)
                if job.steps is None:
                    job.start = lambda: raise_(error)
                elif owner is None:
                    job.steps = Thrown(job.steps, error)
                else:
                    owner._generator = Thrown(owner._generator, error)
            perform(lane, job)

        with patch.object(Lane, "_step", step):
            yield


def position(slot: str, steps: Any) -> tuple[str, Steps[Any] | None]:
    """Return where steps pause, and the innermost steps, whose generator can be replaced."""
    names, owner = [slot], None
    while isinstance(steps, GeneratorType) and steps.gi_frame is not None:
        frame = steps.gi_frame
        if "self" in frame.f_locals and isinstance(frame.f_locals["self"], Steps):
            owner = frame.f_locals["self"]  # of Steps.within and the like
            steps = owner._generator
            continue
        names.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        steps = steps.gi_yieldfrom
    return " > ".join(names), owner


def raise_(error: BaseException) -> Any:
    raise error


class Thrown:
    """Steps that continue with an error at the place where they paused."""

    def __init__(self, steps: Any, error: BaseException) -> None:
        self._steps, self._error = steps, error

    def __next__(self) -> Any:
        """Return the next progress, if the steps overcome the error."""
        if self._error is None:
            return next(self._steps)
        error, self._error = self._error, None
        return self._steps.throw(error)

    def __iter__(self) -> Any:
        return self

    def close(self) -> None:
        """Close the steps."""
        self._steps.close()


class FileFaults(Injection):
    """A step that writes or reads a file fails."""

    def step(self, path: Any) -> None:
        """Count a step for a file of the folders, which may fail."""
        path = Path(os.path.abspath(os.fsdecode(path)))
        if not any(path.is_relative_to(folder) for folder in self.folders):
            return
        name = re.sub(r"\d+", "#", path.name.split("~")[0])
        if self.reach(f"{place_of(sys._getframe())} > {name}"):
            raise error_of(self.error, path)


class WriteFaults(FileFaults):
    """A step that writes fails; on a full disk, all later ones as well."""

    def injected(self) -> AbstractContextManager[None]:
        """Put the disk in place of the real one, for Python's own functions of files."""
        disk = FaultyDisk(Path())
        disk.step = self.step  # type: ignore[method-assign]
        return disk.mounted()


class ReadFaults(FileFaults):
    """Opening a file for reading fails."""

    @contextmanager
    def injected(self) -> Iterator[None]:
        """Put a function that opens in place of the real one."""
        open_file = io.open

        def faulty_open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if not isinstance(file, int) and not set(mode) & set("wax+"):
                self.step(file)
            return open_file(file, mode, *args, **options)

        with pytest.MonkeyPatch.context() as opened:
            opened.setattr(io, "open", faulty_open)
            opened.setattr(builtins, "open", faulty_open)
            yield


KINDS: dict[str, Callable[..., Injection]] = {
    "network": NetworkFaults,
    "step": StepFaults,
    "write": WriteFaults,
    "read": ReadFaults,
}


class RandomFaults:
    """Lets a random step of random work fail, again and again while the window is used.

    Parameters
    ----------
    folder : Path
        Whose files cannot be written.
    seed : int
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._random, self._stack = folder, random.Random(seed), ExitStack()
        self._injection: Injection | None = None
        self.n_failed = 0

    def renew(self) -> None:
        """Inject another fault in place of the previous one."""
        self.end()
        kind = self._random.choice([*KINDS])
        error, number = self._random.choice(ERRORS[kind]), self._random.randint(1, 12)
        self._injection = KINDS[kind](error, "", number, [self._folder])
        self._stack.enter_context(self._injection.injected())

    def end(self) -> None:
        """Inject nothing."""
        self._stack.close()
        if self._injection is not None:
            self.n_failed += bool(self._injection.n_failed)
        self._injection = None

    @staticmethod
    def has_caused(text: str) -> bool:
        """Return True if an error is an injected one."""
        return TEXT in text or "MemoryError" in text
