"""Look into a network file and say what was found, without trusting it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures.exaggeration_net import load_explainer
from napari_quac.networks.architectures.recognise import (
    recognise_classifier,
    recognise_generator,
)
from napari_quac.networks.architectures.stargan_v2_shapes import read_hyperparameters, read_metadata
from napari_quac.networks.architectures.translation import load_translation
from napari_quac.networks.architectures.warp_unet import load_warp_unet
from napari_quac.networks.classifier_card import names_from_text
from napari_quac.networks.classifier_file import (
    GENERATOR_NAMES,
    onnx_sentence,
    pools_in,
    size_from_text,
    unknown_layout_sentence,
)
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.file_kind import FileKind, file_hash, file_kind
from napari_quac.networks.programs import (
    count_inputs,
    load_exported,
    load_torchscript,
    program_metadata,
)
from napari_quac.networks.tensor_file import State, flat, read_tensors
from napari_quac.networks.trial import ReturnsImagesError

__all__ = ["Inspection", "inspect", "read_tensors"]

Role = Literal["classifier", "generator", "unknown"]

NOT_LOADED = (
    "Generators of this kind are not loaded from a file. Have it write its images into folders "
    "SOURCE/TARGET/NAME and open that folder as generator."
)


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a network file holds.

    Attributes
    ----------
    path : Path
    kind : str
        ``torchscript``, ``exported program``, ``state dict``, ``safetensors``, ``stargan``,
        ``cyclegan``, ``simulator``, ``exaggeration`` or ``onnx``.
    role : {"classifier", "generator", "unknown"}
        What it can be used as.
    sha256 : str
        Of the file, as hexadecimal digits.
    size : int
        Of the file, in bytes.
    tensors : Mapping[str, tuple of int]
        Name to shape.
    metadata : Mapping[str, str]
        What the file says about itself.
    architecture : str or None
        Name of the architecture, where it could be told.
    parameters : Mapping[str, Any]
        What else follows from the shapes.
    n_classes, channels : int or None
    image_size : tuple of int or None
        None if any size will do, or nobody knows.
    class_names : tuple of str
        Empty where the file has none.
    findings : tuple of str
        Sentences for the card.
    description : Mapping[str, str]
        Label to value for the card, from the trial of a classifier.
    problem : str or None
        Why it cannot be used as it is, and what to do.
    """

    path: Path
    kind: str
    role: Role
    sha256: str
    size: int
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    architecture: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    n_classes: int | None = None
    channels: int | None = None
    image_size: tuple[int, ...] | None = None
    class_names: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    description: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None

    @property
    def is_program(self) -> bool:
        """Whether the file brings its own program, so that its origin has to be trusted."""
        return self.kind in ("torchscript", "exported program", "onnx")


def inspect(
    path: str | Path,
    run: bool = True,
    image_size: tuple[int, ...] | None = None,
    pools: tuple[tuple[int, ...], ...] | None = None,
) -> Inspection:
    """Find out what a network file holds, by its content and not by its name.

    Parameters
    ----------
    path : path
        Any file.
    run : bool
        Try the network on noise and blank images. Without it no program of the file is run, and
        less is known about TorchScript and exported programs.
    image_size : tuple of int, optional
        Spatial size of a classifier's input, where it is known.
    pools : tuple of tuple of int, optional
        Pooling factors of each level of a VGG, where they are known.

    Returns
    -------
    inspection : Inspection

    Raises
    ------
    CheckpointError
        If the file is missing, empty, damaged, no network, or holds Python objects.
    """
    path = Path(path)
    kind = file_kind(path)
    basis = Inspection(path, kind, "unknown", file_hash(path), path.stat().st_size)
    if kind == "onnx":
        return replace(basis, role="classifier", problem=onnx_sentence(path))
    if kind in ("torchscript", "exported program"):
        return _program(basis, kind, run, image_size)
    state, metadata = read_tensors(path)
    kind_name = "safetensors" if kind == "safetensors" else "state dict"
    shapes = {name: tuple(tensor.shape) for name, tensor in flat(state).items()}
    basis = replace(basis, kind=kind_name, tensors=shapes, metadata=metadata)
    generator = recognise_generator(shapes)
    if generator is not None:
        return _generator(basis, generator[0], state)
    return _state_dict(basis, state, run, image_size, pools)


def _state_dict(
    basis: Inspection,
    state: State,
    run: bool,
    image_size: tuple[int, ...] | None,
    pools: tuple[tuple[int, ...], ...] | None,
) -> Inspection:
    tensors = flat(state)
    size = image_size or size_from_text(basis.metadata.get("image_size"))
    layout = recognise_classifier(tensors, size, pools=pools or pools_in(basis.metadata))
    if layout is None:
        return replace(basis, problem=unknown_layout_sentence(basis.path, tensors))
    found = replace(
        basis,
        role="classifier",
        architecture=layout.name,
        parameters=layout.parameters,
        n_classes=layout.n_classes,
        channels=layout.channels,
        image_size=layout.image_size,
        findings=layout.notes,
    )
    if layout.problem:
        problem = f"'{basis.path.name}': {layout.problem}. Give the image size it was trained with."
        return replace(found, problem=problem)
    return _tried(found, image_size, pools) if run else found


def _program(
    basis: Inspection, kind: FileKind, run: bool, image_size: tuple[int, ...] | None
) -> Inspection:
    script = kind == "torchscript"
    n_inputs = count_inputs(basis.path)
    if n_inputs == 2:
        return replace(
            basis,
            role="generator",
            architecture="program",
            metadata=program_metadata(basis.path),
            findings=(
                "The file holds a program of two inputs: a warping simulator (image, option) or a "
                "bin-conditional explainer (image, bin).",
            ),
        )
    module = load_torchscript(basis.path) if script else load_exported(basis.path)
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    basis = replace(
        basis,
        tensors=shapes,
        metadata=program_metadata(basis.path),
        findings=("The file holds a program; use it only if you trust where it comes from.",),
    )
    return _tried(basis, image_size) if run else basis


def _tried(
    basis: Inspection,
    image_size: tuple[int, ...] | None = None,
    pools: tuple[tuple[int, ...], ...] | None = None,
) -> Inspection:
    """Add what a trial of the classifier shows."""
    try:
        classifier = ClassifierRecipe(basis.path, image_size=image_size, pools=pools).load("cpu")
    except ReturnsImagesError:
        finding = "It returns images, so it is a generator: say which class it turns into which."
        return replace(
            basis, role="generator", architecture="cyclegan", findings=(*basis.findings, finding)
        )
    except CheckpointError as error:
        return replace(basis, problem=str(error))
    notes = classifier.description.get("Notes")
    return replace(
        basis,
        role="classifier",
        n_classes=classifier.n_classes,
        channels=classifier.channels,
        image_size=classifier.image_size,
        class_names=classifier.class_names,
        findings=(*basis.findings, notes) if notes and not basis.architecture else basis.findings,
        description=classifier.description,
    )


def _generator(basis: Inspection, kind: str, state: State) -> Inspection:
    basis = replace(basis, kind=kind, role="generator", architecture=kind)
    if kind == "cyclegan":
        return _translation(basis, state)
    if kind == "simulator":
        return _simulator(basis, state)
    if kind == "exaggeration":
        return _explainer(basis, state)
    if kind != "stargan":
        finding = f"The file holds {GENERATOR_NAMES[kind]}."
        return replace(basis, findings=(finding,), problem=NOT_LOADED)
    states = {name: value for name, value in state.items() if isinstance(value, dict)}
    try:
        hyper = read_hyperparameters(states or {"generator": _plain(state)}, basis.metadata)
    except CheckpointError as error:
        return replace(basis, problem=f"'{basis.path.name}': {error}")
    said = read_metadata(basis.metadata, "final_activation")
    hyper = replace(hyper, final_activation=said or "tanh")
    styles = [
        style
        for style, there in (("latent", hyper.has_mapping), ("reference", hyper.has_style_encoder))
        if there
    ]
    size = read_metadata(basis.metadata, "query_size") or hyper.img_size
    form = hyper.final_activation + ("" if said else " (assumed)")
    return replace(
        basis,
        parameters=asdict(hyper),
        description={
            "Kind": "StarGAN v2",
            "Image size": f"{size} × {size} px",
            "Channels": str(hyper.channels),
            "Classes": ", ".join(names_from_text(basis.metadata)) or str(hyper.num_domains),
            "Style": f"{' or '.join(styles) or 'not contained'}, {hyper.style_dim} numbers",
            "Form": "predicts the change" if hyper.residual else f"whole images, {form}",
        },
        n_classes=hyper.num_domains,
        channels=hyper.channels,
        image_size=(size,) * 2,
        class_names=names_from_text(basis.metadata),
        findings=(f"StarGAN v2 generator, style {' or '.join(styles) or 'not contained'}.",),
    )


def _translation(basis: Inspection, state: State) -> Inspection:
    try:
        layout = load_translation(flat(state), basis.path.name)[0]
    except CheckpointError as error:
        return replace(basis, problem=str(error))
    source, target = (basis.metadata.get(key, "") for key in ("source", "target"))
    said = f"turns {source} into {target}" if source else "does not say which classes it translates"
    name = f"{layout.name}, {'no' if layout.norm == 'none' else layout.norm} norm"
    return replace(
        basis,
        parameters=layout.parameters,
        channels=layout.channels,
        findings=(f"CycleGAN or pix2pix generator ({name}), {said}.",),
    )


def _simulator(basis: Inspection, state: State) -> Inspection:
    try:
        hyper = load_warp_unet(flat(state), basis.path.name).hyper
    except CheckpointError as error:
        return replace(basis, problem=str(error))
    names = names_from_text(basis.metadata)
    said = f"adds the pattern of {names[1]}" if len(names) == 2 else "does not name its classes"
    return replace(
        basis,
        parameters=asdict(hyper),
        channels=hyper.channels,
        image_size=(hyper.image_size,) * hyper.n_axes,
        class_names=names,
        findings=(f"Warping simulator ({hyper.n_axes}-D), {said}.",),
    )


def _explainer(basis: Inspection, state: State) -> Inspection:
    try:
        network = load_explainer(flat(state), basis.path.name)
    except CheckpointError as error:
        return replace(basis, problem=str(error))
    names = names_from_text(basis.metadata)
    said = f" of the probability of {names[1]}, against {names[0]}" if len(names) == 2 else ""
    finding = f"Progressive exaggeration with {network.n_bins} bins{said}."
    return replace(basis, channels=network.channels, class_names=names, findings=(finding,))


def _plain(state: State) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
