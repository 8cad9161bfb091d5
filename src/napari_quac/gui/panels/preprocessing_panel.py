"""Suggested preprocessing where the shapes of samples and a network differ."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QWidget

from napari_quac.data.preprocessed import PreprocessedRecipe
from napari_quac.data.preprocessing import Preprocessing, combine
from napari_quac.data.suggestions import suggest_preprocessing
from napari_quac.errors import ShapeError
from napari_quac.gui.message import Message
from napari_quac.gui.slots import slots
from napari_quac.gui.text import set_tone
from napari_quac.gui.widgets import button, column
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.failure import Failure
from napari_quac.live.results import Results
from napari_quac.networks.classifier_recipe import ClassifierRecipe

Suggestion = Preprocessing | tuple[int, ...]  # or an input size of the classifier

MAX_SUGGESTIONS = 5


@slots
class PreprocessingPanel(QWidget):
    """The shape-mismatch card: suggests a preprocessing, describes it, and undoes it."""

    explained = Signal(object)
    """The card shows a mismatch; carries the failure with a shorter sentence."""

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        super().__init__()
        self._choices, self._results = choices, results
        self._suggestions: tuple[tuple[str, Suggestion], ...] = ()
        self._inside_classifier = False
        self.text = Message("preprocessing_text")
        self.buttons = [
            button("", f"preprocessing_{number}", clicked=partial(self._on_suggestion, number))
            for number in range(MAX_SUGGESTIONS)
        ]
        self.undo_button = button("Undo", "preprocessing_undo", clicked=self._on_undo)
        self.card = QFrame()
        self.card.setObjectName("preprocessing_card")
        self.card.setProperty("card", "true")
        layout = column(self.text, *self.buttons, self.undo_button, spacing=4, parent=self.card)
        layout.setAlignment(self.undo_button, Qt.AlignmentFlag.AlignLeft)
        layout.setContentsMargins(10, 7, 10, 9)
        column(self.card, parent=self).setContentsMargins(0, 0, 0, 8)
        controller.failed.connect(self._on_failed)
        results.events.loaded_samples.connect(self._show_change)
        results.events.prediction.connect(self._on_prediction)
        self._show_change()

    def _on_failed(self, fault: Failure) -> None:
        error = fault.error
        if not isinstance(error, ShapeError):
            return
        if error.image_shape is None or error.network_input is None:
            return
        if fault.slot not in ("prediction", "searched_pair") or self._choices.samples is None:
            return
        channels, size = error.network_input
        is_classifier = fault.slot == "prediction"
        sizes = self._other_size(error.image_shape) if is_classifier else ()
        self._inside_classifier = is_classifier and isinstance(
            self._choices.classifier, ClassifierRecipe
        )
        subject = "for the classifier" if self._inside_classifier else "of the samples"
        suggestions: tuple[tuple[str, Suggestion], ...] = (
            *sizes,
            *suggest_preprocessing(error.image_shape, channels, size, subject),
        )
        self._suggestions = suggestions[:MAX_SUGGESTIONS]
        if not self._suggestions:
            return
        network = "classifier" if is_classifier else "generator"
        verb = "was probably" if is_classifier and self._is_guessed() else "was"
        text = (
            f"The {network} {verb} trained on images with {_shape(channels, size)}, but the "
            f"samples have {_shape(error.image_shape[0], error.image_shape[1:])}."
        )
        self._show_text(text, "bad")
        self.show()
        self.explained.emit(replace(fault, sentence=text))

    def _show_text(self, text: str, tone: str) -> None:
        """Show a text in a tone, with the buttons of the current suggestions."""
        self.text.setText(text, tone)
        set_tone(self.card, tone)
        texts = [suggestion_text for suggestion_text, _ in self._suggestions]
        for number, suggestion_button in enumerate(self.buttons):
            suggestion_button.setVisible(number < len(texts))
            suggestion_button.setText(texts[number] if number < len(texts) else "")
        self.undo_button.setVisible(isinstance(self._choices.samples, PreprocessedRecipe))

    def _is_guessed(self) -> bool:
        """Return True if the input size of the classifier was derived from its weights only."""
        classifier = self._results.loaded_classifier
        return classifier is not None and classifier.size_was_guessed

    def _other_size(self, shape: tuple[int, ...]) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Suggest the size of the samples for a VGG, whose file does not specify its pooling."""
        classifier = self._results.loaded_classifier
        if classifier is None or not self._is_guessed() or shape[0] != classifier.channels:
            return ()
        if not classifier.description.get("Kind", "").startswith("vgg"):
            return ()
        return ((f"Set input size to {_pixels(shape[1:])}", shape[1:]),)

    def _on_prediction(self, prediction: object) -> None:
        if prediction is not None and self._suggestions:
            self._show_change()

    def _show_change(self) -> None:
        """Describe the preprocessing of the samples; hide the card if there is none."""
        self._suggestions = ()
        source = self._choices.samples
        changes: list[str] = []
        while isinstance(source, PreprocessedRecipe):
            changes.insert(0, str(source.preprocessing))
            source = source.source
        self._show_text("The samples are preprocessed: " + ", ".join(changes) + ".", "")
        self.setVisible(bool(changes))

    def _on_suggestion(self, number: int) -> None:
        source = self._choices.samples
        if source is None or number >= len(self._suggestions):
            return
        suggestion = self._suggestions[number][1]
        classifier = self._choices.classifier
        if isinstance(suggestion, tuple):
            self._choices.classifier = replace(classifier, image_size=suggestion)
        elif self._inside_classifier:
            before = classifier.preprocessing or Preprocessing()
            self._choices.classifier = replace(
                classifier, preprocessing=combine(before, suggestion)
            )
        else:
            self._choices.samples = PreprocessedRecipe(source, suggestion)

    def _on_undo(self) -> None:
        source = self._choices.samples
        while isinstance(source, PreprocessedRecipe):
            source = source.source
        self._choices.samples = source


def _shape(channels: int, size: tuple[int, ...] | None) -> str:
    text = "1 channel" if channels == 1 else f"{channels} channels"
    return text if size is None else f"{text} of {_pixels(size)}"


def _pixels(size: tuple[int, ...]) -> str:
    return f"{size[0]} px" if len(set(size)) == 1 else " × ".join(map(str, size)) + " px"
