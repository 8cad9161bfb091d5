"""The recipe of a StarGAN v2: its file, and the source of its styles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from napari_quac.errors import CheckpointError, DataError, QuacError, ShapeError
from napari_quac.generators.family import GeneratorFamily
from napari_quac.networks.value_range import ValueRange

if TYPE_CHECKING:
    import torch

    from napari_quac.generators.stargan.generator import StarGANGenerator
    from napari_quac.networks.checkpoint import Inspection

Style = Literal["latent", "reference"]


@dataclass(frozen=True)
class StarGANRecipe(GeneratorFamily):
    """A StarGAN v2 file and the source of its styles.

    Attributes
    ----------
    path : Path
        A ``*_nets_ema.ckpt`` of the QuAC library or of the authors, or a safetensors file of ours.
    style : {"latent", "reference"}
        Styles from random vectors, or from images of the target class.
    references : Path or None
        Folder with one subfolder of images per class; needed for style "reference".
    final_activation : {"auto", "none", "tanh", "sigmoid"}
        Last layer of the generator. Files of the QuAC library do not store it; "auto" takes tanh
        for them, as that library does.
    value_range : ValueRange or None
        Input range of the network; None for the range in the file, or else [-1, 1].
    class_names : tuple of str or None
        Names of the generator's domains in their order; None for those in the file.
    domains : tuple of int or None
        The generator's domain for each class of the classifier; None to match them by name where
        both have names, else by index.
    image_size : int or None
        Height and width, pixels, at which the network works, where the file does not tell.
    query_size : int or None
        Height and width of the queries, pixels, for a network that predicts the change: queries
        are reduced for it and the change is enlarged. None for the size in the file.
    """

    id = "stargan"
    title = "StarGAN v2"
    summary = "One network that turns a query into any of its classes, by a style."
    training = "napari_quac.generators.stargan.training_settings:StarGANTrainingSettings"
    files = ("path", "references")
    hidden = ("style", "final_activation", "image_size", "query_size")
    former_fields: ClassVar[Mapping[str, str]] = {"checkpoint": "path"}

    path: Path
    style: Style = "latent"
    references: Path | None = None
    final_activation: Literal["auto", "none", "tanh", "sigmoid"] = "auto"
    value_range: ValueRange | None = None
    class_names: tuple[str, ...] | None = None
    domains: tuple[int, ...] | None = None
    image_size: int | None = None
    query_size: int | None = None

    @classmethod
    def from_file(cls, inspection: Inspection) -> StarGANRecipe | None:
        """Return the recipe for a state dict with the parts of a StarGAN v2."""
        names = inspection.tensors
        parts = {name.partition(".")[0] for name in names}
        has_generator = "generator.from_rgb.weight" in names or "from_rgb.weight" in names
        if not has_generator and not parts & {"mapping_network", "style_encoder"}:
            return None
        return cls(inspection.path, "latent" if "mapping_network" in parts else "reference")

    def describe_file(self, inspection: Inspection) -> Inspection:
        """Return the inspection with classes, size, styles and output form."""
        from napari_quac.networks.architectures.stargan_v2_shapes import (
            read_activation,
            read_hyperparameters,
            read_size,
        )
        from napari_quac.networks.checkpoint_file import flatten_state
        from napari_quac.networks.classifier_recipe import names_from_text

        state, metadata = inspection.read_state(), inspection.metadata
        parts = {name: tensors for name, tensors in state.items() if isinstance(tensors, dict)}
        try:
            hyper = read_hyperparameters(parts or {"generator": flatten_state(state)}, metadata)
        except CheckpointError as error:
            raise CheckpointError(f"'{inspection.path.name}': {error}") from error
        stored_activation = read_activation(metadata)
        hyper = replace(hyper, final_activation=stored_activation or "tanh")
        available = {"latent": hyper.has_mapping, "reference": hyper.has_style_encoder}
        styles = " or ".join(style for style in available if available[style]) or "not contained"
        size = read_size(metadata, "query_size") or hyper.img_size
        names = names_from_text(metadata)
        form = hyper.final_activation + ("" if stored_activation else " (assumed)")
        return replace(
            inspection,
            parameters=asdict(hyper),
            description={
                "Kind": self.title,
                "Image size": f"{size} × {size} px",
                "Channels": str(hyper.channels),
                "Classes": ", ".join(names) or str(hyper.num_domains),
                "Style": f"{styles}, {hyper.style_dim} numbers",
                "Form": "predicts the change" if hyper.residual else f"whole images, {form}",
            },
            n_classes=hyper.num_domains,
            channels=hyper.channels,
            image_size=(size,) * 2,
            class_names=names,
            findings=(f"StarGAN v2 generator, style {styles}.",),
        )

    def load(self, device: str | torch.device = "auto") -> StarGANGenerator:
        """Read the file and return the live generator.

        Parameters
        ----------
        device : str or torch.device
            Such as "cpu", "cuda:0", or "auto" for the fastest available.

        Raises
        ------
        CheckpointError
            If the file is no StarGAN v2, or lacks a part that the style needs.
        DataError
            If the reference images cannot be read.
        """
        from napari_quac.data.image_datasets import ImageFolder
        from napari_quac.generators.stargan.file import read_stargan
        from napari_quac.generators.stargan.generator import StarGANGenerator
        from napari_quac.networks.device import resolve_device

        path = Path(self.path)
        activation = None if self.final_activation == "auto" else self.final_activation
        file = read_stargan(path, self.image_size, activation, self.value_range, self.class_names)
        hyper = file.network.hyper
        if self.query_size not in (None, hyper.img_size) and not hyper.residual:
            raise ShapeError(
                f"'{path.name}' generates whole images of {hyper.img_size} pixels, blurred at "
                f"{self.query_size}. Reduce the queries, or use a generator of the change."
            )
        parts = {"latent": "mapping_network", "reference": "style_encoder"}
        if self.style not in parts:
            raise QuacError(f"There is no style '{self.style}'. Choose 'latent' or 'reference'.")
        if getattr(file.network, parts[self.style]) is None:
            other = "reference" if self.style == "latent" else "latent"
            raise CheckpointError(
                f"'{path.name}' has no '{parts[self.style]}', which style '{self.style}' needs. "
                f"Choose style '{other}', or another file."
            )
        references = None
        if self.style == "reference":
            if self.references is None:
                raise DataError(
                    "Style 'reference' needs a folder with a subfolder of images per class "
                    "(--references). Choose one, or style 'latent'."
                )
            references = ImageFolder(self.references)
        return StarGANGenerator(
            file.network,
            class_names=file.class_names,
            query_size=self.query_size or file.query_size,
            value_range=file.value_range,
            references=references,
            domains=self.domains,
            device=resolve_device(device) if isinstance(device, str) else device,
            name=path.name,
            description=file.description,
        )
