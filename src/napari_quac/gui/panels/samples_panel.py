"""Which images to ask about, and which of them is selected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QToolButton,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_quac.data.place import short_extent
from napari_quac.data.recipes import ImageFolderRecipe
from napari_quac.errors import QuacError
from napari_quac.gui.layer_menu import rename_entry
from napari_quac.gui.layer_volume import readable
from napari_quac.gui.path_field import PathField
from napari_quac.gui.pictures import thumbnail
from napari_quac.gui.plain_spin import PlainSpinBox
from napari_quac.gui.section import Section, caption, labelled_row
from napari_quac.gui.text import ElidedLabel, WrappedLabel, set_tone
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.controller import Controller
from napari_quac.live.failure import failure
from napari_quac.live.results import Results
from napari_quac.live.rules import N_PREVIEWS
from napari_quac.live.sample_order import step_sample

PREVIEW_SIZE = 46


class SamplesPanel(Section):
    """Chooses a folder or a layer, and one sample of it."""

    next_misprediction_wanted = Signal()

    def __init__(
        self, viewer: Any, own_layers: Any, choices: Choices, results: Results,
        controller: Controller,
    ) -> None:  # fmt: skip
        super().__init__("Samples", "samples")
        self._viewer, self._own_layers = viewer, own_layers
        self._choices, self._results, self._controller = choices, results, controller
        self.field = PathField("Folder", "samples", "a folder with one subfolder per class",
                               folders=True)  # fmt: skip
        self.field.picked.connect(lambda path: self.open_folder(Path(path)))
        self.body_layout.addWidget(self.field)
        self._build_layer_row()
        self.problem = WrappedLabel("", "samples_problem")
        set_tone(self.problem, "bad")
        self.problem.hide()
        self.body_layout.addWidget(self.problem)
        self._build_previews()
        self._build_selection()
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._show_layers)
        viewer.layers.events.renamed.connect(self._on_renamed)
        results.events.loaded_samples.connect(self._show_dataset)
        results.events.previews.connect(self._show_previews)
        results.events.prediction.connect(self._show_sample)
        results.events.sample.connect(self._show_sample)
        choices.events.sample_index.connect(self._show_index)
        results.events.order.connect(self._show_steps)
        controller.failed.connect(self._on_failed)
        self._show_layers()
        self._show_dataset()
        self._show_previews()
        self._show_sample()

    def open_folder(self, directory: Path) -> None:
        """Take the images of a folder as samples."""
        self.problem.hide()
        self._choices.samples = ImageFolderRecipe(directory.expanduser())

    def use_layer(self) -> None:
        """Take the images of the chosen layer as samples."""
        from napari_quac.data.image_stack import ImageStack

        layer = self._layer()
        if layer is None:
            return
        unit = str(layer.units[-1]) if layer.units else None
        try:
            dataset = ImageStack(
                readable(layer.data),
                (self.layer_low.value(), self.layer_high.value()),
                tuple(layer.scale),
                tuple(layer.translate),
                None if unit == "pixel" else unit,
                layer.name,
                bool(layer.rgb),
                self._image_axes(),
            )
        except QuacError as error:
            self._controller.failed.emit(failure("loaded_samples", "reading the layer", error))
            return
        self.problem.hide()
        self._choices.samples = ReadySamples(dataset)

    def _image_axes(self) -> int:
        """Return 3 where the classifier takes volumes, else 2."""
        classifier = self._results.loaded_classifier
        return (classifier.n_axes or 2) if classifier is not None else 2

    def step(self, by: int) -> None:
        """Go some samples forward or back, in the order of the table."""
        step_sample(self._choices, self._results, by)

    def close_panel(self) -> None:
        """Listen to the viewer no more."""
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            event.disconnect(self._show_layers)
        self._viewer.layers.events.renamed.disconnect(self._on_renamed)

    def _build_layer_row(self) -> None:
        self.layer_menu = QComboBox()
        self.layer_menu.setObjectName("layer_menu")
        self.layer_menu.setToolTip("An image layer: one image, or a stack of images (N, Y, X)")
        self.layer_menu.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.layer_menu.setMinimumContentsLength(4)
        self.layer_menu.setProperty("narrow", "true")
        self.layer_menu.currentIndexChanged.connect(self._show_layer_range)
        self.layer_low, self.layer_high = PlainSpinBox(), PlainSpinBox()
        for widget, name, tip in (
            (self.layer_low, "layer_low", "The value that is black (0)"),
            (self.layer_high, "layer_high", "The value that is white (1)"),
        ):
            widget.setObjectName(name)
            widget.setRange(-1e9, 1e9)
            widget.setDecimals(3)
            widget.setToolTip(tip)
            widget.setProperty("narrow", "true")
            widget.setFixedWidth(50)
        self.use_layer_button = QPushButton("Use")
        self.use_layer_button.setObjectName("use_layer_button")
        self.use_layer_button.setToolTip("Take the images of this layer as samples")
        self.use_layer_button.clicked.connect(self.use_layer)
        self._layer_row = QWidget()
        row = QHBoxLayout(self._layer_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(caption("Layer"))
        row.addWidget(self.layer_menu, 1)
        row.addWidget(self.layer_low)
        row.addWidget(self.layer_high)
        row.addWidget(self.use_layer_button)
        self.body_layout.addWidget(self._layer_row)

    def _build_previews(self) -> None:
        self._previews_row = QWidget()
        row = QHBoxLayout(self._previews_row)
        row.setContentsMargins(0, 2, 0, 0)
        row.setSpacing(4)
        self.preview_buttons = []
        for number in range(N_PREVIEWS):
            button = QToolButton()
            button.setObjectName(f"preview_{number}")
            button.setIconSize(QSize(PREVIEW_SIZE, PREVIEW_SIZE))
            button.setFixedSize(PREVIEW_SIZE + 2, PREVIEW_SIZE + 2)
            button.setAutoRaise(True)
            button.clicked.connect(lambda _=False, n=number: self._on_preview(n))
            row.addWidget(button)
            self.preview_buttons.append(button)
        row.addStretch(1)
        self.range_line = ElidedLabel()
        self.range_line.setObjectName("range_line")
        self.range_line.setProperty("role", "muted")
        self.body_layout.addWidget(self._previews_row)
        self.body_layout.addWidget(self.range_line)
        self._build_folder_range()

    def _build_folder_range(self) -> None:
        """Ask for the range of values where the files do not tell it."""
        self.folder_low, self.folder_high = PlainSpinBox(), PlainSpinBox()
        for widget, name, value in (
            (self.folder_low, "folder_low", 0.0),
            (self.folder_high, "folder_high", 65535.0),
        ):
            widget.setObjectName(name)
            widget.setRange(-1e9, 1e9)
            widget.setDecimals(3)
            widget.setValue(value)
            widget.setToolTip("The values in the files that are black and white")
        self.use_range_button = QPushButton("Use")
        self.use_range_button.setObjectName("use_range_button")
        self.use_range_button.setToolTip("Read the files again with this range")
        self.use_range_button.clicked.connect(self._on_range_given)
        self._folder_range = QWidget()
        row = labelled_row("Range", self.folder_low, self.folder_high, self.use_range_button)
        self._folder_range.setLayout(row)
        self._folder_range.hide()
        self.body_layout.addWidget(self._folder_range)

    def _on_range_given(self) -> None:
        source = self._choices.samples
        if isinstance(source, ImageFolderRecipe):
            given = (self.folder_low.value(), self.folder_high.value())
            self.problem.hide()
            self._choices.samples = replace(source, image_range=given)

    def _build_selection(self) -> None:
        self._selection = QWidget()
        row = QHBoxLayout(self._selection)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.previous_button, self.next_button = QPushButton("‹"), QPushButton("›")
        self.spin = QSpinBox()
        self.spin.setObjectName("sample_spin")
        self.spin.setToolTip("Number of the sample, counted from 1")
        self.spin.setKeyboardTracking(False)
        self.misprediction_button = QPushButton("Next wrong one")
        self.misprediction_button.setObjectName("next_misprediction_button")
        self.misprediction_button.setToolTip(
            "Go to the next sample that the classifier calls something else than its label (N)"
        )
        for button, name, tip, by in (
            (self.previous_button, "previous_sample_button", "Previous sample (J)", -1),
            (self.next_button, "next_sample_button", "Next sample (K)", 1),
        ):
            button.setObjectName(name)
            button.setToolTip(tip)
            button.setFixedWidth(28)
            button.setProperty("narrow", "true")
            button.clicked.connect(lambda _=False, by=by: self.step(by))
        row.addWidget(self.previous_button)
        row.addWidget(self.spin, 1)
        row.addWidget(self.next_button)
        row.addSpacing(4)
        row.addWidget(self.misprediction_button)
        self.spin.valueChanged.connect(self._on_spin)
        self.misprediction_button.clicked.connect(self.next_misprediction_wanted)
        self.sample_line = WrappedLabel("", "sample_line")
        self.body_layout.addWidget(self._selection)
        self.body_layout.addWidget(self.sample_line)

    def _layer(self) -> Any:
        name = self.layer_menu.currentData()
        return self._viewer.layers[name] if name in self._viewer.layers else None

    def _on_renamed(self, event: Any) -> None:
        rename_entry(self.layer_menu, self._viewer.layers, event.index)

    def _show_layers(self, event: Any = None) -> None:
        own = list(self._own_layers.values())
        gone = getattr(event, "value", None) if getattr(event, "type", "") == "removed" else None
        names = [
            layer.name
            for layer in self._viewer.layers
            if isinstance(layer, Image) and not any(layer == o for o in own) and layer != gone
            and layer.name not in ("query", "generated", "hybrid", "attribution", "mask")
        ]  # fmt: skip
        if names != [self.layer_menu.itemData(i) for i in range(self.layer_menu.count())]:
            before = self.layer_menu.currentData()
            with signals_blocked(self.layer_menu):
                self.layer_menu.clear()
                for name in names:
                    self.layer_menu.addItem(name, name)
                self.layer_menu.setCurrentIndex(max(0, self.layer_menu.findData(before)))
            self._show_layer_range()
        self._layer_row.setVisible(bool(names))

    def _show_layer_range(self) -> None:
        from napari_quac.data.image_stack import usual_range

        layer = self._layer()
        if layer is None:
            return
        contrast = None if layer.rgb else tuple(layer.contrast_limits_range)
        low, high = usual_range(layer.dtype, contrast)
        self.layer_low.setValue(low)
        self.layer_high.setValue(high)

    def _show_dataset(self) -> None:
        dataset = self._results.loaded_samples
        there = dataset is not None
        self._previews_row.setVisible(there)
        self.range_line.setVisible(there)
        self._selection.setVisible(there)
        self.sample_line.setVisible(there)
        if dataset is None:
            self.set_summary("")
            return
        n = len(dataset)
        directory = getattr(self._choices.samples, "directory", None)
        self.field.show_path(directory, "" if directory else dataset.name)
        self.problem.hide()
        n_classes = len(dataset.classes)
        kinds = f" · {n_classes} class{'es' * (n_classes > 1)}" if n_classes else ""
        self.set_summary(f"{n} {'sample' if n == 1 else 'samples'}{kinds} · {dataset.name}")
        with signals_blocked(self.spin):
            self.spin.setRange(1, n)
            self.spin.setSuffix(f" of {n}")
        self.misprediction_button.setVisible(bool(dataset.classes))
        self._choices.sample_index = None
        self._choices.sample_index = 0

    def _show_previews(self) -> None:
        previews = self._results.previews
        for number, button in enumerate(self.preview_buttons):
            there = number < len(previews)
            button.setVisible(there)
            if not there:
                continue
            preview = previews[number]
            if preview.sample is None:
                button.setIcon(QIcon())
                button.setText("✗")
                button.setToolTip(preview.problem)
                continue
            button.setText("")
            button.setIcon(QIcon(thumbnail(preview.sample.image, PREVIEW_SIZE)))
            button.setToolTip(
                f"{preview.sample.id}: values {preview.low:.2f} to {preview.high:.2f}"
            )
        good = [preview for preview in previews if preview.sample is not None]
        if good:
            shape = short_extent(good[0].sample.image.shape[1:])  # type: ignore[union-attr]
            low, high = min(p.low for p in good), max(p.high for p in good)
            self.range_line.setText(f"{shape} · values {low:.2f} to {high:.2f} of 0 to 1")
        else:
            self.range_line.setText("")
        problems = [preview.problem for preview in previews if preview.problem]
        about_range = any("range" in problem for problem in problems)
        self._folder_range.setVisible(
            about_range and isinstance(self._choices.samples, ImageFolderRecipe)
        )
        if problems and not good:
            self.problem.setText(problems[0])
            self.problem.show()

    def _show_index(self) -> None:
        index = self._choices.sample_index
        if index is not None:
            with signals_blocked(self.spin):
                self.spin.setValue(index + 1)
        self._show_steps()

    def _show_steps(self) -> None:
        """Tell whether there is a sample before and after this one."""
        dataset, order, index = (
            self._results.loaded_samples, self._results.order, self._choices.sample_index
        )  # fmt: skip
        if dataset is None or index is None:
            return
        row, n_rows = index, len(dataset)
        if order is not None:
            n_rows = len(order)
            inside = order.row_of(index)
            if inside is None:  # any step leads into what is in view
                self.previous_button.setEnabled(n_rows > 0)
                self.next_button.setEnabled(n_rows > 0)
                return
            row = inside
        self.previous_button.setEnabled(row > 0)
        self.next_button.setEnabled(row < n_rows - 1)

    def _show_sample(self) -> None:
        sample, prediction = self._results.sample, self._results.prediction
        dataset, classifier = self._results.loaded_samples, self._results.loaded_classifier
        if sample is None or dataset is None:
            self.sample_line.setText("")
            return
        parts = [sample.id]
        tone = ""
        if sample.label is not None and sample.label < len(dataset.classes):
            parts.append(f"labelled {dataset.classes[sample.label]}")
        if prediction is not None and prediction.sample is sample and classifier is not None:
            p = float(prediction.probabilities.max())
            mark = ""
            if prediction.truth is not None:
                mark = " ✗" if prediction.is_mispredicted else " ✓"
                tone = "bad" if prediction.is_mispredicted else ""
            parts.append(f"predicted {classifier.class_names[prediction.predicted]} {p:.2f}{mark}")
        self.sample_line.setText(" · ".join(parts))
        set_tone(self.sample_line, tone)

    def _on_failed(self, fault: Any) -> None:
        if fault.slot in ("loaded_samples", "sample", "prediction"):
            self.problem.setText(fault.sentence)
            self.problem.show()
            directory = getattr(self._choices.samples, "directory", None)
            if fault.slot == "loaded_samples" and directory is not None:
                self.field.show_path(directory)

    def _on_spin(self, number: int) -> None:
        self.problem.hide()
        self._choices.sample_index = number - 1

    def _on_preview(self, number: int) -> None:
        if number < len(self._results.previews):
            self._choices.sample_index = self._results.previews[number].index
