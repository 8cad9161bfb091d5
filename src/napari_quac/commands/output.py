"""Output of commands: one JSON document or tables on standard output, messages on stderr."""

from __future__ import annotations

import codecs
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from napari_quac.errors import DataError, QuacError

SCHEMA = 1
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ASCII = {"→": "->", "×": "x", "−": "-", "–": "-", "…": "...", "≤": "<=", "≥": ">=", "±": "+/-"}


class OutputError(QuacError):
    """A failure to print results: standard output is closed or full."""


def escape_controls(text: str) -> str:
    """Return a text in which escapes replace the characters that control a terminal.

    Line breaks and tabs stay.
    """
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Print safely in a block: no controls of terminals, in any encoding, to closed outputs, too.

    Raises
    ------
    OutputError
        From whatever prints to a closed or full standard output. Messages on standard error that
        cannot be printed are dropped.
    """
    before = sys.stdout, sys.stderr
    sys.stdout = cast("TextIO", _SafeStream(sys.stdout, is_required=True))
    sys.stderr = cast("TextIO", _SafeStream(sys.stderr, is_required=False))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def drop_output() -> None:
    """Drop what is left to print, where nothing more can be printed."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.close(descriptor)


class _SafeStream:
    """Standard output or standard error.

    Parameters
    ----------
    stream : TextIO or None
        The stream; None for one that is closed.
    is_required : bool
        Raise an error if nothing can be written.
    """

    def __init__(self, stream: TextIO | None, is_required: bool) -> None:
        self._is_closed = stream is None
        # the stream stays open as long as the process
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")
        self._is_required = is_required

    def write(self, text: str) -> int:
        """Write a text."""
        if self._is_closed:
            self._fail("it is closed")
        content = escape_controls(text)
        encoding = self._stream.encoding or "utf-8"
        content = content.encode(encoding, ERROR_HANDLER).decode(encoding)
        self._attempt(lambda: self._stream.write(content))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, function: Any) -> None:
        try:
            function()
        except BrokenPipeError:
            if self._is_required:
                raise
        except (OSError, ValueError) as error:
            self._fail(str(getattr(error, "strerror", None) or error))

    def _fail(self, reason: str) -> None:
        if self._is_required:
            raise OutputError(
                f"Nothing can be printed to standard output ({reason}). Files that were written "
                "are complete; redirect the output to another file."
            )


def _spell_in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    escaped = (_ASCII.get(c) or c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped), error.end


ERROR_HANDLER = "napari_quac.ascii"
codecs.register_error(ERROR_HANDLER, _spell_in_ascii)


def print_json(document: dict[str, Any]) -> None:
    """Print a document as standard JSON; NaN and infinity become null."""
    print(json.dumps(_standard({"schema": SCHEMA, **document}), indent=1, allow_nan=False))


def notify(text: str) -> None:
    """Print a message on standard error."""
    print(text, file=sys.stderr, flush=True)


def attributes(source: Any, *names: str) -> dict[str, Any]:
    """Return attributes by name, for a JSON document."""
    return {name: getattr(source, name) for name in names}


def cell(number: Any, form: str = ".3f") -> str:
    """Return a value as text for a table: ``-`` for None and NaN, a format for other floats."""
    if number is None or number != number:
        return "-"
    text = format(number, form) if isinstance(number, float) else str(number)
    return escape_controls(text).replace("\n", "\\n").replace("\t", "\\t")


def table(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as aligned columns, each entry by :func:`cell`."""
    lines = [[cell(entry) for entry in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def create_folder(path: Path) -> Path:
    """Create an output folder.

    Raises
    ------
    DataError
        If it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"The folder '{path}' cannot be created ({error.strerror}). Choose another one."
        raise DataError(message) from error
    return path


def _standard(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _standard(child) for key, child in node.items()}
    if isinstance(node, list | tuple):
        return [_standard(child) for child in node]
    if hasattr(node, "tolist"):
        return _standard(node.tolist())
    if isinstance(node, float):
        return node if math.isfinite(node) else None
    return str(node) if isinstance(node, Path) else node
