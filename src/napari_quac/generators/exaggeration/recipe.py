"""The recipe of a bin-conditional generator, as progressive exaggeration trains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from napari_quac.generators.family import GeneratorFamily
from napari_quac.networks.value_range import ValueRange

if TYPE_CHECKING:
    import torch

    from napari_quac.generators.exaggeration.generator import ExaggerationGenerator
    from napari_quac.networks.checkpoint import Inspection

MARKS = ("gamma_conditional", "embed_gamma", "g_e_res_block")


@dataclass(frozen=True)
class ExaggerationRecipe(GeneratorFamily):
    """A bin-conditional generator and the class whose probability rises with the bin.

    Attributes
    ----------
    path : Path
        A state dict of the Luab port or of derm_audit, or a safetensors file of ours.
    positive : str, int or None
        The class whose probability rises with the bin, by name or index; None for the class in the
        file, or else the second one.
    value_range : ValueRange or None
        Input range of the network; None for the range in the file, or else [-1, 1].
    """

    id = "exaggeration"
    title = "Progressive exaggeration"
    summary = "Images along the probability of a class, one for each bin."
    training = "napari_quac.generators.exaggeration.training_settings:ExaggerationTrainingSettings"
    former_fields: ClassVar[Mapping[str, str]] = {"checkpoint": "path"}

    path: Path
    positive: str | int | None = None
    value_range: ValueRange | None = None

    @classmethod
    def from_file(cls, inspection: Inspection) -> ExaggerationRecipe | None:
        """Return the recipe for a state dict with conditional batch norms."""
        names = inspection.tensors
        is_ours = "gen.blocks.0.cbn_relu_first.embed.weight" in names
        is_published = any(mark in name for name in names for mark in MARKS)
        return cls(inspection.path) if is_ours or is_published else None

    def describe_file(self, inspection: Inspection) -> Inspection:
        """Return the inspection with bins, channels and classes."""
        from napari_quac.networks.architectures.exaggeration_net import load_bin_generator
        from napari_quac.networks.checkpoint_file import flatten_state
        from napari_quac.networks.classifier_recipe import names_from_text

        network = load_bin_generator(flatten_state(inspection.read_state()), inspection.path.name)
        names = names_from_text(inspection.metadata)
        of = f" of the probability of {names[1]}, against {names[0]}" if len(names) == 2 else ""
        finding = f"Progressive exaggeration with {network.n_bins} bins{of}."
        return replace(
            inspection, channels=network.channels, class_names=names, findings=(finding,)
        )

    def load(self, device: str | torch.device = "auto") -> ExaggerationGenerator:
        """Read the file.

        Raises
        ------
        CheckpointError
            If it holds no bin-conditional generator.
        """
        from napari_quac.generators.exaggeration.generator import (
            ExaggerationGenerator,
            stored_layout,
        )
        from napari_quac.networks.architectures.exaggeration_net import load_bin_generator
        from napari_quac.networks.checkpoint_file import flatten_state, read_tensors
        from napari_quac.networks.device import resolve_device

        path = Path(self.path)
        device = resolve_device(device) if isinstance(device, str) else device
        tensors, metadata = read_tensors(path)
        network = load_bin_generator(flatten_state(tensors), path.name)
        layout = stored_layout(metadata)
        if self.positive is not None:
            layout = replace(layout, positive=self.positive)
        if self.value_range is not None:
            layout = replace(layout, value_range=self.value_range)
        return ExaggerationGenerator(network.to(device), layout, path.name, device)
