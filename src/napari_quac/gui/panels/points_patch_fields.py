"""Size and reading of the patches around points."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QWidget

from napari_quac.gui import widgets as ui
from napari_quac.gui.fields import NumberField
from napari_quac.gui.section import fields_row
from napari_quac.live.point_samples import PatchSettings

DEFAULT_SIZE = (1, 128, 128)


class PatchFields:
    """Fields of :class:`~napari_quac.live.point_samples.PatchSettings`.

    Attributes
    ----------
    size_row : QLayout
        The sizes along z, y and x.
    details : QWidget
        Everything else.
    """

    def __init__(self) -> None:
        self.size_spins = [
            ui.spin_box(
                f"points_size_{n}", 1, 4096, size, f"Size of a patch along {axis}, in voxels."
            )
            for n, (axis, size) in enumerate(zip("zyx", DEFAULT_SIZE, strict=True))
        ]
        self.low, self.high = NumberField("points_low"), NumberField("points_high")
        self.outside_menu = ui.menu(
            "points_outside_menu", entries={"pad": "pad with zeros", "skip": "skip"}, n_characters=4
        )
        self.network_spin = NumberField("points_network_size", 0, 1e6)
        self.network_spin.setSpecialValueText("as the volume")
        self.resample_check = ui.check_box("Resample", "points_resample")
        ui.narrow(*self.size_spins, self.low, self.high, self.outside_menu, self.network_spin)
        self.size_row = fields_row("Patch", *self.size_spins)
        self.details = QWidget()
        ui.column(
            fields_row("Range", self.low, self.high),
            fields_row("Out of bounds", self.outside_menu),
            fields_row("Pixel size", self.network_spin, self.resample_check),
            parent=self.details,
        )

    def settings(self) -> PatchSettings:
        """Return what is entered."""
        return PatchSettings(
            tuple(spin.value() for spin in self.size_spins),
            (self.low.value(), self.high.value()),
            self.outside_menu.currentData(),
            self.network_spin.value(),
            self.resample_check.isChecked(),
        )

    def show_volume(self, n_axes: int, low: float, high: float) -> None:
        """Show the axes of a volume and its usual range."""
        self.low.setValue(low)
        self.high.setValue(high)
        for number, spin in enumerate(self.size_spins):
            spin.setVisible(number >= 3 - n_axes)

    def set_size(self, size: Sequence[int]) -> None:
        """Enter a size along z, y and x."""
        for spin, value in zip(self.size_spins, size, strict=True):
            spin.setValue(value)
