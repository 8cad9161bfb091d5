"""The recipe of a warping simulator: its file, and the convention of its displacement field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from napari_quac.generators.family import GeneratorFamily
from napari_quac.networks.value_range import ValueRange
from napari_quac.networks.warp import AxisOrder, Unit

if TYPE_CHECKING:
    import torch

    from napari_quac.generators.warp.generator import WarpGenerator
    from napari_quac.networks.checkpoint import Inspection


@dataclass(frozen=True)
class WarpRecipe(GeneratorFamily):
    """A displacement network and the convention of its field.

    Attributes
    ----------
    path : Path
        A state dict of Liu et al.'s layout, 2-D or 3-D; or TorchScript or .pt2
        ``(image, option) -> field`` with ``image`` (N, C, *S), ``option`` (N, 1) of +1 or -1,
        ``field`` (N, n, *S).
    positive : str, int or None
        The class whose pattern option +1 adds, by name or index; None for the class in the file,
        or else the second one.
    order : {"array", "reversed"}
        Axis of the field's first channel: the first array axis, or the last one.
    unit : {"voxel", "normalised"}  (wording: stored in plans)
        Of the field; the second is [-1, 1] from the first to the last pixel.
    value_range : ValueRange
        Input range of the network.
    """

    id = "warp"
    title = "Warping simulator"
    summary = "The query, deformed more and more towards the target class."
    training = "napari_quac.generators.warp.training_settings:WarpTrainingSettings"
    former_fields: ClassVar[Mapping[str, str]] = {"checkpoint": "path"}

    path: Path
    positive: str | int | None = None
    order: AxisOrder = "array"
    unit: Unit = "voxel"
    value_range: ValueRange = field(default_factory=lambda: ValueRange(0, 1))

    @classmethod
    def from_file(cls, inspection: Inspection) -> WarpRecipe | None:
        """Return the recipe for a state dict with the option embedding of a simulator."""
        names = inspection.tensors
        is_flat = any(name.startswith("e_cls.") for name in names) and any(
            "trans." in name for name in names
        )
        is_routed = any("._routing_fn.fc." in name for name in names)
        return cls(inspection.path) if is_flat or is_routed else None

    def describe_file(self, inspection: Inspection) -> Inspection:
        """Return the inspection with dimensions, channels, size and classes."""
        from napari_quac.networks.architectures.warp_unet import load_warp_unet
        from napari_quac.networks.checkpoint_file import flatten_state
        from napari_quac.networks.classifier_recipe import names_from_text

        hyper = load_warp_unet(flatten_state(inspection.read_state()), inspection.path.name).hyper
        names = names_from_text(inspection.metadata)
        pattern = f"adds the pattern of {names[1]}" if len(names) == 2 else "without class names"
        return replace(
            inspection,
            parameters=asdict(hyper),
            channels=hyper.channels,
            image_size=(hyper.image_size,) * hyper.n_axes,
            class_names=names,
            findings=(f"Warping simulator ({hyper.n_axes}-D), {pattern}.",),
        )

    def load(self, device: str | torch.device = "auto") -> WarpGenerator:
        """Read the file.

        Raises
        ------
        CheckpointError
            If it holds no simulator.
        """
        from napari_quac.generators.warp.generator import WarpGenerator
        from napari_quac.networks.architectures.stargan_v2_shapes import read_class_names
        from napari_quac.networks.architectures.warp_unet import load_warp_unet
        from napari_quac.networks.checkpoint_file import flatten_state, read_tensors
        from napari_quac.networks.device import resolve_device
        from napari_quac.networks.programs import load_program
        from napari_quac.networks.tensor_file import detect_format

        path = Path(self.path)
        device = resolve_device(device) if isinstance(device, str) else device
        if detect_format(path) in ("torchscript", "exported program"):
            script = load_program(path, n_inputs=2).to(device)
            complete = self if self.positive is not None else replace(self, positive=1)
            return WarpGenerator(script, complete, path.name, device, None)
        tensors, metadata = read_tensors(path)
        network = load_warp_unet(flatten_state(tensors), path.name).to(device)
        hyper = network.hyper
        shape = (hyper.channels, *(hyper.image_size,) * hyper.n_axes)
        names = read_class_names(metadata)
        positive: str | int = names[1] if len(names) == 2 else 1
        complete = self if self.positive is not None else replace(self, positive=positive)
        return WarpGenerator(network, complete, path.name, device, shape)
