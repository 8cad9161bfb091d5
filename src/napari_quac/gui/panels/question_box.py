"""The two questions about a misprediction, and its correctly classified neighbours."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QPushButton, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.bind import bind
from napari_quac.gui.picture_strip import PictureStrip
from napari_quac.gui.text import WrappedLabel
from napari_quac.live.choices import Choices
from napari_quac.live.neighbor_query import NeighborQuery
from napari_quac.live.results import Results


class QuestionBox(QWidget):
    """Shows only while the selected sample is a misprediction, or a neighbour of one."""

    neighbor_picked = Signal(int)

    def __init__(self, choices: Choices, results: Results, query: NeighborQuery) -> None:
        super().__init__()
        self._choices, self._results, self._query = choices, results, query
        self.menu = QComboBox()
        self.menu.setObjectName("question_menu")
        self.menu.setToolTip(
            "A misprediction can be asked what it lacks of its label, or what looks like the "
            "predicted class; the second is asked of its nearest correctly classified neighbour"
        )
        self.menu.setMinimumContentsLength(12)
        self.menu.currentIndexChanged.connect(self._on_question)
        self.basis_line = WrappedLabel("", "source_basis_line", role="muted")
        self.strip = PictureStrip("neighbour")
        self.strip.picked.connect(self.neighbor_picked)
        self.styles = QCheckBox("Take styles from these neighbours")
        self.styles.setObjectName("neighbour_styles_check")
        self.styles.setToolTip(
            "The generator takes the style of each neighbour in turn, instead of random ones"
        )
        self.back_button = QPushButton("‹ Back to the misprediction")
        self.back_button.setObjectName("back_to_misprediction_button")
        self.back_button.clicked.connect(query.go_back)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        for widget in (self.menu, self.basis_line, self.strip, self.styles, self.back_button):
            column.addWidget(widget)
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
        """Show the source class, and why it is the label or the prediction."""
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
        wrong = prediction is not None and prediction.is_mispredicted and classifier is not None
        asked = self._query.misprediction is not None
        self.back_button.setVisible(asked)
        self.setVisible(wrong or asked)
        for widget in (self.menu, self.basis_line, self.strip, self.styles):
            widget.setVisible(wrong)
        if prediction is None or classifier is None or prediction.truth is None or not wrong:
            return
        label = classifier.class_names[prediction.truth]
        predicted = classifier.class_names[prediction.predicted]
        with signals_blocked(self.menu):
            self.menu.clear()
            self.menu.addItem(f"What would make it look like {label}?", "prediction")
            self.menu.addItem(f"What makes it look like {predicted}?", "label")
            self.menu.setCurrentIndex(self.menu.findData(self._basis()))
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
        can_take = getattr(self._results.loaded_generator, "takes_references", False)
        first_question = self._basis() == "prediction"
        self.styles.setVisible(fits and can_take and first_question)
        if neighbours is None or not fits:
            table = self._results.predictions
            if table is None or not table.is_complete:
                text = "Predict all samples to see the nearest correctly classified ones."
            elif neighbours is None:
                text = f"No other {label} is classified correctly, or they are being looked for."
            else:
                text = ""
            self.strip.show_pictures(text, (), ())
            return
        what = "Asked of" if not first_question else "Nearest"
        title = f"{what} correctly classified {label}, {neighbours.basis_text}"
        tips = [
            f"{sample.id} · distance {distance:.3g}"
            for sample, distance in zip(neighbours.samples, neighbours.distances, strict=True)
        ]
        images = [sample.image for sample in neighbours.samples]
        self.strip.show_pictures(title, images, tips, -1 if first_question else 0)
