"""Sources of inputs: alterations of valid files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .inputs import altered_input
from .readers import Contents, Reader

Read = Callable[[Contents], Any]


def prepare(source: str) -> None:
    """Load what a source needs before the libraries that are tested."""
    del source


def read_altered(reader: Reader, seed: int, first: int, end: int, read: Read) -> None:
    """Read valid files with small alterations."""
    for number in range(first, end):
        read(altered_input(reader, reader.seeds(), seed, number))


SOURCES: dict[str, Callable[[Reader, int, int, int, Read], None]] = {"altered": read_altered}
