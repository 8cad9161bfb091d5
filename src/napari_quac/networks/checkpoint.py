"""Look into a network file without trusting it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from napari_quac.data.assumptions import Assumption
from napari_quac.errors import CheckpointError
from napari_quac.file_probe import prepare_probe
from napari_quac.networks.checkpoint_file import State, flatten_state, read_tensors
from napari_quac.networks.classifier_file import (
    read_classifier_weights,
    unknown_network_sentence,
)
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.consent import PROGRAMS
from napari_quac.networks.formats.containers import find_container, weights_path
from napari_quac.networks.formats.notebook_cell import export_cell
from napari_quac.networks.onnx.network import load_onnx, onnx_metadata
from napari_quac.networks.program_text import count_inputs, program_metadata
from napari_quac.networks.programs import load_program
from napari_quac.networks.tensor_file import detect_format, file_hash
from napari_quac.networks.trial import ReturnsImagesError
from napari_quac.reading import is_folder, reading_errors

Role = Literal["classifier", "generator", "unknown"]
InspectionKind = Literal[
    "torchscript", "exported program", "state dict", "safetensors", "onnx", "folder"
]


@dataclass(frozen=True, eq=False)
class Inspection:
    """Contents of a network file or of a folder.

    Attributes
    ----------
    path : Path
    kind : str
        Format of the file; ``"folder"`` for a folder.
    role : {"classifier", "generator", "unknown"}
        Use of the network.
    sha256 : str
        Of the file, as hexadecimal digits; empty for a folder.
    size : int
        Of the file, in bytes.
    family : str
        Id of the generator family; empty for a classifier.
    recipe : GeneratorFamily or None
        Loads the generator.
    tensors : Mapping[str, tuple of int]
        Name to shape.
    metadata : Mapping[str, str]
        Texts that are stored in the file.
    n_inputs : int or None
        Inputs of a program; None for a file that is no program.
    returns_images : bool
        A trial of the program returned images.
    architecture : str or None
        Name of a classifier's architecture, where it is known here.
    parameters : Mapping[str, Any]
        Further facts that follow from the shapes.
    n_classes, channels : int or None
    image_size : tuple of int or None
        None if any size will do, or if it is unknown.
    class_names : tuple of str
        Empty where the file has none.
    findings : tuple of str
        Sentences for the card.
    description : Mapping[str, str]
        Label to value for the card.
    assumptions : tuple of Assumption
        Properties that the file does not state.
    problem : str or None
        Reason why it cannot be used as it is, and what to do.
    cell : str
        Code for the notebook of the network that makes a readable file; empty if none helps.
    """

    path: Path
    kind: InspectionKind
    role: Role
    sha256: str
    size: int
    family: str = ""
    recipe: Any = None
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    n_inputs: int | None = None
    returns_images: bool = False
    architecture: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    n_classes: int | None = None
    channels: int | None = None
    image_size: tuple[int, ...] | None = None
    class_names: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    description: Mapping[str, str] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    problem: str | None = None
    cell: str = ""

    @property
    def is_program(self) -> bool:
        """True if the file contains its own program, so that its origin has to be trusted."""
        return self.kind in PROGRAMS

    def read_state(self) -> State:
        """Read the tensors of the file again; ``tensors`` holds their shapes only."""
        return read_tensors(weights_path(self.path))[0]


def read_inspection(path: Path) -> Inspection:
    """Read format, tensor shapes and metadata of a file; the extension does not matter.

    Nothing of the file is run. Role and family are decided by others, see
    :func:`~napari_quac.generators.opening.inspect_network`.

    Parameters
    ----------
    path : Path
        Any file, or a folder.

    Raises
    ------
    CheckpointError
        If the file is missing, empty, damaged, no network, or holds Python objects.
    """
    with reading_errors(path.name, "Copy or export it again.", CheckpointError):
        return _read_path(path)


def _read_path(path: Path) -> Inspection:
    container = find_container(path)
    if container is not None:
        inspection = _read_file(container.weights)
        metadata = {**inspection.metadata, **container.metadata}
        findings = (f"It is a {container.kind}.", *container.notes)
        return replace(inspection, path=path, metadata=metadata, findings=findings)
    if is_folder(path):
        return Inspection(path, "folder", "unknown", "", 0)
    return _read_file(path)


def _read_file(path: Path) -> Inspection:
    kind, sha256, size = detect_format(path), file_hash(path), path.stat().st_size
    if kind == "onnx":
        network, model = load_onnx(path)
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        facts = {"tensors": shapes, "metadata": onnx_metadata(model), "n_inputs": 1}
        return Inspection(path, kind, "unknown", sha256, size, **facts)  # type: ignore[arg-type]
    if kind in ("torchscript", "exported program"):
        prepare_probe(kind)  # the user reads the question meanwhile
        metadata, n_inputs = program_metadata(path), count_inputs(path)
        return Inspection(path, kind, "unknown", sha256, size, metadata=metadata, n_inputs=n_inputs)
    state, metadata = read_tensors(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in flatten_state(state).items()}
    container: InspectionKind = "safetensors" if kind == "safetensors" else "state dict"
    return Inspection(path, container, "unknown", sha256, size, tensors=shapes, metadata=metadata)


def inspect_classifier(
    inspection: Inspection,
    run: bool = True,
    image_size: tuple[int, ...] | None = None,
    pools: tuple[tuple[int, ...], ...] | None = None,
) -> Inspection:
    """Add to an inspection the facts about the file as a classifier.

    Parameters
    ----------
    inspection : Inspection
        Of a file.
    run : bool
        Try the network on noise and blank images. Without it no program of the file is run, and
        less is known about TorchScript and exported programs.
    image_size : tuple of int, optional
        Spatial size of its input, where it is known.
    pools : tuple of tuple of int, optional
        Pooling factors of each level of a VGG, where they are known.
    """
    with reading_errors(inspection.path.name, "Copy or export it again.", CheckpointError):
        return _inspect_classifier(inspection, run, image_size, pools)


def _inspect_classifier(
    inspection: Inspection,
    run: bool,
    image_size: tuple[int, ...] | None,
    pools: tuple[tuple[int, ...], ...] | None,
) -> Inspection:
    if inspection.problem:
        return inspection
    if inspection.is_program:
        warning = "The file holds a program; use it only if you trust where it comes from."
        inspection = replace(inspection, findings=(*inspection.findings, warning))
        if not run:
            return inspection
        module = load_program(weights_path(inspection.path))
        shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        return _with_trial(replace(inspection, tensors=shapes), image_size)
    if inspection.kind == "onnx":
        return _with_trial(inspection, image_size) if run else inspection
    weights, metadata = read_classifier_weights(
        weights_path(inspection.path), None, image_size, pools, inspection.metadata
    )
    layout, tensors = weights.layout, weights.tensors
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    inspection = replace(inspection, tensors=shapes, metadata=metadata)
    if weights.module is not None:
        inspection = replace(inspection, role="classifier")
        return _with_trial(inspection, image_size) if run else inspection
    if layout is None:
        sentence = unknown_network_sentence(inspection.path, weights)
        cell = export_cell(weights.class_path, inspection.path.name)
        return replace(inspection, problem=sentence, cell=cell)
    names = ("parameters", "n_classes", "channels", "image_size")
    facts = {name: getattr(layout, name) for name in names}
    inspection = replace(
        inspection,
        role="classifier",
        architecture=layout.name,
        findings=inspection.findings + layout.notes + weights.notes,
        **facts,
    )
    if layout.problem:
        way_out = "Enter the image size it was trained with."
        return replace(inspection, problem=f"'{inspection.path.name}': {layout.problem}. {way_out}")
    return _with_trial(inspection, image_size, pools) if run else inspection


def _with_trial(
    inspection: Inspection,
    image_size: tuple[int, ...] | None = None,
    pools: tuple[tuple[int, ...], ...] | None = None,
) -> Inspection:
    """Add the facts that a trial of the classifier shows."""
    try:
        recipe = ClassifierRecipe(inspection.path, image_size=image_size, pools=pools)
        classifier = recipe.load("cpu")
    except ReturnsImagesError as error:
        if not inspection.is_program:  # layers of a pickled network, which are no generator alone
            return replace(inspection, problem=str(error))
        return replace(inspection, returns_images=True)
    except CheckpointError as error:
        return replace(inspection, problem=str(error))
    findings, notes = inspection.findings, classifier.description.get("Notes")
    if notes and not inspection.architecture:
        findings = (*findings, notes)
    names = (
        "n_classes", "channels", "image_size", "class_names", "description", "assumptions",
    )  # fmt: skip
    facts = {name: getattr(classifier, name) for name in names}
    return replace(inspection, role="classifier", findings=findings, **facts)
