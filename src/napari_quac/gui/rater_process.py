"""The process in which a rater works: detached, without anything of this window."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from qtpy.QtCore import QProcess

from napari_quac.errors import DataError

PREFIX = "napari-quac: "
STOPPED = f"{PREFIX}stopped"
"""Beginning of the line of a process that a signal ended."""
MAX_BYTES = 100_000


class RaterProcess:
    """Starts ``napari-quac study rate``, which outlives this window, and reads its error."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._errors: Path | None = None
        self.pid = 0

    def start(self, folder: Path, rater: str, theme: str) -> None:
        """Open the window of a rater.

        Raises
        ------
        DataError
            If the process cannot be started.
        """
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="napari-quac-")
        self._errors = Path(self._folder.name) / "errors.txt"
        process = QProcess()
        process.setProgram(sys.executable)
        arguments = ["-m", "napari_quac", "study", "rate", str(folder), "--rater", rater]
        process.setArguments([*arguments, "--theme", "light" if theme == "light" else "dark"])
        process.setStandardInputFile(QProcess.nullDevice())
        process.setStandardOutputFile(QProcess.nullDevice())
        process.setStandardErrorFile(str(self._errors))
        started = process.startDetached()
        is_started, self.pid = started if isinstance(started, tuple) else (started, 0)
        if not is_started:
            raise DataError(
                "The rating window did not start. Run 'napari-quac study rate' in a terminal."
            )

    def take_error(self) -> str:
        """Return the error with which the last process ended, once; empty if there is none."""
        if self._errors is None:
            return ""
        try:
            with self._errors.open("rb") as file:
                text = file.read(MAX_BYTES).decode(errors="replace")
        except OSError:
            return ""
        lines = [line for line in text.splitlines() if line.startswith(PREFIX)]
        lines = [line for line in lines if not line.startswith(STOPPED)]
        if not lines:
            return ""
        self._errors = None
        return lines[-1].removeprefix(PREFIX)

    def close(self) -> None:
        """Remove the file of errors; the process continues."""
        self._errors = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
