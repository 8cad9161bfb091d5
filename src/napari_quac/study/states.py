"""States of a study, as a log of changes: draft → sealed → running ⇄ paused → ended → unblinded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from filelock import FileLock

from napari_quac.errors import DataError
from napari_quac.reading import is_regular_file, read_bytes
from napari_quac.storage import append_line, storage_errors

State = Literal["draft", "sealed", "running", "paused", "ended", "unblinded"]
STATES: tuple[State, ...] = get_args(State)
LOG, LOCK = "states.jsonl", ".states.lock"
BEFORE: dict[State, tuple[State, ...]] = {
    "draft": (),
    "sealed": ("draft",),
    "running": ("sealed", "running", "paused"),
    "paused": ("running",),
    "ended": ("running", "paused"),
    "unblinded": ("ended",),
}
"""States from which each state can be reached."""


class StateError(DataError):
    """An action that the state of a study does not allow."""


@dataclass(frozen=True)
class Change:
    """One line of the log.

    Attributes
    ----------
    at : str
        UTC, ISO 8601.
    who : str
        Rater or leader of the study.
    state : str
    note : str
        Such as a hash.
    """

    at: str
    who: str
    state: State
    note: str = ""


def timestamp() -> str:
    """Return the time in UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_changes(folder: Path) -> tuple[Change, ...]:
    """Read the log of a study; damaged lines are left out."""
    path = folder / LOG
    if not is_regular_file(path):
        return ()
    changes = []
    for line in read_bytes(path).decode(errors="replace").splitlines():
        with suppress(ValueError, TypeError):
            change = Change(**{key: str(text) for key, text in json.loads(line).items()})  # type: ignore[arg-type]
            if change.state in STATES:
                changes.append(change)
    return tuple(changes)


def running_raters(changes: Iterable[Change]) -> tuple[str, ...]:
    """Return the raters whose sessions are open."""
    running: dict[str, None] = {}
    for change in changes:
        if change.state == "running":
            running[change.who] = None
        elif change.state == "paused":
            running.pop(change.who, None)
        else:
            running.clear()
    return tuple(running)


def current_state(changes: Sequence[Change]) -> State:
    """Return the state after some changes; a study runs while the session of a rater is open."""
    if not changes:
        return "draft"
    last = changes[-1].state
    return "running" if last == "paused" and running_raters(changes) else last


def require_state(state: State, allowed: Sequence[State], action: str) -> None:
    """Refuse an action in other states.

    Raises
    ------
    StateError
        Names state and action.
    """
    if state not in allowed:
        names = " or ".join(allowed)
        raise StateError(f"The study is {state}; it must be {names} to {action}.")


def change_state(folder: Path, state: State, who: str, note: str = "") -> Change:
    """Append a change to the log; one that does not follow is an error.

    Raises
    ------
    StateError
        If the state cannot follow the present one.
    StorageError
        If it cannot be written.
    """
    path = folder / LOG
    with storage_errors(path), FileLock(folder / LOCK):
        changes = read_changes(folder)
        require_state(current_state(changes), BEFORE[state], f"become {state}")
        if state == "paused" and who not in running_raters(changes):
            raise StateError(f"'{who}' has no open session to pause.")
        change = Change(timestamp(), who, state, note)
        append_line(path, json.dumps(plain_change(change), ensure_ascii=False), sync=True)
    return change


def plain_change(change: Change) -> dict[str, Any]:
    """Return a change as a line of the log has it."""
    note = {"note": change.note} if change.note else {}
    return {"at": change.at, "who": change.who, "state": change.state, **note}
