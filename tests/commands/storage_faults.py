"""Errors of a disk, raised by one step of writing after the other."""

from __future__ import annotations

import builtins
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image


class FaultyDisk:
    """Counts each step that writes below a folder, and lets one of them fail.

    Parameters
    ----------
    folder : Path
        Steps elsewhere are left alone.
    fails_at : int
        Number of the step, from 1; 0 for none.
    code : int
        Error number.
    lasting : bool
        All later steps fail, too, as on a full disk.
    """

    def __init__(self, folder: Path, fails_at: int = 0, code: int = 0, lasting: bool = False):
        self.folder, self.fails_at, self.code, self.lasting = folder, fails_at, code, lasting
        self.n_steps = 0
        self.n_failed = 0

    def step(self, path: Any) -> None:
        """Count a step, which may fail."""
        path = Path(os.path.abspath(os.fsdecode(path)))
        if not path.is_relative_to(self.folder):
            return
        self.n_steps += 1
        is_later = self.lasting and self.n_steps > self.fails_at > 0
        if self.n_steps == self.fails_at or is_later:
            self.n_failed += 1
            raise OSError(self.code, os.strerror(self.code), str(path))

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Put the disk in place of the real one, for Python's own functions of files."""
        with pytest.MonkeyPatch.context() as patch:
            open_file = io.open  # what pathlib calls

            def faulty_open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
                if isinstance(file, int) or not set(mode) & set("wax+"):
                    return open_file(file, mode, *args, **options)
                self.step(file)
                return _FaultyFile(open_file(file, mode, *args, **options), file, self)

            patch.setattr(io, "open", faulty_open)
            patch.setattr(builtins, "open", faulty_open)
            for name in ("rename", "replace", "link", "mkdir"):
                patch.setattr(os, name, self._wrapped(getattr(os, name), lambda path: path))
            place = "/proc/self/fd/{}".format
            patch.setattr(os, "fsync", self._wrapped(os.fsync, lambda fd: os.readlink(place(fd))))
            yield

    def _wrapped(self, function: Callable[..., Any], path_of: Callable[..., Any]) -> Any:
        make_folder = os.mkdir

        def call(first: Any, *args: Any, **options: Any) -> Any:
            is_there = function is make_folder and os.path.isdir(first)  # a step without effect
            if not is_there:
                self.step(path_of(first))
            return function(first, *args, **options)

        return call


class _FaultyFile:
    """A file whose writes are steps."""

    def __init__(self, file: Any, path: Any, disk: FaultyDisk) -> None:
        self._file, self._path, self._disk = file, path, disk

    def write(self, content: Any) -> Any:
        """Write half of the content before a failure, as a disk does that becomes full."""
        try:
            self._disk.step(self._path)
        except Exception:
            self._file.write(content[: len(content) // 2])
            raise
        return self._file.write(content)

    def __enter__(self) -> _FaultyFile:
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder, hidden ones included."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def check_complete(folder: Path) -> None:
    """Fail for an unfinished file, or one that cannot be read."""
    for path in folder.rglob("*"):
        assert not path.name.endswith(".part"), f"unfinished: {path}"
        if path.is_dir():
            continue
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".jsonl":
            assert [json.loads(line) for line in path.read_text().splitlines()]
        elif path.suffix == ".npy":
            np.load(path)
        elif path.suffix == ".csv":
            assert len(pd.read_csv(path))
        elif path.suffix == ".parquet":
            assert len(pd.read_parquet(path))
        elif path.suffix in (".png", ".tif", ".gif"):
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".svg":
            assert path.read_text(encoding="utf-8").rstrip().endswith("</svg>")
