"""Ways out, as buttons, where samples and a network do not fit each other in shape."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QPushButton, QVBoxLayout, QWidget

from napari_quac.data.recipes import PreprocessedRecipe
from napari_quac.errors import ShapeError
from napari_quac.gui.text import WrappedLabel, set_tone
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.failure import Failure
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.data.preprocessing import Preprocessing

    Way = (
        Preprocessing | tuple[int, ...]
    )  # a change of the samples, or a size of the classifier's images

MAX_WAYS = 5


class FitPanel(QWidget):
    """A card that is there only while something does not fit, or was made to fit.

    It offers to change the samples, says what was changed, and takes it back.
    """

    explained = Signal(object)
    """The card says what is wrong; carries the failure in fewer words."""

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        super().__init__()
        self._choices, self._results = choices, results
        self._ways: tuple[tuple[str, Way], ...] = ()
        self.text = WrappedLabel("", "fit_text")
        self.card = QFrame()
        self.card.setObjectName("fit_card")
        self.card.setProperty("card", "true")
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 0, 0, 8)
        around.addWidget(self.card)
        layout = QVBoxLayout(self.card)
        layout.setContentsMargins(10, 7, 10, 9)
        layout.setSpacing(4)
        layout.addWidget(self.text)
        self.buttons = []
        for number in range(MAX_WAYS):
            button = QPushButton()
            button.setObjectName(f"fit_{number}")
            button.clicked.connect(partial(self._on_way, number))
            layout.addWidget(button)
            self.buttons.append(button)
        self.undo_button = QPushButton("Undo")
        self.undo_button.setObjectName("fit_undo")
        self.undo_button.setToolTip("Take the samples as they are")
        self.undo_button.clicked.connect(self._on_undo)
        layout.addWidget(self.undo_button, 0, Qt.AlignmentFlag.AlignLeft)
        controller.failed.connect(self._on_failed)
        results.events.loaded_samples.connect(self._show_change)
        results.events.prediction.connect(self._on_prediction)
        self._show_change()

    def _on_failed(self, fault: Failure) -> None:
        error = fault.error
        if (
            not isinstance(error, ShapeError)
            or error.image_shape is None
            or error.network_input is None
        ):
            return
        if fault.slot not in ("prediction", "searched_pair") or self._choices.samples is None:
            return
        from napari_quac.data.preprocessing import suggest_preprocessing

        channels, size = error.network_input
        ways = suggest_preprocessing(error.image_shape, channels, size)
        of_classifier = fault.slot == "prediction"
        others = self._other_size(error.image_shape) if of_classifier else ()
        found: tuple[tuple[str, Way], ...] = (*others, *ways)
        self._ways = found[:MAX_WAYS]
        if not self._ways:
            return
        network = "classifier" if of_classifier else "generator"
        verb = "seems to be trained" if of_classifier and self._is_guessed() else "was trained"
        self.text.setText(
            f"The {network} {verb} for {_shape(channels, size)}; the samples have "
            f"{_shape(error.image_shape[0], error.image_shape[1:])}."
        )
        set_tone(self.card, "bad")
        set_tone(self.text, "bad")
        self._show_buttons()
        self.show()
        self.explained.emit(replace(fault, sentence=self.text.text()))

    def _is_guessed(self) -> bool:
        """Whether the size of the classifier's images follows from its weights alone."""
        classifier = self._results.loaded_classifier
        return classifier is not None and classifier.size_was_guessed

    def _other_size(self, found: tuple[int, ...]) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Offer to read a VGG for the size of the samples: its pooling is not in the file."""
        classifier = self._results.loaded_classifier
        if classifier is None or not self._is_guessed() or found[0] != classifier.channels:
            return ()
        if not classifier.description.get("Kind", "").startswith("vgg"):
            return ()
        size = found[1:]
        pixels = f"{size[0]} px" if len(set(size)) == 1 else " × ".join(map(str, size)) + " px"
        return ((f"It was trained on {pixels}", size),)

    def _on_prediction(self, prediction: object) -> None:
        if prediction is not None and self._ways:
            self._show_change()

    def _show_change(self) -> None:
        """Say what was changed, or nothing."""
        self._ways = ()
        source = self._choices.samples
        changes: list[str] = []
        while isinstance(source, PreprocessedRecipe):
            changes.insert(0, str(source.preprocessing))
            source = source.source
        self.text.setText("Samples are changed to fit: " + ", ".join(changes) + ".")
        set_tone(self.card, "")
        set_tone(self.text, "")
        self._show_buttons()
        self.setVisible(bool(changes))

    def _show_buttons(self) -> None:
        for number, button in enumerate(self.buttons):
            there = number < len(self._ways)
            button.setVisible(there)
            button.setText(self._ways[number][0] if there else "")
        self.undo_button.setVisible(isinstance(self._choices.samples, PreprocessedRecipe))

    def _on_way(self, number: int) -> None:
        source = self._choices.samples
        if source is None or number >= len(self._ways):
            return
        way = self._ways[number][1]
        if isinstance(way, tuple):
            self._choices.classifier = replace(self._choices.classifier, image_size=way)
        else:
            self._choices.samples = PreprocessedRecipe(source, way)

    def _on_undo(self) -> None:
        source = self._choices.samples
        while isinstance(source, PreprocessedRecipe):
            source = source.source
        self._choices.samples = source


def _shape(channels: int, size: tuple[int, ...] | None) -> str:
    said = "1 channel" if channels == 1 else f"{channels} channels"
    if size is None:
        return said
    if len(set(size)) == 1:
        return f"{said} of {size[0]} px"
    return f"{said} of {' × '.join(map(str, size))} px"
