"""Samples around points of a volume: choice of volume, points and patch size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.layers import Image, Points
from qtpy.QtCore import Signal
from superqt.utils import signals_blocked

from napari_quac.data.remote.address import Address
from napari_quac.data.remote.sign_in import sign_in
from napari_quac.data.tables.column_names import CLASS
from napari_quac.data.tables.hdf5_annotations import has_annotations
from napari_quac.data.tables.point_table import PointTable
from napari_quac.data.volume import Volume
from napari_quac.errors import QuacError, SeveralArraysError
from napari_quac.gui import widgets as ui
from napari_quac.gui.input_layers import (
    LayerMenu,
    describe_voxels,
    layer_of_volume,
    layer_range,
    missing_unit,
    placement_of,
    point_look,
    points_in_world,
    range_assumption,
    volume_of_layer,
)
from napari_quac.gui.link_opening import LinkOpening
from napari_quac.gui.message import Message
from napari_quac.gui.panels.points_array_row import ArrayRow
from napari_quac.gui.panels.points_link_row import LinkRow
from napari_quac.gui.panels.points_patch_fields import PatchFields
from napari_quac.gui.panels.points_rows_box import TABLE_FILES, RowsBox
from napari_quac.gui.panels.points_table_box import PointsTableBox
from napari_quac.gui.path_field import PathField
from napari_quac.gui.points_sync import PointsSync
from napari_quac.gui.points_tables import LabeledTable, PointTables
from napari_quac.gui.remote_volume import RemoteVolumes, add_annotations
from napari_quac.gui.section import Section, fields_row
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.source_layers import ADDED
from napari_quac.gui.text import WrappedLabel, grouped
from napari_quac.gui.voxel_size import VoxelSizeRow, lacks_unit, set_voxel_size, voxel_nm_of
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.controller import Controller
from napari_quac.live.failure import failure
from napari_quac.live.point_samples import is_byte, samples_at_points
from napari_quac.live.results import Results
from napari_quac.networks.consent import hosts_in, trust

ASSUMED = "napari_quac_assumptions"
"""Key of the metadata with the assumptions about a table that became a layer."""
USE_OWN_POINTS = "use_own_points"
TABLE = "table"
"""Data of the entry for an imported table in the menu of points."""
_VOLUME_FILES = "Volumes (*.tif *.tiff *.h5 *.hdf5 *.npy *.zarr *.n5)"


@slots
class PointsPanel(Section):
    """Makes samples from a volume and points."""

    explain_on_click_changed = Signal(bool)
    layers_used = Signal(object, object)
    """The samples that were made from layers, and a tuple of the layers."""

    def __init__(
        self, viewer: Any, sync: PointsSync, choices: Choices, results: Results,
        controller: Controller,
    ) -> None:  # fmt: skip
        super().__init__("Points over a volume", "points")
        self._viewer, self._sync = viewer, sync
        self._choices, self._results, self._controller = choices, results, controller
        self._remote = RemoteVolumes(viewer, choices, controller, lambda: sync.dataset, self)
        self._refused: Path | Address | None = None
        self._label_column = ""
        self._own_points: Path | None = None
        self.table: PointTable | None = None
        self._build_volume()
        self._build_points()
        self._build_patch()
        self._build_end()
        self.links = LinkOpening(self, self._remote, controller, self._on_failed)
        results.events.loaded_classifier.connect(self._on_classifier)
        results.events.loaded_samples.connect(self._show_summary)
        sync.note.connect(self._show_note)
        self._on_volume()
        self._on_points()
        self.set_open(False)

    @property
    def explains_on_click(self) -> bool:
        """True if a click on a point also explains it."""
        return bool(self.explain_check.isChecked())

    @slot
    def use_points(self) -> None:
        """Make samples of the chosen points, or show why this is not possible."""
        self.clear_message()
        image = self.volume_menu.layer
        if image is None:
            self.message.show_message("Choose an image layer, or open a volume, first.", "bad")
            return
        layer = self.points_menu.layer
        if not self._set_voxel_size(image, layer):
            return
        try:
            volume = volume_of_layer(image)
            if layer is None and self.table is not None:
                layer = self._import_table(volume, image, self.table)
            if layer is None:
                self.message.show_message(
                    "Choose a Points layer, or a table of coordinates, first.", "bad"
                )
                return
            dataset = samples_at_points(
                volume,
                points_in_world(layer, volume),
                layer.features,
                self.label_menu.currentData(),
                self.patch.settings(),
                f"{layer.name} in {volume.name}",
            )
        except QuacError as error:
            self.message.show_message(str(error), "bad")
            return
        dataset.further_assumptions = (
            *(range_assumption(image, self.patch.settings().value_range)
              if dataset.value_range is not None else ()),
            *layer.metadata.get(ASSUMED, ()),
        )  # fmt: skip
        self.layers_used.emit(dataset, (image, layer))
        self._choices.samples = ReadySamples(dataset)
        self._sync.follow(layer, image, dataset)
        warnings = [dataset.size_mismatch() or "", missing_unit(layer, volume)]
        if warnings[0]:
            self.details_button.setChecked(True)
        text = " ".join(filter(None, [self._describe(dataset), *warnings]))
        self.message.show_message(text, "bad" if any(warnings) else "note")

    @slot
    def open_volume(self, path: Path | Address, dataset: str = "", channel: int = 0) -> None:
        """Open a volume as a lazy layer, or the overview of one on another machine."""
        from napari_quac.data.volume_file import open_volume

        self.clear_message()

        def opened(volume: Volume, layer: Any, has_points: bool = False) -> None:
            self.volume_menu.choose(layer.name)
            if has_points:
                self._own_points = Path(path)
                text = f"'{path.name}' also holds points (annotations)."
                self.message.show_message(text, "note", USE_OWN_POINTS)
            self.array_row.offer_channels(path, dataset, volume.n_channels, channel)
            for name in add_annotations(self._viewer, self.links.link, volume, layer):
                self.points_menu.choose(name)
            self.links.link = None

        def read_lazily(outcome: tuple[Volume, bool]) -> None:
            volume, has_points = outcome
            data, look = layer_of_volume(volume)
            look["metadata"] = {**look["metadata"], ADDED: True}
            opened(volume, self._viewer.add_image(data, **look), has_points)

        def failed(error: BaseException) -> None:
            if isinstance(error, SeveralArraysError) and error.names:
                self.array_row.offer_arrays(path, error.names)
                self._show_note(f"'{path.name}' holds {len(error.names)} images. Choose one above.")
            else:
                self._refused = path
                self._on_failed(error)

        def read() -> Volume:
            return open_volume(path, dataset, channel)

        if isinstance(path, Address):
            trust(hosts_in(path))  # named by the user
            self._remote.open(read, opened, failed)
        else:
            self._controller.run(
                "volume", "opening the volume", lambda: (read(), has_annotations(path)),
                read_lazily, failed,
            )  # fmt: skip

    def open_table(self, path: Path) -> None:
        """Read a table of coordinates and show how it is interpreted."""
        self.clear_message()
        self._tables.open(path)

    @slot
    def _on_table(self, found: LabeledTable) -> None:
        self.table, self._label_column = found.table, found.label_column
        self.clear_message()
        self.set_open(True)
        self.points_menu.set_more({TABLE: f"table {found.table.name}"})
        self.points_menu.choose(TABLE)
        self._show_table()
        if found.n_rows:  # only its columns are shown
            self.table = None
            self.message.show_message(
                f"'{found.table.name}' has {grouped(found.n_rows)} rows. Enter which are read "
                "(Rows), a number of random ones, or 'all'.", "bad"
            )  # fmt: skip

    def choose(self, image_name: str, points_name: str) -> None:
        """Choose layers by name."""
        self.volume_menu.choose(image_name)
        self.points_menu.choose(points_name)

    def close_panel(self) -> None:
        """Disconnect all signals of the viewer."""
        self._remote.close()
        self.volume_menu.close_menu()
        self.points_menu.close_menu()

    # building

    def _build_volume(self) -> None:
        self.volume_menu = LayerMenu(
            self._viewer,
            "points_volume_menu",
            Image,
            empty="no image layer",
            prefers_newest=True,
        )
        self.volume_field = PathField("", "points_volume", "or open zarr, N5, HDF5, TIFF, a link",
                                      _VOLUME_FILES, folders=True)  # fmt: skip
        self.array_row, self.link_row = ArrayRow(), LinkRow()
        self.voxel_line = WrappedLabel("", "points_voxel_line", "muted")
        self.add(fields_row("Volume", self.volume_menu), self.volume_field, self.link_row,
                 self.array_row)  # fmt: skip
        self.voxel_row = VoxelSizeRow("points_voxel", "Voxel (nm)")
        self.voxel_row.edited.connect(self._on_voxel_size)
        self.add(self.voxel_line, self.voxel_row)
        ui.connect(
            self._on_volume, self.volume_menu.currentIndexChanged, self.volume_menu.entries_changed
        )
        self.array_row.picked.connect(self.open_volume)

    def _build_points(self) -> None:
        self.points_menu = LayerMenu(
            self._viewer, "points_layer_menu", Points, empty="no Points layer", prefers_newest=True
        )
        self.table_field = PathField("", "points_table", "or a table: csv, feather, parquet, …",
                                     TABLE_FILES)  # fmt: skip
        self.table_box, self.rows_box = PointsTableBox(), RowsBox()
        self._tables = PointTables(
            self._controller, self.rows_box, self.table_box, lambda: self._current_volume(),
            self._on_failed,
            self,
        )  # fmt: skip
        ui.connect(self._on_table, self._tables.opened)
        self.link_row.data_set_changed.connect(self._tables.use_data_set)
        self.label_menu = ui.menu("points_label_menu", entries={"": "no classes"}, n_characters=4)
        ui.narrow(self.label_menu)
        self.add(
            fields_row("Points", self.points_menu),
            self.table_field,
            self.rows_box,
            self.table_box,
            fields_row("Classes", self.label_menu),
        )
        ui.connect(
            self._on_points, self.points_menu.currentIndexChanged, self.points_menu.entries_changed
        )
        self.table_field.picked.connect(slot(lambda path: self.open_table(Path(path).expanduser())))

    def _build_patch(self) -> None:
        self.patch = PatchFields()
        self.add(self.patch.size_row, self.patch.details)

    def _build_end(self) -> None:
        self.use_button = ui.button("Use points", "use_points_button", clicked=self.use_points)
        self.explain_check = ui.check_box(
            "Explain on click", "explain_on_click", toggled=self.explain_on_click_changed
        )
        self.details_button = ui.disclosure_button(
            "Details", "points_details_button", self.patch.details
        )
        self.message = Message("points_message")
        self.message.hide()
        self.message.follow(self._controller.problems, "points")
        self.message.requested.connect(self._on_requested)
        self.add(
            ui.flow(self.use_button, self.explain_check, self.details_button, spacing=8),
            self.message,
        )

    # making samples

    def _set_voxel_size(self, image: Any, points: Any) -> bool:
        """Give the entered voxel size to the layers; False if only a part of it was entered."""
        sizes = self.voxel_row.sizes
        if not lacks_unit(image) or not any(sizes):
            return True
        if not all(sizes):
            self.message.show_message(
                "The voxel size is incomplete. Enter it along all axes, or along none.", "bad"
            )
            return False
        if sizes != voxel_nm_of(image, len(sizes)):
            set_voxel_size(image, sizes, [points] if points is not None else [])
            self._viewer.reset_view()
            self.voxel_line.show_message(describe_voxels(image))
        return True

    def _on_voxel_size(self) -> None:
        self.table_box.set_voxel_size(self.voxel_row.known_sizes)

    def _describe(self, dataset: Any) -> str:
        parts = [f"{grouped(len(dataset))} of {grouped(dataset.n_points)} points used."]
        n_unused = dataset.n_outside + dataset.n_skipped
        if n_unused:
            noun = "point lies" if n_unused == 1 else "points lie"
            parts.append(
                f"{grouped(n_unused)} {noun} outside of the volume or too close to its border."
            )
        if not is_byte(dataset.volume):
            low, high = self.patch.settings().value_range
            text = f"Stored values: {low:g} is black, {high:g} is white (see Details)."
            parts.append(text.replace("-", "−"))
        return " ".join(parts)

    def _import_table(self, volume: Volume, image: Any, table: PointTable) -> Any:
        """Add the points of the table as a layer with the transform of the volume."""
        world, features = self.table_box.points(volume, table, self.label_menu.currentData())
        layer = self._viewer.add_points(
            volume.finest.transform.to_voxel(world),
            name=table.name,
            features=features,
            **placement_of(image),
            **point_look(volume),
            metadata={ADDED: True, ASSUMED: self.table_box.assumptions(volume, table)},
        )
        with signals_blocked(self.label_menu):
            self.points_menu.choose(layer.name)
            self._show_columns(list(features), "class")
        return layer

    # showing

    def _on_volume(self) -> None:
        image = self.volume_menu.layer
        self.voxel_row.setVisible(image is not None and lacks_unit(image))
        if image is None:
            self.voxel_line.show_message("")
            return
        self.patch.show_volume(image.ndim, *layer_range(image))
        self.voxel_line.show_message(describe_voxels(image))
        n_axes = min(3, image.ndim)
        self.voxel_row.show_sizes(n_axes, voxel_nm_of(image, n_axes))
        self._on_voxel_size()
        self._show_table()

    def _on_points(self) -> None:
        layer = self.points_menu.layer
        for box in (self.table_box, self.rows_box):
            box.setVisible(self.points_menu.currentData() == TABLE)
        if layer is not None:
            names = [str(name) for name in layer.features]
            self._show_columns(names, next((n for n in ("class", "label") if n in names), ""))
        elif self.table is not None:
            self._show_table()

    def _show_table(self) -> None:
        if self.table is None or self.points_menu.currentData() != TABLE:
            return
        volume = self._current_volume()
        guess = self.table_box.show_table(self.table, volume)
        columns = list(self.table.columns)
        classes = guess.label or (CLASS if CLASS in columns else "")
        self._show_columns(columns, self._label_column or classes)

    def _current_volume(self) -> Volume | None:
        """Return the chosen volume; None without one, or if it cannot be used."""
        image = self.volume_menu.layer
        try:
            return volume_of_layer(image) if image is not None else None
        except QuacError as error:
            self.message.show_message(str(error), "bad")
            return None

    def _show_columns(self, names: list[str], label_column: str) -> None:
        ui.fill_menu(self.label_menu, {"": "no classes", **{name: name for name in names}})
        self.label_menu.setCurrentIndex(max(0, self.label_menu.findData(label_column)))

    def _on_classifier(self) -> None:
        """Use the input size of the classifier as patch size, if it has one."""
        classifier = self._results.loaded_classifier
        size = tuple(classifier.image_size or ()) if classifier is not None else ()
        if len(size) in (2, 3):
            self.patch.set_size((1, *size)[-3:])

    def _show_summary(self) -> None:
        dataset = self._sync.dataset
        is_current = dataset is not None and self._results.loaded_samples is dataset
        self.set_summary(f"{grouped(len(dataset))} points" if dataset and is_current else "")

    def _on_failed(self, error: BaseException) -> None:
        self._controller.failed.emit(failure("points", "opening the points", error))

    def clear_message(self) -> None:
        """Forget what was reported about previous points."""
        self._controller.problems.remove("points")
        self.message.show_message("")

    def _show_note(self, text: str) -> None:
        action = "use_points" if "'Use points'" in text else ""
        self.message.show_message(text, "note", action)

    def _on_requested(self, action: str) -> None:
        if action == "use_points":
            self.use_points()
        elif action == "sign_in" and isinstance(self._refused, Address):
            sign_in(self._refused)
            self.open_volume(self._refused)
        elif action == USE_OWN_POINTS and self._own_points is not None:
            self.table_field.show_path(self._own_points)
            self.open_table(self._own_points)
