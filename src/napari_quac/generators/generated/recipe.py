"""The recipe of previously generated images: their folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from napari_quac.generators.family import GeneratorFamily
from napari_quac.generators.generated import STYLES
from napari_quac.reading import is_folder

if TYPE_CHECKING:
    import torch

    from napari_quac.generators.generated.lookup import GeneratedImages
    from napari_quac.networks.checkpoint import Inspection


@dataclass(frozen=True)
class GeneratedRecipe(GeneratorFamily):
    """A folder of generated images, ``SOURCE/TARGET/NAME``.

    Attributes
    ----------
    path : Path
        The folder with one subfolder per source class, or one of those above it:
        ``generated_images/latent/SOURCE/TARGET/NAME``.
    style : {"auto", "latent", "reference"}
        The folder to take if both exist; ``auto`` prefers ``latent``.
    image_range : (low, high), optional
        Values in the files that are black and white; see
        :func:`~napari_quac.data.image_file.read_image`.
    """

    id = "generated"
    title = "Previously generated images"
    summary = "Images that another program generated, found by the name of the query."
    source_basis = "label"
    hidden = ("style",)
    former_fields: ClassVar[Mapping[str, str]] = {"directory": "path"}

    path: Path
    style: Literal["auto", "latent", "reference"] = "auto"
    image_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if self.image_range is not None:
            object.__setattr__(self, "image_range", tuple(self.image_range))

    @classmethod
    def from_file(cls, inspection: Inspection) -> GeneratedRecipe | None:
        """Return the recipe for a folder with the same class names on two levels."""
        is_in_folder = inspection.kind == "folder"
        return cls(inspection.path) if is_in_folder and holds_images(inspection.path) else None

    def load(self, device: str | torch.device = "auto") -> GeneratedImages:
        """Find the folder of the source classes; the device has no effect.

        Raises
        ------
        DataError
            If it does not exist or holds no images in that arrangement.
        """
        from napari_quac.generators.generated.lookup import GeneratedImages, source_folder

        del device
        return GeneratedImages(source_folder(self.path, self.style), self.image_range)


def holds_images(directory: Path) -> bool:
    """Tell a folder of generated images (SOURCE/TARGET) from one of samples (CLASS)."""
    if any(is_folder(directory / style) for style in (*STYLES, "generated_images")):
        return True
    classes = {entry.name for entry in directory.iterdir() if is_folder(entry)}
    return any(
        entry.name in classes and is_folder(entry)
        for name in classes
        for entry in (directory / name).iterdir()
    )
