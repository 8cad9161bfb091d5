"""The question whether programs in files may run; nothing of them is loaded before the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from psygnal import Signal
from qtpy.QtWidgets import QWidget

from napari_quac.errors import StorageError
from napari_quac.gui.panels.network_card import Card
from napari_quac.gui.slots import slots
from napari_quac.gui.widgets import column
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.failure import failure
from napari_quac.live.lane import Priority
from napari_quac.networks.consent import Request, describe, programs_in, trust, untrusted
from napari_quac.serialize import paths_in

YES, NO = "Trust and use", "Do not use"


@dataclass(frozen=True)
class _Question:
    programs: tuple[Request, ...]
    use: Callable[[], None]


@slots
class ConsentCard(QWidget):
    """Asks once about all programs that an opened file or a parameter names.

    Parameters
    ----------
    choices : Choices
        Parameters of methods may name programs, too.
    controller : Controller
        Reads files in its lane.
    """

    asked = Signal()

    def __init__(self, choices: Choices, controller: Controller) -> None:
        super().__init__()
        self.card = Card("consent")
        column(self.card, parent=self)
        self._choices, self._controller = choices, controller
        self._question: _Question | None = None
        self.card.accepted.connect(self._on_accepted)
        self.card.declined.connect(self._on_declined)
        for event in (choices.events.settings, choices.events.generator):
            event.connect(self._on_choice)

    def ask(self, origin: str, programs: Sequence[Request], use: Callable[[], None]) -> None:
        """Call ``use`` once all programs are trusted; ask if some are not.

        Parameters
        ----------
        origin : str
            Names where the programs are named, such as ``the plan 'plan.yaml'``.
        programs : sequence of Request
            As they were read; an exchanged file is refused when it is loaded.
        use : callable
            Continues the work.
        """
        if not (unknown := untrusted(programs)):
            self._on_declined()
            use()
            return
        self._question = _Question(unknown, use)
        it = "them" if len(unknown) > 1 else "it"
        self.card.ask(
            f"{origin[:1].upper()}{origin[1:]} names {describe(unknown)}. Use {it} only if you "
            "trust the source.",
            YES,
            NO,
        )
        self.asked.emit()

    def agree(self, programs: Sequence[Request], use: Callable[[], None]) -> None:
        """Trust programs, also in later sessions, and continue the work."""
        trust(programs)
        use()  # first, because another network ends earlier failures
        try:
            trust(programs, remember=True)
        except StorageError as error:
            self._controller.failed.emit(failure("consent", "remembering your answer", error))

    def _on_accepted(self) -> None:
        question = self._question
        self._on_declined()
        if question is not None:
            self.agree(question.programs, question.use)

    def _on_declined(self) -> None:
        self._question = None
        self.card.clear()

    def _on_choice(self, choice: Any) -> None:
        """Ask about a program in a parameter, such as the inpainter of a method."""
        files = choice.paths() if hasattr(choice, "paths") else ()  # whose opening has asked
        if set(paths_in(choice)) <= set(files):
            return

        def ask(programs: tuple[Request, ...]) -> None:
            if untrusted(programs):
                self.ask("a parameter", programs, lambda: None)

        self._controller.run(
            "consent", "looking for programs", lambda: programs_in(choice), ask,
            priority=Priority.SHORT,
        )  # fmt: skip
