"""A rater's session: the present trial and feature, answers, undo, pause; without a window.

This module and what it imports know neither key, classes, scores nor networks.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.storage import storage_errors
from napari_quac.study.answers import (
    CANNOT_TELL,
    INVALID,
    OPEN,
    Answer,
    AnswerLog,
    AnswerValue,
    append_answer,
    read_answers,
)
from napari_quac.study.features import Feature
from napari_quac.study.folder import RATERS, Study, TrialSlot, open_study
from napari_quac.study.images import read_images
from napari_quac.study.states import read_changes, require_state, running_raters, timestamp


class RatingSession:
    """The work of one rater on a sealed study, from the first open trial on.

    Only the rater's own file of answers is opened. Each answer is on the disk before
    :meth:`answer` returns.

    Parameters
    ----------
    folder : Path
        A sealed study.
    rater : str
        One of its raters.

    Attributes
    ----------
    study : Study
    rater : str
    session_id : str
    position : int
        Number of the present trial, from 0; the number of trials after the last one.
    feature_number : int
    saved_at : datetime or None
        Local time of the last answer that was saved in this session.
    is_paused : bool

    Raises
    ------
    DataError
        If the rater is unknown, or works on the study in another window.
    StateError
        If the study is a draft or has ended.
    """

    kinds: ClassVar[tuple[str, ...]] = ("compare", "tag", "classify")
    """Kinds of studies of this session."""

    def __init__(self, folder: Path, rater: str) -> None:
        self.study: Study = open_study(folder)
        self.study.require_intact()
        state = self.study.state
        require_state(state, ("sealed", "running", "paused", "unblinded"), "be rated")
        if self.study.protocol.kind not in self.kinds:
            raise DataError(
                f"The study is of the kind '{self.study.protocol.kind}', which opens in another "
                "window. Use 'napari-quac study rate'."
            )
        self.rater = self.study.rater(rater).name
        self.session_id = secrets.token_hex(8)
        self._counts_states = state != "unblinded"
        self.path = self.study.rater_file(self.rater, after_unblinding=state == "unblinded")
        self._lock = self._take_lock()
        self._log: AnswerLog = read_answers(self.path)
        self._answers = self._log.standing()
        self._history = [place for place in self._answers if place[0] in self._positions]
        self.position, self.feature_number = 0, 0
        self.saved_at: datetime | None = None
        self.is_paused = False
        self._was_paused = False
        self._images: dict[int, tuple[NDArray[np.float32], ...]] = {}
        if self._counts_states:
            self._state("running")
        self.go_to_first_open()

    @property
    def features(self) -> tuple[Feature, ...]:
        """Features of the study."""
        return self.study.protocol.features

    @property
    def trials(self) -> tuple[TrialSlot, ...]:
        """Trials in the order of presentation."""
        return self.study.trials

    @property
    def is_complete(self) -> bool:
        """True after the last trial."""
        return self.position >= len(self.trials)

    @property
    def slot(self) -> TrialSlot:
        """Present trial.

        Raises
        ------
        DataError
            After the last one.
        """
        if self.is_complete:
            raise DataError("All trials are rated.")
        return self.trials[self.position]

    @property
    def feature(self) -> Feature:
        """Present feature."""
        return self.features[self.feature_number]

    @property
    def n_training(self) -> int:
        """Number of trials of the training block."""
        return sum(slot.training for slot in self.trials)

    @property
    def progress(self) -> str:
        """Text such as ``trial 37 of 120``, or ``training 2 of 5``."""
        n_training = self.n_training
        if self.is_complete:
            return f"all {len(self.trials) - n_training} trials rated"
        if self.slot.training:
            return f"training {self.position + 1} of {n_training}"
        return f"trial {self.position + 1 - n_training} of {len(self.trials) - n_training}"

    def images(self) -> tuple[NDArray[np.float32], ...]:
        """Return the images of the present trial, (C, *S) float32; the next ones are read, too.

        Raises
        ------
        DataError
            If they cannot be read.
        """
        position, paired = self.position, self.study.protocol.paired
        present = self._images.get(position)
        if present is None:
            present = read_images(self.study.folder, position, paired)
        self._images = {position: present}
        if position + 1 < len(self.trials):
            with suppress(DataError):  # reported when its turn comes
                self._images[position + 1] = read_images(self.study.folder, position + 1, paired)
        return present

    def answer_at(self, number: int) -> AnswerValue:
        """Return the answer to a feature of the present trial; None if it is open."""
        answer = self._answers.get((self.slot.trial_id, self.features[number].name))
        return OPEN if answer is None else answer.answer

    def n_open(self) -> int:
        """Return the number of open features of the present trial."""
        return sum(self.answer_at(number) is OPEN for number in range(len(self.features)))

    def allowed_answers(self) -> tuple[AnswerValue, ...]:
        """Return the answers of the kind of study, in the order of the keys 1, 2, 3."""
        kind = self.study.protocol.kind
        if kind == "classify":
            return self.study.protocol.choices
        return (-1, 0, 1) if kind == "compare" else (1, 0)

    def is_allowed(self, answer: AnswerValue) -> bool:
        """Return True for an answer of the kind of study."""
        return answer in self.allowed_answers()

    def answer(self, answer: AnswerValue, view: Mapping[str, Any] | None = None) -> None:
        """Save an answer to the present feature and go to the next open one of the trial.

        Raises
        ------
        DataError
            If there is no such answer, or the session is paused or complete.
        StorageError
            If it could not be saved; nothing changes then.
        """
        if self.is_paused:
            raise DataError("The session is paused. Resume it to answer.")
        if answer not in (INVALID, CANNOT_TELL) and not self.is_allowed(answer):
            raise DataError(f"'{answer}' is no answer of this study.")
        self._save(answer, view or {})
        open_numbers = [n for n in range(len(self.features)) if self.answer_at(n) is OPEN]
        if open_numbers:
            later = [number for number in open_numbers if number > self.feature_number]
            self._present((later or open_numbers)[0])

    def undo(self, view: Mapping[str, Any] | None = None) -> bool:
        """Withdraw the last standing answer by a new line, and go back to it; False if none.

        Raises
        ------
        StorageError
            If it could not be saved.
        """
        if self.is_paused or not self._history:
            return False
        trial_id, name = self._history[-1]
        position = self._positions[trial_id]
        names = [feature.name for feature in self.features]
        if position != self.position:
            self.position = position
        self._present(names.index(name))
        self._save(OPEN, view or {})
        return True

    def next(self) -> bool:
        """Go to the next open feature of the trial, or to the next trial if none is open.

        Returns
        -------
        bool
            True if the trial changed.
        """
        if self.is_paused or self.is_complete:
            return False
        numbers = range(len(self.features))
        open_numbers = [number for number in numbers if self.answer_at(number) is OPEN]
        if open_numbers:
            later = [number for number in open_numbers if number > self.feature_number]
            self._present((later or open_numbers)[0])
            return False
        self.position += 1
        self._present(0)
        return True

    def go_to_first_open(self) -> None:
        """Go to the first trial with an open feature."""
        for position in range(len(self.trials)):
            self.position = position
            if self.n_open():
                break
        else:
            self.position = len(self.trials)
        numbers = range(len(self.features)) if not self.is_complete else range(0)
        self._present(next((n for n in numbers if self.answer_at(n) is OPEN), 0))

    def pause(self) -> None:
        """Pause: no answers until :meth:`resume`, and the time does not count."""
        if not self.is_paused:
            self.is_paused = self._was_paused = True
            self._elapsed += time.monotonic() - self._since
            if self._counts_states:
                self._state("paused")

    def resume(self) -> None:
        """Continue after a pause.

        Raises
        ------
        StateError
            If the study has ended meanwhile.
        """
        if self.is_paused:
            if self._counts_states:
                self._state("running")
            self.is_paused = False
            self._since = time.monotonic()

    def close(self) -> None:
        """Pause the study for this rater and release the rater's file."""
        with suppress(DataError):  # such as a study that ended meanwhile
            self.pause()
        self._lock.release()

    @property
    def _positions(self) -> dict[str, int]:
        return {slot.trial_id: number for number, slot in enumerate(self.trials)}

    def _present(self, number: int) -> None:
        """Make a feature the present one, and start its time."""
        self.feature_number = number
        self._presented, self._since, self._elapsed = timestamp(), time.monotonic(), 0.0
        self._was_paused = False

    def _save(self, answer: AnswerValue, view: Mapping[str, Any]) -> None:
        slot, place = self.slot, (self.slot.trial_id, self.feature.name)
        if self._counts_states:
            self._require_open_study()
        earlier = self._answers.get(place)
        line = Answer(
            self.session_id,
            self.rater,
            self.position,
            slot.trial_id,
            self._presented,
            timestamp(),
            self.study.protocol.kind,
            self.feature.name,
            answer,
            None if earlier is None else earlier.answer,
            round(self._elapsed + time.monotonic() - self._since, 3),
            dict(view),
            self._was_paused,
            slot.training,
        )
        append_answer(self.path, line)
        self.saved_at = datetime.now().astimezone()
        self._answers.pop(place, None)
        if place in self._history:
            self._history.remove(place)
        if answer is not OPEN:
            self._answers[place] = line
            self._history.append(place)

    def _require_open_study(self) -> None:
        require_state(self.study.state, ("running", "paused"), "accept answers")

    def _state(self, state: Any) -> None:
        is_running = self.rater in running_raters(read_changes(self.study.folder))
        if (state == "running") != is_running:
            self.study.change(state, self.rater)

    def _take_lock(self) -> FileLock:
        path = self.study.folder / RATERS / f".{self.rater}.lock"
        with storage_errors(path):
            path.parent.mkdir(exist_ok=True)
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise DataError(
                    f"'{self.rater}' rates this study in another window. Close that one first."
                ) from error
        return lock
