"""A rating study in the dock: draft from the explanations in view, sealing, progress, results."""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_quac.errors import DataError
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.lane import Priority
from napari_quac.live.results import Results
from napari_quac.stepwise import Progress, stepwise

if TYPE_CHECKING:
    from napari_quac.study.features import Feature
    from napari_quac.study.folder import Study
    from napari_quac.study.protocol import Kind, Protocol, Rater, Sampling, Selection
    from napari_quac.study.ratings import RaterProgress
    from napari_quac.study.sealing import SealedStudy
    from napari_quac.study.statements import Analysis

SLOT, COUNT_SLOT = "rating_study", "rating_progress"


@dataclass(frozen=True)
class StudyInput:
    """The fields of the panel.

    Attributes
    ----------
    kind : str
        See :class:`~napari_quac.study.protocol.Protocol`.
    features : tuple of Feature
    primary : tuple of str
    raters : str
        Names, separated by semicolons; ``"Ann: 8 years of EM"`` adds the expertise.
    class_pairs : tuple of (str, str)
        Empty for all.
    n_per_stratum : int
    selection : {"random", "top"}
    cluster : str
        Pattern with ``{group}``; empty if samples are independent.
    seed : str
        A whole number; empty to draw it.
    pixel_size : str
        Numbers in nm, separated by commas; empty to measure in pixels.
    """

    kind: Kind
    features: tuple[Feature, ...]
    primary: tuple[str, ...]
    raters: str
    class_pairs: tuple[tuple[str, str], ...] = ()
    n_per_stratum: int = 20
    selection: Selection = "random"
    cluster: str = ""
    seed: str = ""
    pixel_size: str = ""

    def protocol(self) -> Protocol:
        """Return the plan that raters may read.

        Raises
        ------
        DataError
            If a name or a number is impossible.
        """
        from napari_quac.study.protocol import Protocol

        return Protocol(
            kind=self.kind,
            features=self.features,
            paired=self.kind in ("compare", "tag"),
            raters=parse_raters(self.raters),
            primary=self.primary,
            pixel_size=_numbers(self.pixel_size) if self.kind == "measure" else (),
        )

    def sampling(self, view: SamplesInView) -> Sampling:
        """Return the sampling from the explanations in view.

        Raises
        ------
        DataError
            If the seed is no whole number.
        """
        from napari_quac.study.protocol import Sampling

        seed = self.seed.strip()
        if seed and not seed.isdecimal():
            raise DataError(f"The seed '{seed}' is no whole number. Leave it empty to draw one.")
        sampling = Sampling(
            source=view.folder.absolute(),
            class_pairs=self.class_pairs,
            n_per_stratum=self.n_per_stratum,
            selection=self.selection,
            cluster=self.cluster.strip(),
            sample_ids=view.sample_ids,
            filter_text=view.filter_text,
        )
        return replace(sampling, seed=int(seed)) if seed else sampling


@dataclass(frozen=True)
class SamplesInView:
    """The explained samples that pass the filter.

    Attributes
    ----------
    folder : Path
        Of the explanations.
    class_pairs : tuple of (str, str)
    n : int
        Number of explained samples in view.
    sample_ids : tuple of str
        Empty if all are in view.
    filter_text : str
    """

    folder: Path
    class_pairs: tuple[tuple[str, str], ...]
    n: int
    sample_ids: tuple[str, ...] = ()
    filter_text: str = ""


@dataclass(frozen=True)
class StudyState:
    """The study that is open in the panel.

    Attributes
    ----------
    study : Study or None
    state : str
        Empty without a study.
    progress : tuple of RaterProgress
    analysis : Analysis or None
        After unblinding.
    key_path : Path or None
        Of a study that was sealed here; by default beside the folder.
    notes : tuple of str
        Of sealing.
    """

    study: Study | None = None
    state: str = ""
    progress: tuple[RaterProgress, ...] = ()
    analysis: Analysis | None = None
    key_path: Path | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def n_open(self) -> int:
        """Trials that are not complete, over all raters."""
        return sum(row.n_trials - row.n_complete for row in self.progress)


class RatingStudy:
    """The steps of one study; files are read and written in the lane.

    Answers stay unread until the study is unblinded; before, they are counted.

    Attributes
    ----------
    current : StudyState
    """

    changed = Signal()

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        self._choices, self._results, self._controller = choices, results, controller
        self.current = StudyState()
        self._signature: tuple[Any, ...] = ()

    @property
    def is_busy(self) -> bool:
        """True while a step is under way."""
        return SLOT in self._controller.running

    def in_view(self) -> SamplesInView | None:
        """Return the explained samples in view; None without a report."""
        opened, order = self._results.report, self._results.order
        if opened is None or not len(opened.report):
            return None
        report = opened.report
        pairs = tuple((report.class_name(a), report.class_name(b)) for a, b in report.class_pairs)
        explained, n_all = opened.by_sample, len(opened.by_sample)
        if order is None:
            return SamplesInView(opened.folder, pairs, n_all)
        names = order.columns.sample_list.ids[order.indices]
        ids = tuple(str(name) for name in names if str(name) in explained)
        if not order.filter_text or len(ids) == n_all:
            return SamplesInView(opened.folder, pairs, n_all)
        return SamplesInView(opened.folder, pairs, len(ids), ids, order.filter_text)

    def draft(self, folder: Path, entries: StudyInput) -> None:
        """Write a draft into a new folder, or replace the draft in it.

        Raises
        ------
        DataError
            If there are no explanations in view, or an entry is impossible.
        """
        view = self.in_view()
        if view is None or not view.n:
            raise DataError(
                "There are no explanations in view. Explain some samples into a folder (Explain "
                "these…), or open one."
            )
        protocol, sampling = entries.protocol(), entries.sampling(view)

        def work() -> StudyState:
            from napari_quac.study.sealing import draft_study

            return read_state(draft_study(folder, protocol, sampling).folder)

        self._run("writing the draft", work)

    def open(self, folder: Path) -> None:
        """Open the study in a folder; one that was unblinded is analyzed."""

        def work() -> StudyState:
            state = read_state(folder)
            return analyzed(state) if state.state == "unblinded" else state

        self._run("opening the study", work)

    def close_study(self) -> None:
        """Forget the open study; its files stay."""
        self._set(StudyState())

    def seal(self, key_path: Path | None = None) -> None:
        """Seal the draft: draw trials, copy images, write the key outside of the folder."""
        study = self._study()

        @stepwise
        def work() -> Generator[Progress, None, StudyState]:
            from napari_quac.study.sealing import seal_steps

            sealed: SealedStudy = yield from seal_steps(study, user_name(), key_path)
            state = read_state(sealed.study.folder)
            return replace(state, key_path=sealed.key_path, notes=sealed.notes)

        self._run("sealing the study", work)

    def end(self, early: bool = False) -> None:
        """Accept no more answers."""
        study = self._study()

        def work() -> StudyState:
            from napari_quac.study.unblinding import end_study

            end_study(study, user_name(), early)
            return self._reread()

        self._run("ending the study", work)

    def unblind(self) -> None:
        """Join answers and key, export, and test the features; this is final."""
        study, key_path = self._study(), self.current.key_path

        def work() -> StudyState:
            from napari_quac.study.unblinding import unblind_study

            unblind_study(study, user_name(), key_path)
            return analyzed(self._reread())

        self._run("unblinding the study", work)

    def save_results(self, folder: Path) -> None:
        """Write table and statements of the analysis.

        Raises
        ------
        DataError
            If there is none.
        """
        analysis = self.current.analysis
        if analysis is None:
            raise DataError("The study has no results yet. Unblind it first.")

        def work() -> StudyState:
            from napari_quac.study.analysis_files import write_analysis

            write_analysis(analysis, folder)
            return self.current

        self._run("saving the results", work)

    def count(self) -> None:
        """Count the answers again if a file of the study has changed since."""
        study = self.current.study
        if study is None or self.is_busy or COUNT_SLOT in self._controller.running:
            return
        signature = _signature(study.folder)
        if signature == self._signature:
            return
        self._signature = signature
        self._controller.run(
            COUNT_SLOT, "counting the answers", self._reread, self._set, priority=Priority.SHORT
        )

    def _study(self) -> Study:
        if self.current.study is None:
            raise DataError("No study is open. Write a draft, or choose the folder of a study.")
        return self.current.study

    def _reread(self) -> StudyState:
        present = self.current
        state = read_state(self._study().folder)
        return replace(
            state, analysis=present.analysis, key_path=present.key_path, notes=present.notes
        )

    def _run(self, status_text: str, work: Callable[[], Any]) -> None:
        self._controller.run(SLOT, status_text, work, self._set)

    def _set(self, state: StudyState) -> None:
        self.current = state
        self.changed.emit()


def read_state(folder: Path) -> StudyState:
    """Read plan, state and counts of a study, and no answer.

    Raises
    ------
    DataError
        If there is no study.
    """
    from napari_quac.study.folder import open_study
    from napari_quac.study.ratings import rater_progress

    study = open_study(folder)
    state = study.state
    return StudyState(study, state, () if state == "draft" else rater_progress(study))


def analyzed(state: StudyState) -> StudyState:
    """Return the state of an unblinded study with its analysis.

    Raises
    ------
    DataError
        If the key is missing, or there is no answer.
    """
    from napari_quac.study.analysis_files import analyze_unblinded

    if state.study is None:
        return state
    analysis = analyze_unblinded(state.study, state.key_path)
    return replace(state, analysis=analysis)


def parse_raters(text: str) -> tuple[Rater, ...]:
    """Return raters of a text such as ``"Ann: 8 years of EM; Bob"``.

    Raises
    ------
    DataError
        If a name is impossible.
    """
    from napari_quac.study.protocol import Rater

    raters = []
    for part in filter(str.strip, text.split(";")):
        name, _, expertise = part.partition(":")
        try:
            raters.append(Rater(name.strip(), expertise.strip()))
        except ValueError as error:
            raise DataError(f"{error}. Choose another name.") from error
    return tuple(raters)


def user_name() -> str:
    """Return the name of the account, for the log of a study."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "leader"


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in re.split(r"[,;×x\s]+", text.strip()) if part)
    except ValueError as error:
        raise DataError(
            f"The pixel size '{text}' is no number in nm, such as 4 or 40, 4, 4."
        ) from error


def _signature(folder: Path) -> tuple[Any, ...]:
    """Return sizes and times of the files that raters change."""
    marks = []
    for path in (folder / "states.jsonl", *sorted((folder / "raters").glob("*.jsonl"))):
        try:
            status = path.stat()
        except OSError:
            continue
        marks.append((path.name, status.st_size, status.st_mtime_ns))
    return tuple(marks)
