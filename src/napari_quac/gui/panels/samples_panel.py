"""Choice of the samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QWidget

from napari_quac.data.assumptions import Assumption, assumptions_of
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.data.image_layout import SplitsError
from napari_quac.data.image_range import RangeSuggestion
from napari_quac.data.image_sources import recipe_of
from napari_quac.data.labeled_stack import LabeledStackRecipe
from napari_quac.data.place import short_extent
from napari_quac.errors import QuacError
from napari_quac.gui.fields import NumberField
from napari_quac.gui.input_layers import (
    LayerMenu,
    finest_data,
    layer_range,
    range_assumption,
    transform_of,
)
from napari_quac.gui.layer_watch import LayerWatch
from napari_quac.gui.message import Message
from napari_quac.gui.option_names import with_controls
from napari_quac.gui.panels.pixel_size import PixelSizeRow
from napari_quac.gui.panels.sample_labels import SampleLabels
from napari_quac.gui.path_field import PathField
from napari_quac.gui.pictures import thumbnail
from napari_quac.gui.section import Section, labeled_row
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import ElidedLabel, WrappedLabel, plain
from napari_quac.gui.voxel_size import set_voxel_size
from napari_quac.gui.widgets import (
    button,
    column,
    disclosure_button,
    flow,
    link_button,
    narrow,
    row,
)
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.controller import Controller
from napari_quac.live.display import N_PREVIEWS
from napari_quac.live.failure import failure
from napari_quac.live.results import Results

PREVIEW_SIZE = 42
N_SUGGESTIONS = 3


@slots
class SamplesPanel(Section):
    """Chooses a folder or a layer as samples."""

    layer_used = Signal(object, object)
    """The samples that were made from layers, and a tuple of the layers."""

    def __init__(
        self, viewer: Any, choices: Choices, results: Results, controller: Controller
    ) -> None:
        super().__init__("Samples", "samples")
        self._viewer = viewer
        self._choices, self._results, self._controller = choices, results, controller
        self._watch: LayerWatch | None = None
        self.field = PathField("Folder", "samples", "a folder with one subfolder per class",
                               folders=True)  # fmt: skip
        self.field.picked.connect(slot(lambda path: self.open_folder(Path(path))))
        self.add(self.field)
        self._build_layer_row()
        self.problem = Message("samples_problem")
        self.problem.show_message("")
        self.problem.follow(controller.problems, "loaded_samples", "sample", "prediction")
        self.problem.requested.connect(self._on_requested)
        self.labels = SampleLabels(choices, results)
        self.add(self.problem, self.labels)
        self._build_previews()
        self._build_folder_range()
        results.events.loaded_samples.connect(self._show_dataset)
        results.events.previews.connect(self._show_previews)
        choices.events.sample_index.connect(self._forget_problem)
        controller.failed.connect(self._on_failed)
        self._show_layers()
        self._show_dataset()
        self._show_previews()

    def open_folder(self, directory: Path) -> None:
        """Use the images of a folder, or of a stack with labels, as samples."""
        self.problem.hide()
        self._stop_watching()
        self._choices.samples = recipe_of(directory.expanduser())

    @slot
    def use_layer(self) -> None:
        """Use the images of the chosen layer as samples."""
        from napari_quac.data.image_datasets import ImageStack

        layer = self.layer_menu.layer
        if layer is None:
            return
        value_range = (self.layer_low.value(), self.layer_high.value())
        try:
            dataset = ImageStack(
                finest_data(layer),
                value_range,
                name=layer.name,
                rgb=bool(layer.rgb),
                image_axes=self._image_axes(),
                assumptions=range_assumption(layer, value_range),
                transform=transform_of(layer),
                units=tuple(map(str, layer.units)),
            )
        except QuacError as error:
            self._controller.failed.emit(failure("loaded_samples", "reading the layer", error))
            return
        self.problem.hide()
        self.layer_used.emit(dataset, (layer,))
        self._choices.samples = ReadySamples(dataset)
        self._stop_watching()
        self._watch = LayerWatch(layer, self._on_layer_changed)
        self.pixel_row.layer = layer

    def _on_layer_changed(self, sentence: str) -> None:
        self.problem.show_message(
            f"{sentence} The samples and their predictions are those of before. Press 'Use' to "
            "update them.",
            "note",
            "use_samples",
        )

    def _on_requested(self, action: str) -> None:
        if action == "use_samples":
            self.use_layer()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = self.pixel_row.layer = None

    def _image_axes(self) -> int:
        """Return 3 for a classifier of volumes, else 2."""
        classifier = self._results.loaded_classifier
        return (classifier.n_axes or 2) if classifier is not None else 2

    def close_panel(self) -> None:
        """Disconnect all signals of the viewer."""
        self._stop_watching()
        self.layer_menu.close_menu()

    def _build_layer_row(self) -> None:
        self.layer_menu = LayerMenu(self._viewer, "layer_menu", Image)
        self.layer_low = NumberField("layer_low")
        self.layer_high = NumberField("layer_high")
        narrow(self.layer_low, self.layer_high)
        self.use_layer_button = button("Use", "use_layer_button", clicked=self.use_layer)
        self._layer_row = QWidget()
        column(
            labeled_row("Layer", self.layer_menu, self.use_layer_button),
            labeled_row("Black, white", self.layer_low, self.layer_high),
            parent=self._layer_row,
        )
        self.add(self._layer_row)
        self.layer_menu.currentIndexChanged.connect(self._show_layer_range)
        self.layer_menu.entries_changed.connect(self._show_layers)

    def _build_previews(self) -> None:
        self._previews_row = QWidget()
        previews = row(spacing=2, parent=self._previews_row)
        previews.setContentsMargins(0, 2, 0, 0)
        self.preview_buttons = []
        for number in range(N_PREVIEWS):
            preview = link_button("", f"preview_{number}", role="proposal")
            preview.setIconSize(QSize(PREVIEW_SIZE, PREVIEW_SIZE))
            preview.setFixedSize(PREVIEW_SIZE + 2, PREVIEW_SIZE + 2)
            preview.setAutoRaise(True)
            preview.clicked.connect(slot(lambda _=False, n=number: self._on_preview(n)))
            previews.addWidget(preview)
            self.preview_buttons.append(preview)
        previews.addStretch(1)
        self.range_line = ElidedLabel("", "range_line", "muted")
        self.assumed_text = WrappedLabel("", "samples_assumed", "note")
        self.assumed_button = disclosure_button(
            "",
            "samples_assumed_button",
            self.assumed_text,
            "Show what is assumed about the samples.",
            elided=True,
        )
        self.pixel_row = PixelSizeRow(self._choices, self._results)
        self.pixel_row.layer_size_entered.connect(self._on_layer_size)
        self.units_line = WrappedLabel("", "samples_units", "note")
        self.units_line.hide()
        self._mixed_units = ""
        self.add(self._previews_row, self.range_line, self.pixel_row, self.units_line)
        self.add(self.assumed_button, self.assumed_text)

    def _build_folder_range(self) -> None:
        """Build the fields for the value range of files that do not specify it."""
        tooltip = "The values of black and white in the files."
        self.folder_low = NumberField("folder_low", tooltip=tooltip, value=0)
        self.folder_high = NumberField("folder_high", tooltip=tooltip, value=65535)
        self.use_range_button = button("Use", "use_range_button", clicked=self._on_range)
        self.range_buttons = [
            link_button("", f"range_suggestion_{number}", hidden=True,
                        tooltip="Read the files with this range, which holds their values.",
                        clicked=lambda _=False, n=number: self._on_suggestion(n))
            for number in range(N_SUGGESTIONS)
        ]  # fmt: skip
        self._suggestions: list[RangeSuggestion] = []
        self.folder_range = QWidget()
        self.folder_range.setObjectName("folder_range")
        column(
            labeled_row("Range", self.folder_low, self.folder_high, self.use_range_button),
            flow(*self.range_buttons),
            parent=self.folder_range,
        )
        self.folder_range.hide()
        self.add(self.folder_range)

    def _on_range(self) -> None:
        source = self._choices.samples
        if isinstance(source, ImageFolderRecipe | LabeledStackRecipe):
            image_range = (self.folder_low.value(), self.folder_high.value())
            self.problem.hide()
            self._choices.samples = replace(source, image_range=image_range)

    def _on_layer_size(self, sizes: tuple[float, ...]) -> None:
        """Give the entered pixel size to the layer, and read it again."""
        layer = self.pixel_row.layer
        self._stop_watching()
        set_voxel_size(layer, sizes)
        self._viewer.reset_view()
        self.layer_menu.choose(layer.name)
        self.use_layer()

    @slot
    def show_mixed_units(self, sentence: str) -> None:
        """Show a sentence about a layer that is not to scale with the samples, or none."""
        self._mixed_units = sentence
        is_missing = bool(sentence and self.pixel_row.assumptions)
        hint = " Enter the size under Pixel (nm)." if is_missing else ""
        self.units_line.show_message(sentence + hint, "note")

    def _on_suggestion(self, number: int) -> None:
        self.folder_low.setValue(self._suggestions[number].low)
        self.folder_high.setValue(self._suggestions[number].high)
        self._on_range()

    def _suggest_ranges(self) -> None:
        """Read some of the files and offer the ranges that hold their values."""
        dataset: Any = self._results.loaded_samples
        while dataset is not None and not hasattr(dataset, "suggested_ranges"):
            dataset = getattr(dataset, "dataset", None)  # preprocessed for the network
        if dataset is None:
            return

        def show(suggestions: list[RangeSuggestion]) -> None:
            self._suggestions = suggestions[:N_SUGGESTIONS]
            for number, range_button in enumerate(self.range_buttons):
                range_button.setVisible(number < len(self._suggestions))
                if number < len(self._suggestions):
                    suggestion = self._suggestions[number]
                    range_button.setText(f"{suggestion} ({suggestion.reason})")
            if self._suggestions:
                self.folder_low.setValue(self._suggestions[0].low)
                self.folder_high.setValue(self._suggestions[0].high)

        self._controller.run(
            "image_range", "reading the range of the images", lambda: dataset.suggested_ranges,
            show, inputs=("loaded_samples",),
        )  # fmt: skip

    def _show_layers(self) -> None:
        self._layer_row.setVisible(self.layer_menu.count() > 0)
        self._show_layer_range()

    def _show_layer_range(self) -> None:
        layer = self.layer_menu.layer
        if layer is None:
            return
        low, high = layer_range(layer)
        self.layer_low.setValue(low)
        self.layer_high.setValue(high)

    def _show_dataset(self) -> None:
        dataset = self._results.loaded_samples
        for widget in (self._previews_row, self.range_line):
            widget.setVisible(dataset is not None)
        self.assumed_button.hide()
        self.assumed_button.setChecked(False)
        if dataset is None:
            self.set_summary("")
            self.labels.show_dataset()
            return
        n = len(dataset)
        directory = getattr(self._choices.samples, "directory", None)
        self.field.show_path(directory, "" if directory else dataset.name)
        self.problem.hide()
        self.labels.show_dataset()
        n_classes = len(dataset.classes)
        classes = f" · {n_classes} class{'es' * (n_classes > 1)}" if n_classes else ""
        self.set_summary(f"{n} {'sample' if n == 1 else 'samples'}{classes} · {dataset.name}")
        if not self._controller.is_announcing:
            self._choices.sample_index = None
            self._choices.sample_index = 0

    def _show_previews(self) -> None:
        previews = self._results.previews
        for number, preview_button in enumerate(self.preview_buttons):
            preview_button.setVisible(number < len(previews))
            if number >= len(previews):
                continue
            preview = previews[number]
            if preview.sample is None:
                preview_button.setIcon(QIcon())
                preview_button.setText("✗")
                preview_button.setToolTip(plain(with_controls(preview.problem)))
                continue
            preview_button.setText("")
            preview_button.setIcon(QIcon(thumbnail(preview.sample.image, PREVIEW_SIZE)))
            preview_button.setToolTip(
                plain(f"{preview.sample.id}: values {preview.low:.2f} to {preview.high:.2f}")
            )
        readable_previews = [preview for preview in previews if preview.sample is not None]
        self.range_line.setText(_describe(readable_previews))
        problems = [preview.problem for preview in previews if preview.problem]
        self.folder_range.setVisible(
            any("range" in problem for problem in problems)
            and isinstance(self._choices.samples, ImageFolderRecipe | LabeledStackRecipe)
        )
        if not self.folder_range.isHidden():
            self._suggest_ranges()
        self.pixel_row.show_samples()
        self.show_mixed_units(self._mixed_units)
        if previews:
            self._read_assumptions()
        if problems and not readable_previews:
            self.problem.show_message(problems[0], "bad")

    def _read_assumptions(self) -> None:
        """List what was assumed about the samples; some of their files are read for it."""
        dataset = self._results.loaded_samples

        def show(assumptions: tuple[Assumption, ...]) -> None:
            assumptions = (*assumptions, *self.pixel_row.assumptions)
            kinds = dict.fromkeys(assumption.kind for assumption in assumptions)
            self.assumed_button.setText(f"Assumed: {', '.join(kinds)}")
            self.assumed_text.setText("\n".join(f"• {entry}" for entry in assumptions))
            self.assumed_button.setVisible(bool(assumptions))

        self._controller.run(
            "assumptions", "listing the assumptions", lambda: assumptions_of(dataset), show,
            inputs=("loaded_samples",),
        )  # fmt: skip

    @slot
    def _forget_problem(self) -> None:
        self.problem.hide()

    def _on_failed(self, fault: Any) -> None:
        if fault.slot in ("loaded_samples", "sample", "prediction"):
            if isinstance(fault.error, SplitsError):
                self.problem.show_message("This is a data set with splits. Choose one.")
            if fault.slot == "loaded_samples":
                self.labels.show_failure(fault)
            directory = getattr(self._choices.samples, "directory", None)
            if fault.slot == "loaded_samples" and directory is not None:
                self.field.show_path(directory)

    def _on_preview(self, number: int) -> None:
        if number < len(self._results.previews):
            self._choices.sample_index = self._results.previews[number].index


def _describe(previews: list[Any]) -> str:
    """Return size and value range of images, such as ``128 × 128 px · values 0.06 to 1.00``."""
    if not previews:
        return ""
    shape = short_extent(previews[0].sample.image.shape[1:])
    low, high = min(p.low for p in previews), max(p.high for p in previews)
    return f"{shape} · values {low:.2f} to {high:.2f} (scaled)"
