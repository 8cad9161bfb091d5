"""The two questions about a misprediction, and its correctly classified neighbors."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_quac.gui.bind import bind
from napari_quac.gui.picture_strip import PictureStrip
from napari_quac.gui.text import WrappedLabel
from napari_quac.gui.widgets import button, check_box, choose_entry, column, fill_menu, menu
from napari_quac.live.choices import Choices
from napari_quac.live.neighbor_query import NeighborQuery
from napari_quac.live.results import Results


class QuestionBox(QWidget):
    """Choice of the question; hidden unless the sample is a misprediction or a neighbor of one."""

    neighbor_picked = Signal(int)

    def __init__(self, choices: Choices, results: Results, query: NeighborQuery) -> None:
        super().__init__()
        self._choices, self._results, self._query = choices, results, query
        self.menu = menu("question_menu", n_characters=12, picked=self._on_question)
        self.basis_line = WrappedLabel("", "source_basis_line", role="muted")
        self.strip = PictureStrip("neighbor")
        self.strip.picked.connect(self.neighbor_picked)
        self.styles = check_box("Use the styles of these neighbors", "neighbor_styles_check")
        self.back_button = button(
            "‹ Back to the misprediction", "back_to_misprediction_button", clicked=query.go_back
        )
        column(self.menu, self.basis_line, self.strip, self.styles, self.back_button, spacing=5,
               parent=self)  # fmt: skip
        bind(choices, "neighbor_styles", self.styles, self.styles.toggled, self.styles.isChecked,
             self.styles.setChecked)  # fmt: skip
        for signal in (results.events.prediction, results.events.loaded_generator,
                       results.events.neighbors, results.events.predictions,
                       choices.events.settings, query.changed):  # fmt: skip
            signal.connect(self._show)
        self._show()

    def _on_question(self, row: int) -> None:
        basis = self.menu.itemData(row)
        if basis and basis != self._basis():
            self._choices.update_settings(source_basis=basis)

    def _basis(self) -> str:
        from napari_quac.explain.question import resolve_source_basis

        settings, generator = self._choices.settings, self._results.loaded_generator
        return resolve_source_basis(settings.source_basis, generator)

    def _show_basis(self) -> None:
        """Show the origin of the source class."""
        is_fixed = getattr(self._results.loaded_generator, "source_basis", "") == "label"
        if self._basis() == "prediction":
            text = "The source is the predicted class."
        elif is_fixed:
            text = "The source is the label, which names the folder of the generated images."
        else:
            text = "The source is the label: the question is about a neighbor."
        self.basis_line.setText(text)

    def _show(self) -> None:
        prediction, classifier = self._results.prediction, self._results.loaded_classifier
        is_wrong = prediction is not None and prediction.is_mispredicted and classifier is not None
        is_neighbor = self._query.misprediction is not None
        self.back_button.setVisible(is_neighbor)
        self.setVisible(is_wrong or is_neighbor)
        for widget in (self.menu, self.basis_line, self.strip, self.styles):
            widget.setVisible(is_wrong)
        if prediction is None or classifier is None or prediction.truth is None or not is_wrong:
            return
        label = classifier.class_names[prediction.truth]
        predicted = classifier.class_names[prediction.predicted]
        questions = {
            "prediction": f"What would make it look like {label}?",
            "label": f"What makes it look like {predicted}?",
        }
        fill_menu(self.menu, questions)
        choose_entry(self.menu, self._basis())
        self._show_basis()
        self._show_neighbours(label)

    def _show_neighbours(self, label: str) -> None:
        neighbours, prediction = self._results.neighbors, self._results.prediction
        fits = (
            neighbours is not None
            and prediction is not None
            and neighbours.query is prediction.sample
            and bool(neighbours.indices)
        )
        generator = self._results.loaded_generator
        can_take = generator is not None and generator.takes_references
        first_question = self._basis() == "prediction"
        self.styles.setVisible(fits and can_take and first_question)
        if neighbours is None or not fits:
            table = self._results.predictions
            if table is None or not table.is_complete:
                text = "Predict all samples to see the nearest neighbors."
            elif neighbours is None:
                text = f"No correctly classified {label} was found yet."
            else:
                text = ""
            self.strip.show_pictures(text, (), ())
            return
        verb = "Nearest" if first_question else "Explains the nearest"
        title = f"{verb} correctly classified {label}, {neighbours.basis_text}"
        tooltips = [
            f"{sample.id} · distance {distance:.3g}"
            for sample, distance in zip(neighbours.samples, neighbours.distances, strict=True)
        ]
        images = [sample.image for sample in neighbours.samples]
        self.strip.show_pictures(title, images, tooltips, -1 if first_question else 0)
