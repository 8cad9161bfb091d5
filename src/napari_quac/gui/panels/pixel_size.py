"""The pixel size of samples whose files do not state it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal

from napari_quac.data.assumptions import Assumption
from napari_quac.data.image_sources import with_pixel_size
from napari_quac.gui.slots import slots
from napari_quac.gui.voxel_size import VoxelSizeRow, lacks_unit
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results

UNKNOWN = Assumption(
    "voxel size",
    "No file gives the pixel size of the images, so that lengths and areas are in pixels. Enter it "
    "under Pixel (nm).",
)


@slots
class PixelSizeRow(VoxelSizeRow):
    """One field for images, three for volumes; hidden if their files state the size.

    Attributes
    ----------
    layer : napari Image layer or None
        The layer whose images are the samples.
    """

    layer_size_entered = Signal(tuple)
    """The user has entered a size in nm along the axes of an image in :attr:`layer`."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__("samples_pixel", "Pixel (nm)")
        self._choices, self._results = choices, results
        self.layer: Any = None
        self._n_axes = 2
        self.edited.connect(self._on_edited)

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """The assumption that is made while the size is unknown."""
        return (UNKNOWN,) if not self.isHidden() and self.known_sizes is None else ()

    def show_samples(self) -> None:
        """Show the pixel size of the current samples."""
        previews = self._results.previews
        sample = next((entry.sample for entry in previews if entry.sample is not None), None)
        has_field = with_pixel_size(self._choices.samples, None) is not None
        has_field = has_field or (self.layer is not None and lacks_unit(self.layer))
        self.setVisible(sample is not None and has_field)
        if sample is not None:
            self._n_axes = sample.image.ndim - 1
            n_fields = 1 if self._n_axes == 2 else 3
            scale = sample.scale if sample.unit is not None else None
            self.show_sizes(n_fields, scale[-n_fields:] if scale else None)

    def _on_edited(self) -> None:
        """Read the samples with the entered size; an incomplete one is unknown."""
        sizes = self.known_sizes
        recipe = with_pixel_size(self._choices.samples, sizes)
        if recipe is not None:
            self._choices.samples = recipe
        elif self.layer is not None and sizes is not None:
            self.layer_size_entered.emit((*sizes[:1] * (self._n_axes - len(sizes)), *sizes))
