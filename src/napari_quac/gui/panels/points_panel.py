"""Samples around points of a volume: which volume, which points, how large a patch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.layers import Image, Points
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_quac.data.image_stack import usual_range
from napari_quac.data.place import NM_PER_UNIT
from napari_quac.data.point_table import PointTable
from napari_quac.data.volume import Volume
from napari_quac.errors import QuacError, SeveralArraysError
from napari_quac.gui.layer_menu import rename_entry
from napari_quac.gui.layer_volume import layer_of_volume, points_in_world, unit_of, volume_of_layer
from napari_quac.gui.panels.inside_row import InsideRow
from napari_quac.gui.panels.points_table_box import PointsTableBox
from napari_quac.gui.path_field import PathField
from napari_quac.gui.plain_spin import PlainSpinBox
from napari_quac.gui.points_sync import PointsSync
from napari_quac.gui.section import Section, caption
from napari_quac.gui.text import WrappedLabel, grouped, set_tone
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.controller import Controller
from napari_quac.live.failure import failure
from napari_quac.live.results import Results

DEFAULT_SIZE = (1, 128, 128)
TABLE = "table"
"""Data of the entry of the points' menu that stands for an imported table."""
_TABLE_FILES = "Tables (*.csv *.tsv *.txt *.feather *.parquet)"
_VOLUME_FILES = "Volumes (*.tif *.tiff *.h5 *.hdf5 *.npy *.zarr *.n5)"


class PointsPanel(Section):
    """Takes a volume and points, and makes samples of them."""

    explain_on_click_changed = Signal(bool)

    def __init__(
        self, viewer: Any, sync: PointsSync, own_layers: Any, choices: Choices, results: Results,
        controller: Controller,
    ) -> None:  # fmt: skip
        super().__init__("Points over a volume", "points")
        self._viewer, self._sync, self._own_layers = viewer, sync, own_layers
        self._choices, self._results, self._controller = choices, results, controller
        self._table: PointTable | None = None
        self._build_volume()
        self._build_points()
        self._build_patch()
        self._build_details()
        self._build_end()
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._show_layers)
        viewer.layers.events.renamed.connect(self._on_renamed)
        results.events.loaded_classifier.connect(self._on_classifier)
        results.events.loaded_samples.connect(self._show_summary)
        sync.note.connect(self._say)
        self._show_layers()
        self._show_table()
        self.set_open(False)

    @property
    def explains_on_click(self) -> bool:
        """Whether a click on a point also explains it."""
        return bool(self.explain_check.isChecked())

    def use_points(self) -> None:
        """Make samples of the chosen points, or say why not."""
        self._say("")
        image = self._image_layer()
        if image is None:
            self._say("Choose an image layer, or open a volume, first.", "bad")
            return
        try:
            volume = volume_of_layer(image)
            layer = self._points_layer()
            if layer is None and self._table is not None:
                layer = self._import_table(volume, self._table)
            if layer is None:
                self._say("Choose a Points layer, or a table of coordinates, first.", "bad")
                return
            dataset = self._dataset(volume, layer)
        except QuacError as error:
            self._say(str(error), "bad")
            return
        self._choices.samples = ReadySamples(dataset)
        self._sync.follow(layer, image, dataset)
        left = dataset.n_outside + dataset.n_skipped
        parts = [f"{grouped(len(dataset))} of {grouped(dataset.n_points)} points used."]
        if left:
            parts.append(f"{grouped(left)} lie outside, or reach out of the volume.")
        if not _is_byte(volume):
            low, high = self.low.value(), self.high.value()
            said = f"Stored {low:g} is black, {high:g} white (Details)."
            parts.append(said.replace("-", "−"))
        mismatch = " ".join(filter(None, (dataset.size_mismatch(), _without_unit(layer, volume))))
        if dataset.size_mismatch():
            self.details_button.setChecked(True)
        self._say(" ".join([*parts, mismatch]).strip(), "bad" if mismatch else "note")

    def open_volume(self, path: Path, dataset: str = "", channel: int = 0) -> None:
        """Open a volume as a layer that is read where it is looked at."""
        from napari_quac.data.volume_file import open_volume

        self._say("")

        def opened(volume: Volume) -> None:
            data, look = layer_of_volume(volume)
            added = self._viewer.add_image(data, **look)
            self.volume_menu.setCurrentIndex(self.volume_menu.findData(added.name))
            self.inside_row.offer_channels(path, dataset, volume.n_channels, channel)

        def failed(error: BaseException) -> None:
            if isinstance(error, SeveralArraysError) and error.names:
                self.inside_row.offer_arrays(path, error.names)
                self._say(f"'{path.name}' holds {len(error.names)} images. Choose one above.")
            else:
                self._on_failed(error)

        def read() -> Volume:
            return open_volume(path, dataset, channel)

        self._controller.run("volume", "opening the volume", read, opened, failed)

    def open_table(self, path: Path) -> None:
        """Read a table of coordinates and say how it can be read."""
        from napari_quac.data.point_table import read_point_table

        self._say("")

        def read(table: PointTable) -> None:
            self._table = table
            self.set_open(True)
            self._show_layers()
            self.points_menu.setCurrentIndex(self.points_menu.findData(TABLE))
            self._show_table()

        self._controller.run("table", "reading the table", lambda: read_point_table(path), read,
                             self._on_failed)  # fmt: skip

    def choose(self, image_name: str, points_name: str) -> None:
        """Choose layers by name."""
        self.volume_menu.setCurrentIndex(self.volume_menu.findData(image_name))
        self.points_menu.setCurrentIndex(self.points_menu.findData(points_name))

    def close_panel(self) -> None:
        """Listen to the viewer no more."""
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            event.disconnect(self._show_layers)
        self._viewer.layers.events.renamed.disconnect(self._on_renamed)

    # building

    def _build_volume(self) -> None:
        self.volume_menu = _menu("points_volume_menu", "The image layer that holds the volume")
        self.volume_menu.currentIndexChanged.connect(self._on_volume)
        self._add_row("Volume", self.volume_menu)
        self.volume_field = PathField("", "points_volume", "or open zarr, N5, HDF5, TIFF",
                                      _VOLUME_FILES, folders=True)  # fmt: skip
        self.volume_field.picked.connect(self._on_volume_path)
        self.body_layout.addWidget(self.volume_field)
        self.inside_row = InsideRow()
        self.inside_row.picked.connect(self.open_volume)
        self.body_layout.addWidget(self.inside_row)
        self.voxel_line = WrappedLabel("", "points_voxel_line", "muted")
        self.body_layout.addWidget(self.voxel_line)

    def _build_points(self) -> None:
        self.points_menu = _menu("points_layer_menu", "The Points layer, or the table")
        self.points_menu.currentIndexChanged.connect(self._on_points)
        self._add_row("Points", self.points_menu)
        self.table_field = PathField("", "points_table", "or a table: csv, tsv, feather, parquet",
                                     _TABLE_FILES)  # fmt: skip
        self.table_field.picked.connect(lambda path: self.open_table(Path(path).expanduser()))
        self.body_layout.addWidget(self.table_field)
        self.table_box = PointsTableBox()
        self.body_layout.addWidget(self.table_box)
        self.label_menu = _menu("points_label_menu", "Which column or feature holds the classes")
        self._add_row("Classes", self.label_menu)

    def _build_patch(self) -> None:
        self.size_spins = []
        for number, size in enumerate(DEFAULT_SIZE):
            spin = QSpinBox()
            spin.setObjectName(f"points_size_{number}")
            spin.setRange(1, 4096)
            spin.setValue(size)
            spin.setToolTip(f"Voxels of a patch along {'zyx'[number]}")
            spin.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            self.size_spins.append(spin)
        self._add_row("Patch", *self.size_spins)

    def _build_details(self) -> None:
        """Build what is seldom changed, folded away."""
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.low, self.high = PlainSpinBox(), PlainSpinBox()
        for widget, name, tip in (
            (self.low, "points_low", "The stored value that is black (0)"),
            (self.high, "points_high", "The stored value that is white (1)"),
        ):
            widget.setObjectName(name)
            widget.setRange(-1e9, 1e9)
            widget.setDecimals(3)
            widget.setToolTip(tip)
        self._add_row("Range", self.low, self.high, into=column)
        self.outside_menu = _menu("points_outside_menu", "Patches that reach out of the volume")
        self.outside_menu.addItem("fill up with 0", "pad")
        self.outside_menu.addItem("leave out", "skip")
        self._add_row("At the rim", self.outside_menu, into=column)
        self._build_network_size(column)
        self.body_layout.addWidget(self.details)
        self.details.hide()

    def _build_network_size(self, column: QVBoxLayout) -> None:
        self.network_spin = PlainSpinBox()
        self.network_spin.setObjectName("points_network_size")
        self.network_spin.setRange(0, 1e6)
        self.network_spin.setDecimals(3)
        self.network_spin.setSpecialValueText("as the volume")
        self.network_spin.setToolTip(
            "Pixel size (nm, in the plane) of the images the classifier was trained on. It chooses "
            "the level of a multi-resolution volume, and is compared with its voxels."
        )
        self.resample_check = QCheckBox("Resample")
        self.resample_check.setObjectName("points_resample")
        self.resample_check.setToolTip("Bring patches to that pixel size, by interpolation")
        self._add_row("Trained at", self.network_spin, self.resample_check, into=column)

    def _build_end(self) -> None:
        self.use_button = QPushButton("Use points")
        self.use_button.setObjectName("use_points_button")
        self.use_button.clicked.connect(self.use_points)
        self.explain_check = QCheckBox("Explain on click")
        self.explain_check.setObjectName("explain_on_click")
        self.explain_check.setToolTip("A click on a point in the canvas also explains it")
        self.explain_check.toggled.connect(self.explain_on_click_changed)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.use_button)
        row.addWidget(self.explain_check)
        row.addStretch(1)
        self.details_button = QToolButton()
        self.details_button.setObjectName("points_details_button")
        self.details_button.setProperty("role", "link")
        self.details_button.setText("Details")
        self.details_button.setToolTip("Range of values, what lies outside, pixel size")
        self.details_button.setCheckable(True)
        self.details_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.details_button.setArrowType(Qt.ArrowType.RightArrow)
        self.details_button.toggled.connect(self._show_details)
        row.addWidget(self.details_button)
        self.body_layout.addLayout(row)
        self.message = WrappedLabel("", "points_message")
        self.message.hide()
        self.body_layout.addWidget(self.message)

    def _add_row(self, text: str, *widgets: Any, into: QVBoxLayout | None = None) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(caption(text))
        for widget in widgets:
            widget.setProperty("narrow", "true")
            row.addWidget(widget, 1)
        (self.body_layout if into is None else into).addLayout(row)  # an empty one is false

    def _on_volume_path(self, path: str) -> None:
        self.inside_row.forget()
        self.open_volume(Path(path).expanduser())

    # what is chosen

    def _image_layer(self) -> Any:
        name = self.volume_menu.currentData()
        return self._viewer.layers[name] if name in self._viewer.layers else None

    def _points_layer(self) -> Any:
        name = self.points_menu.currentData()
        if name is None or name == TABLE or name not in self._viewer.layers:
            return None
        return self._viewer.layers[name]

    def _size(self, n_axes: int) -> tuple[int, ...]:
        sizes = tuple(spin.value() for spin in self.size_spins)
        return (1,) * (n_axes - len(sizes)) + sizes[-n_axes:]

    def _network_size(self, volume: Volume) -> tuple[float, float] | None:
        """Return the pixel size of the network in the unit of the volume."""
        size = self.network_spin.value()
        if not size:
            return None
        size /= NM_PER_UNIT.get(volume.unit or "nm", 1.0)
        return (size, size)

    def _dataset(self, volume: Volume, layer: Any) -> Any:
        from napari_quac.data.volume_points import VolumePoints

        features = layer.features
        label_column = self.label_menu.currentData()
        names: list[str] | None = None
        classes: tuple[str, ...] = ()
        if label_column and label_column in features:
            names = ["" if value is None or value != value else str(value)
                     for value in features[label_column]]  # fmt: skip
            classes = tuple(sorted(set(names) - {""}))
        number = {name: index for index, name in enumerate(classes)}
        ids = [str(value) for value in features["id"]] if "id" in features else None
        low, high = self.low.value(), self.high.value()
        plain = _is_byte(volume) and (low, high) == usual_range(volume.finest.dtype)
        return VolumePoints(
            volume,
            points_in_world(layer, volume),
            self._size(volume.ndim),
            [number.get(name) for name in names] if names is not None else None,
            classes,
            ids,
            None if plain else (low, high),
            self._network_size(volume),
            self.resample_check.isChecked(),
            self.outside_menu.currentData(),
            f"{layer.name} in {volume.name}",
        )

    def _import_table(self, volume: Volume, table: PointTable) -> Any:
        """Add the points of the table as a layer with the place of the volume."""
        world, features = self.table_box.points(volume, table, self.label_menu.currentData())
        transform = volume.finest.transform
        image = self._image_layer()
        layer = self._viewer.add_points(
            transform.to_voxel(world),
            name=table.name,
            features=features,
            scale=image.scale,
            translate=image.translate,
            rotate=image.rotate,
            shear=image.shear,
            affine=image.affine,
            units=image.units,
            size=_point_size(volume),
            face_color="transparent",
            border_color="yellow",
            border_width=0.08,
        )
        with signals_blocked(self.label_menu):
            self.points_menu.setCurrentIndex(self.points_menu.findData(layer.name))
            self._show_columns(list(features), "class")
        return layer

    # showing

    def _on_renamed(self, event: Any) -> None:
        rename_entry(self.volume_menu, self._viewer.layers, event.index)
        rename_entry(self.points_menu, self._viewer.layers, event.index)

    def _show_layers(self, event: Any = None) -> None:
        gone = getattr(event, "value", None) if getattr(event, "type", "") == "removed" else None
        own = list(self._own_layers.values())
        there = [layer for layer in self._viewer.layers if layer != gone]
        images = [
            layer.name for layer in there
            if isinstance(layer, Image) and not any(layer == other for other in own)
            and layer.name not in ("query", "generated", "hybrid", "attribution", "mask")
        ]  # fmt: skip
        points = [(layer.name, layer.name) for layer in there if isinstance(layer, Points)]
        if self._table is not None:
            points.append((f"table {self._table.name}", TABLE))
        _fill(self.volume_menu, [(name, name) for name in images], "none yet")
        _fill(self.points_menu, points, "none yet")
        self._on_volume()
        self._on_points()

    def _on_volume(self) -> None:
        image = self._image_layer()
        if image is None:
            self.voxel_line.setText("")
            return
        contrast = None if image.rgb else tuple(image.contrast_limits_range)
        low, high = usual_range(image.dtype, contrast)
        self.low.setValue(low)
        self.high.setValue(high)
        for number, spin in enumerate(self.size_spins):
            spin.setVisible(number >= 3 - image.ndim)
        self.voxel_line.setText(_about_voxels(image))
        self._show_table()

    def _on_points(self) -> None:
        layer = self._points_layer()
        self.table_box.setVisible(self.points_menu.currentData() == TABLE)
        if layer is not None:
            names = [str(name) for name in layer.features]
            self._show_columns(names, next((n for n in ("class", "label") if n in names), ""))
        elif self._table is not None:
            self._show_table()

    def _show_table(self) -> None:
        if self._table is None or self.points_menu.currentData() != TABLE:
            return
        image = self._image_layer()
        try:
            volume = volume_of_layer(image) if image is not None else None
        except QuacError as error:
            self._say(str(error), "bad")
            return
        guess = self.table_box.show_table(self._table, volume)
        self._show_columns(list(self._table.columns), guess.label)

    def _show_columns(self, names: list[str], chosen: str) -> None:
        _fill(self.label_menu, [("no classes", ""), *((name, name) for name in names)])
        self.label_menu.setCurrentIndex(max(0, self.label_menu.findData(chosen)))

    def _on_classifier(self) -> None:
        """Take the size of patches from the classifier, where it has one."""
        classifier = self._results.loaded_classifier
        size = tuple(classifier.image_size or ()) if classifier is not None else ()
        if len(size) in (2, 3):
            for spin, value in zip(self.size_spins, (1, *size)[-3:], strict=True):
                spin.setValue(value)

    def _show_summary(self) -> None:
        dataset = self._sync.dataset
        current = self._results.loaded_samples
        is_ours = dataset is not None and current is dataset
        self.set_summary(f"{grouped(len(dataset))} points" if dataset and is_ours else "")

    def _show_details(self, shown: bool) -> None:
        self.details.setVisible(shown)
        arrow = Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow
        self.details_button.setArrowType(arrow)

    def _on_failed(self, error: BaseException) -> None:
        fault = failure("points", "opening", error)
        self._say(fault.sentence, "bad")
        if not isinstance(error, QuacError):
            self._controller.failed.emit(fault)  # with details to copy

    def _say(self, text: str, tone: str = "note") -> None:
        self.message.setText(text)
        set_tone(self.message, tone)
        self.message.setVisible(bool(text))


def _is_byte(volume: Volume) -> bool:
    return volume.finest.dtype.kind in "ub" and volume.finest.dtype.itemsize == 1


def _without_unit(layer: Any, volume: Volume) -> str:
    """Say how points were read that are in voxels, or may be, over a volume that is not."""
    if volume.unit is None or unit_of(layer) is not None or (layer.scale != 1).any():
        return ""
    return (
        f"The layer '{layer.name}' has no scale and no unit: its numbers were taken as "
        f"{volume.unit}. If they are voxels, give it the scale and units of '{volume.name}'."
    )


def _menu(name: str, tip: str) -> QComboBox:
    menu = QComboBox()
    menu.setObjectName(name)
    menu.setToolTip(tip)
    menu.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    menu.setMinimumContentsLength(4)
    return menu


def _fill(menu: QComboBox, entries: list[tuple[str, str]], empty: str = "") -> None:
    """Set the entries of a menu, and keep what was chosen if it is still there."""
    entries = entries or [(empty, "")]
    if [menu.itemData(i) for i in range(menu.count())] == [data for _, data in entries]:
        return
    before = menu.currentData()
    with signals_blocked(menu):
        menu.clear()
        for text, data in entries:
            menu.addItem(text, data)
        menu.setCurrentIndex(max(0, menu.findData(before) if before else menu.count() - 1))


def _point_size(volume: Volume) -> float:
    """Return a diameter, in voxels, that is seen but does not hide a synapse."""
    return 40.0 if min(volume.finest.shape[-2:]) > 400 else 12.0


def _about_voxels(image: Any) -> str:
    try:
        volume = volume_of_layer(image)
    except QuacError as error:
        return str(error)
    finest = volume.finest
    sizes = " × ".join(f"{size:g}" for size in finest.transform.voxel_size())
    shape = " × ".join(grouped(n) for n in finest.shape)
    levels = f" · {len(volume.levels)} levels" if len(volume.levels) > 1 else ""
    return f"{shape} voxels of {sizes} {volume.unit or 'pixels'}{levels}"
