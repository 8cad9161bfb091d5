"""Answers of a rater: JSON lines in a file of the rater's own, appended and synced at once.

Nothing is ever changed in the file: an answer that is changed or withdrawn is a new line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_quac import __version__
from napari_quac.reading import is_regular_file, read_bytes
from napari_quac.storage import append_line

INVALID, CANNOT_TELL = "invalid", "cannot tell"
OPEN = None
"""The answer of a line that withdraws an earlier one."""
AnswerValue = int | float | str | None


@dataclass(frozen=True)
class Answer:
    """One line of the file of a rater.

    Attributes
    ----------
    session : str
        Random id of the session.
    rater : str
    trial : int
        Number of the trial in the order of presentation, from 0, training block included.
    trial_id : str
    presented, answered : str
        UTC, ISO 8601.
    task : str
        Kind of the study.
    feature : str
    answer : int, float, str or None
        −1, 0, 1; a class; a number; ``"invalid"``, ``"cannot tell"``; None withdraws an answer.
    previous : int, float, str or None
        The answer that stood before.
    seconds : float
        Since the feature was presented, without pauses.
    view : mapping
        Display at that moment: mode, zoom.
    paused : bool
        True if the session was paused since the presentation.
    training : bool
        Part of the training block, not counted.
    version : str
        Of the package.
    """

    session: str
    rater: str
    trial: int
    trial_id: str
    presented: str
    answered: str
    task: str
    feature: str
    answer: AnswerValue
    previous: AnswerValue = None
    seconds: float = 0.0
    view: Mapping[str, Any] = field(default_factory=dict)
    paused: bool = False
    training: bool = False
    version: str = __version__

    def __post_init__(self) -> None:
        texts = (
            self.session,
            self.rater,
            self.trial_id,
            self.feature,
            self.presented,
            self.answered,
        )
        if not all(isinstance(text, str) for text in texts) or not isinstance(self.trial, int):
            raise TypeError("a part of the answer is of another kind")
        if not isinstance(self.answer, int | float | str | None):
            raise TypeError("the answer is neither number nor text")

    @property
    def place(self) -> tuple[str, str]:
        """Trial and feature."""
        return self.trial_id, self.feature


@dataclass(frozen=True)
class AnswerLog:
    """Lines of the file of a rater.

    Attributes
    ----------
    lines : tuple of Answer
        In the order in which they were written.
    n_damaged : int
        Lines that cannot be read, such as one that a crash cut off.
    """

    lines: tuple[Answer, ...] = ()
    n_damaged: int = 0

    def standing(self) -> dict[tuple[str, str], Answer]:
        """Return the last answer of each trial and feature, without those withdrawn."""
        answers: dict[tuple[str, str], Answer] = {}
        for line in self.lines:
            answers.pop(line.place, None)
            if line.answer is not OPEN:
                answers[line.place] = line
        return answers

    def n_changes(self) -> dict[tuple[str, str], int]:
        """Return how often each answer was changed or withdrawn."""
        counts: dict[tuple[str, str], int] = {}
        for line in self.lines:
            counts[line.place] = counts.get(line.place, 0) + (line.previous is not None)
        return counts


def read_answers(path: Path) -> AnswerLog:
    """Read the file of a rater; a damaged line costs only itself.

    Raises
    ------
    DataError
        If the file cannot be read at all; one that is missing is empty.
    """
    if not is_regular_file(path):
        return AnswerLog()
    return parse_answers(read_bytes(path).decode(errors="replace").splitlines())


def parse_answers(texts: Iterable[str]) -> AnswerLog:
    """Read lines of answers; see :func:`read_answers`."""
    lines, n_damaged = [], 0
    for text in texts:
        if not text.strip():
            continue
        n_damaged += 1
        with suppress(ValueError, TypeError, RecursionError):
            lines.append(Answer(**json.loads(text)))
            n_damaged -= 1
    return AnswerLog(tuple(lines), n_damaged)


def append_answer(path: Path, answer: Answer) -> None:
    """Append an answer; when this returns, it is on the disk.

    Raises
    ------
    StorageError
        If it could not be written; nothing of it is there then.
    """
    append_line(path, json.dumps(asdict(answer), ensure_ascii=False, allow_nan=False), sync=True)
