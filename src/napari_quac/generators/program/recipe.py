"""The recipe of an exported program with two inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from napari_quac.generators.family import GeneratorFamily
from napari_quac.networks.value_range import ValueRange
from napari_quac.networks.warp import AxisOrder, Unit

if TYPE_CHECKING:
    import torch

    from napari_quac.generators.program.generator import ProgramGenerator
    from napari_quac.networks.checkpoint import Inspection


@dataclass(frozen=True)
class ProgramRecipe(GeneratorFamily):
    """A TorchScript or ``torch.export`` program of two inputs, and the meaning of its output.

    Attributes
    ----------
    path : Path
        ``(image, option) -> field``, with ``image`` (N, C, *S), ``option`` (N, 1) of +1 or -1 and
        ``field`` (N, n, *S): a warping simulator. Or ``(image, bin) -> image``, with ``bin`` (N,)
        whole numbers: a bin-conditional generator, which may return more after the image.
    positive : str, int or None
        Class whose pattern option +1 adds, or whose probability rises with the bin; by name or
        index. None for the second one.
    order : {"array", "reversed"}
        Axis of channel 0 of a field: the first array axis, or the last one (x first).
    unit : {"voxel", "normalised"}  (wording: stored in plans)
        Of a field; the second is [-1, 1] from the first to the last pixel.
    n_bins : int or None
        Number of bins; None to find it out.
    value_range : ValueRange or None
        Input range of the program; None for 0 to 1 with fields, and -1 to 1 with images.
    """

    id = "program"
    title = "Exported program"
    summary = "A program of two inputs: a warping simulator or a bin-conditional generator."
    former_fields: ClassVar[Mapping[str, str]] = {"checkpoint": "path"}

    path: Path
    positive: str | int | None = None
    order: AxisOrder = "array"
    unit: Unit = "voxel"
    n_bins: int | None = None
    value_range: ValueRange | None = None

    @classmethod
    def from_file(cls, inspection: Inspection) -> ProgramRecipe | None:
        """Return the recipe for a program of two inputs."""
        return cls(inspection.path) if inspection.n_inputs == 2 else None

    def describe_file(self, inspection: Inspection) -> Inspection:
        """Return the inspection with both possibilities; only the first query decides."""
        finding = (
            "The file holds a program of two inputs: a warping simulator (image, option) or a "
            "bin-conditional generator (image, bin)."
        )
        return replace(inspection, findings=(finding,))

    def load(self, device: str | torch.device = "auto") -> ProgramGenerator:
        """Read the file.

        Raises
        ------
        CheckpointError
            If it is no program of two inputs.
        """
        from napari_quac.generators.program.generator import ProgramGenerator
        from napari_quac.networks.device import resolve_device
        from napari_quac.networks.programs import load_program

        path = Path(self.path)
        device = resolve_device(device) if isinstance(device, str) else device
        return ProgramGenerator(load_program(path, 2).to(device), self, path.name, device)
