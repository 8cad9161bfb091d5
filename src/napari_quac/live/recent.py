"""Files that were opened lately, and the sessions in which they were used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_quac.errors import DataError
from napari_quac.live.session_state import SessionState
from napari_quac.reading import parse_json, path_exists
from napari_quac.serialize import to_plain

MOST_FILES, MOST_SESSIONS = 24, 6
KINDS: Mapping[str, str] = {
    "plan": "Plan",
    "explanations": "Explanations",
    "samples": "Samples",
    "classifier": "Classifier",
    "generator": "Generator",
    "volume": "Volume",
    "table": "Table of points",
}
"""Kinds of recent files, and their titles in the menu."""


@dataclass(frozen=True)
class RecentFile:
    """A file or folder that was opened.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    path : str
        Absolute.
    """

    kind: str
    path: str


@dataclass(frozen=True)
class RecentWork:
    """Recent files and sessions, the latest first.

    Attributes
    ----------
    files : tuple of RecentFile
    sessions : tuple of SessionState
        One for each combination of files.
    """

    files: tuple[RecentFile, ...] = ()
    sessions: tuple[SessionState, ...] = ()

    def with_file(self, kind: str, path: Path) -> RecentWork:
        """Return the work with a file in front."""
        file = RecentFile(kind, str(path.expanduser().absolute()))
        others = (other for other in self.files if other != file)
        return replace(self, files=(file, *others)[:MOST_FILES])

    def with_session(self, state: SessionState) -> RecentWork:
        """Return the work with a session in front; an empty one changes nothing."""
        if state.is_empty:
            return self
        others = (other for other in self.sessions if other.files != state.files)
        return replace(self, sessions=(state, *others)[:MOST_SESSIONS])

    @property
    def existing_files(self) -> tuple[RecentFile, ...]:
        """The files that are still there."""
        return tuple(file for file in self.files if path_exists(file.path))

    def paths(self, kind: str) -> tuple[Path, ...]:
        """Return the existing files of a kind."""
        return tuple(Path(file.path) for file in self.existing_files if file.kind == kind)

    def session_of_report(self, folder: Path) -> SessionState | None:
        """Return the latest session in which a folder of explanations was open."""
        path = str(folder.absolute())
        return next((state for state in self.sessions if state.report == path), None)

    def session_of_samples(self, samples: Mapping[str, Any] | None) -> SessionState | None:
        """Return the latest session with these samples."""
        if not samples:
            return None
        return next((state for state in self.sessions if state.samples == samples), None)

    def to_json(self) -> str:
        """Return the work as JSON."""
        return json.dumps(
            {
                "files": to_plain(self.files),
                "sessions": [parse_json(state.to_json()) for state in self.sessions],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> RecentWork:
        """Read recent work; sessions that were written by another version are left out.

        Raises
        ------
        DataError
            If the text is no recent work.
        """
        try:
            values = parse_json(text)
            files = tuple(RecentFile(str(f["kind"]), str(f["path"])) for f in values["files"])
            texts = [json.dumps(state) for state in values["sessions"]]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"The list of recent files cannot be read ({error!r}).") from error
        sessions = []
        for state in texts:
            try:
                sessions.append(SessionState.from_json(state))
            except DataError:
                continue
        return cls(files, tuple(sessions))
