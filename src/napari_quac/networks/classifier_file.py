"""Load the network of a classifier file, and recognize the architecture of a state dict."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.data.assumptions import Assumption
from napari_quac.data.preprocessing_steps import numbers_from_text
from napari_quac.errors import CheckpointError
from napari_quac.networks.adapters import ADAPTER_NOTES
from napari_quac.networks.architectures.layout import Layout
from napari_quac.networks.architectures.library_models import missing_library_sentence
from napari_quac.networks.architectures.recognition import recognize_classifier
from napari_quac.networks.checkpoint_file import (
    printable,
    quantized_sentence,
    read_checkpoint,
)
from napari_quac.networks.classifier import NetworkForm
from napari_quac.networks.facts_beside import read_beside
from napari_quac.networks.formats.container_files import Container
from napari_quac.networks.formats.containers import find_container
from napari_quac.networks.formats.notebook_cell import export_cell
from napari_quac.networks.formats.transforms import interpolation_assumption
from napari_quac.networks.program_text import program_metadata
from napari_quac.networks.programs import (
    ExportedNetwork,
    load_exported,
    load_torchscript,
    prepare_for_inference,
)
from napari_quac.networks.stored_normalization import without_unfit_normalization
from napari_quac.networks.tensor_file import detect_format
from napari_quac.networks.variants import Variant, with_variant
from napari_quac.networks.weights_choice import ChosenWeights, choose_weights
from napari_quac.reading import parse_json

MAX_PIXELS = 1 << 25
"""Of one image; a larger size in a file is not believed."""

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class OpenedFile:
    """A classifier that was loaded from a file but not yet tried.

    Attributes
    ----------
    module : torch module
        On the CPU, in eval mode, without parameter gradients.
    form : str
        As in :class:`~napari_quac.networks.classifier.Classifier`.
    shapes : Mapping[str, tuple]
        Name and shape of each tensor.
    metadata : Mapping[str, str]
        What the file says about itself.
    layout : Layout or None
        The architecture, where it was read off a state dict.
    channels : int or None
    image_size : tuple of int or None
        Where they are known before it is tried.
    kind : str
        Of the network, where neither form nor layout name it.
    container : str
        Kind of the folder or archive in which the file lies, such as ``"timm folder"``.
    notes : tuple of str
        Sentences about its description, and about tensors without use, such as those of a loss.
    assumptions : tuple of Assumption
        Choices that the file leaves open.
    compare : callable, optional
        Compares the network with another program, given channels and size of its input; returns a
        sentence for the card, and raises ``CheckpointError`` if they differ.
    """

    module: nn.Module
    form: NetworkForm
    shapes: Shapes
    metadata: Mapping[str, str]
    layout: Layout | None = None
    channels: int | None = None
    image_size: tuple[int, ...] | None = None
    kind: str = ""
    container: str = ""
    notes: tuple[str, ...] = ()
    compare: Callable[[int, tuple[int, ...]], str] | None = None
    assumptions: tuple[Assumption, ...] = ()


def open_classifier_file(
    path: Path,
    architecture: str | None = None,
    image_size: tuple[int, ...] | None = None,
    pools: Sequence[Sequence[int]] | None = None,
    variant: Variant | None = None,
) -> OpenedFile:
    """Load the network of a file, folder or archive, whatever its kind.

    Parameters
    ----------
    path : Path
        The file; or a container, see :func:`~napari_quac.networks.formats.containers`.
    architecture : str, optional
        Name of the architecture of a state dict.
    image_size : tuple of int, optional
        Spatial size of its input, where it is known.
    pools : sequence of sequence of int, optional
        Pooling factors of each level of a VGG, where they are known.
    variant : Mapping[str, str], optional
        Parts that weights do not hold, see :mod:`~napari_quac.networks.variants`.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or holds no classifier that is known here.
    """
    container = find_container(path) or Container("", path)
    opened = _open_file(
        container.weights, container.metadata, architecture, image_size, pools, variant
    )
    # the description of a container states preprocessing and classes as they were used
    metadata = {**opened.metadata, **container.metadata}
    return replace(
        opened,
        metadata=metadata,
        container=container.kind,
        notes=container.notes + opened.notes,
        assumptions=opened.assumptions + interpolation_assumption(metadata),
    )


def _open_file(
    path: Path,
    description: Mapping[str, str],
    architecture: str | None,
    image_size: tuple[int, ...] | None,
    pools: Sequence[Sequence[int]] | None,
    variant: Variant | None,
) -> OpenedFile:
    """Load the network of a file, with the description of the container in which it lies."""
    kind = detect_format(path)
    if kind == "onnx":
        return _open_onnx(path)
    if kind == "torchscript":
        script = load_torchscript(path, as_float32=False)
        metadata, assumptions = _with_facts_beside(path, program_metadata(path), description)
        return OpenedFile(
            script, "torchscript", _shapes_of(script), metadata, assumptions=assumptions
        )
    if kind == "exported program":
        program = load_exported(path, as_float32=False)
        metadata, assumptions = _with_facts_beside(path, program_metadata(path), description)
        return OpenedFile(
            program,
            "exported",
            _shapes_of(program),
            metadata,
            channels=program.channels,
            image_size=program.image_size,
            notes=(ADAPTER_NOTES["channels last"],) if program.has_channels_last else (),
            assumptions=assumptions,
        )
    weights, metadata = read_classifier_weights(path, architecture, image_size, pools, description)
    tensors, layout = weights.tensors, weights.layout
    size = image_size or size_from_text(metadata.get("image_size"))
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if weights.module is not None:
        module = load_weights(weights.module, tensors, path, "whole network")
        return OpenedFile(
            module, "eager", shapes, metadata, notes=weights.notes, assumptions=weights.assumptions
        )
    if layout is None:
        cell = export_cell(weights.class_path, path.name)
        sentence = unknown_network_sentence(path, weights, architecture)
        advice = missing_library_sentence(tensors, metadata)
        raise CheckpointError(f"{sentence} {advice}".strip(), cell)
    if layout.problem:
        raise CheckpointError(
            f"'{path.name}' is a {layout.name}, but {layout.problem}. Give the image size."
        )
    layout = with_variant(layout, variant or variant_in(metadata))
    module = build_with_weights(layout, tensors, path)
    input_size = layout.image_size or size
    return OpenedFile(
        module,
        "eager",
        shapes,
        metadata,
        layout,
        layout.channels,
        input_size,
        notes=weights.notes,
        assumptions=layout.assumptions + weights.assumptions,
    )


def read_classifier_weights(
    path: Path,
    architecture: str | None = None,
    image_size: tuple[int, ...] | None = None,
    pools: Sequence[Sequence[int]] | None = None,
    description: Mapping[str, str] = MappingProxyType({}),
) -> tuple[ChosenWeights, dict[str, str]]:
    """Read the weights of a classifier from a checkpoint, and the facts beside them.

    Parameters
    ----------
    path, architecture, image_size, pools
        As for :func:`open_classifier_file`.
    description : Mapping[str, str]
        Metadata of the container in which the file lies; they replace those of the file.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or holds no weights.
    """
    checkpoint = read_checkpoint(path)
    metadata, assumptions = _with_facts_beside(path, checkpoint.metadata, description)
    size = image_size or size_from_text(metadata.get("image_size"))
    factors = pools or pools_in(metadata)

    def recognize(tensors: Mapping[str, Tensor]) -> Layout | None:
        return recognize_classifier(tensors, size, architecture, factors, metadata)

    weights = choose_weights(checkpoint, recognize)
    metadata, unfit = without_unfit_normalization(metadata, weights.channels, path.name)
    if weights.class_path:
        metadata.setdefault("class_path", weights.class_path)
    if not {"mean", "std", "value_range", "range", "preprocessing"} & set(metadata):
        metadata |= weights.normalization
    elif metadata.get("mean") != weights.normalization.get("mean"):  # what the file states counts
        stated = [a for a in weights.assumptions if a.kind != "input range"]
        weights = replace(weights, assumptions=tuple(stated))
    if weights.variant:
        metadata.setdefault("variant", json.dumps(dict(weights.variant)))
    assumptions = checkpoint.assumptions + weights.assumptions + assumptions + unfit
    return replace(weights, assumptions=assumptions), metadata


def _with_facts_beside(
    path: Path, metadata: Mapping[str, str], description: Mapping[str, str]
) -> tuple[dict[str, str], tuple[Assumption, ...]]:
    """Add the facts of files beside a network, where neither it nor its container states them."""
    beside, assumptions = read_beside(path)
    stated = {**metadata, **description}
    if {"mean", "std", "value_range", "range", "standardize", "preprocessing"} & set(stated):
        # parts of two descriptions do not make one preprocessing
        beside = {key: text for key, text in beside.items() if key not in ("mean", "std")}
        assumptions = ()
    return {**beside, **stated}, assumptions


def _open_onnx(path: Path) -> OpenedFile:
    from napari_quac.networks.onnx.comparison import compare_outputs
    from napari_quac.networks.onnx.network import load_onnx, onnx_metadata

    network, model = load_onnx(path)
    program = ExportedNetwork(network, network.bounds)
    prepare_for_inference(program)
    fixed = program.channels, program.image_size
    compare = partial(compare_outputs, path, program)
    facts = _shapes_of(program), onnx_metadata(model)
    return OpenedFile(program, "eager", *facts, None, *fixed, kind="ONNX", compare=compare)


def build_with_weights(layout: Layout, tensors: Mapping[str, Tensor], path: Path) -> nn.Module:
    """Build an architecture with these weights, all of them and no others.

    Raises
    ------
    CheckpointError
        If weights are missing, too many, of another shape, or not finite.
    """
    if layout.tensors is not None:
        tensors = layout.tensors
    with torch.device("meta"):  # no time is spent on initial weights
        module = layout.build()
    return load_weights(module, tensors, path, layout.name)


def load_weights(
    module: nn.Module, tensors: Mapping[str, Tensor], path: Path, architecture: str
) -> nn.Module:
    """Load these weights into a module, all of them and no others.

    Raises
    ------
    CheckpointError
        If weights are missing, too many, of another shape, or not finite.
    """
    expected = module.state_dict()
    missing = [n for n in expected if n not in tensors and not n.endswith("num_batches_tracked")]
    unexpected = [name for name in tensors if name not in expected]
    mismatched = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if missing or unexpected or mismatched:
        problems = {"missing": missing, "unexpected": unexpected, "of another shape": mismatched}
        findings = [f"{label}: {_some(names)}" for label, names in problems.items() if names]
        raise CheckpointError(
            f"'{path.name}' looks like {architecture}, but its tensors do not fit: "
            f"{'; '.join(findings)}. Export it as TorchScript, which contains its architecture."
        )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not _is_finite(tensor):
            raise CheckpointError(
                f"'{path.name}' holds NaN or infinity in '{name}'. Choose an earlier checkpoint."
            )
    counters = {n: torch.tensor(0) for n in expected if n not in tensors}
    module.load_state_dict({**tensors, **counters}, strict=True, assign=True)
    prepare_for_inference(module)
    return module


def _is_finite(tensor: Tensor) -> bool:
    # the sum takes a fortieth of the time, and is finite if all are and it does not overflow
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def size_from_text(text: str | None) -> tuple[int, ...] | None:
    """Read an image size such as ``128``, ``[128, 128]`` or ``128, 128``; None without one."""
    numbers = numbers_from_text(text)
    if not numbers or any(number != int(number) or number < 1 for number in numbers):
        return None
    size = tuple(int(number) for number in numbers)
    size = size * 2 if len(size) == 1 else size
    return size if math.prod(size) <= MAX_PIXELS else None


def whole_number(text: str | None) -> int | None:
    """Read a single number, such as of channels; None without one."""
    numbers = numbers_from_text(text)
    return int(numbers[0]) if len(numbers) == 1 else None


def pools_in(metadata: Mapping[str, str]) -> tuple[tuple[int, ...], ...] | None:
    """Return the pooling factors that a file's metadata hold, as JSON; None without them."""
    for key in ("downsample_factors", "pools"):
        with contextlib.suppress(ValueError, TypeError):
            levels = parse_json(metadata.get(key, ""))
            return tuple(tuple(int(factor) for factor in factors) for factors in levels)
    return None


def variant_in(metadata: Mapping[str, str]) -> dict[str, str] | None:
    """Return the variant of the architecture that a file's metadata hold, as JSON."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        entries = parse_json(metadata.get("variant", ""))
        return {str(name): str(choice) for name, choice in entries.items()}
    return None


def unknown_network_sentence(
    path: Path, weights: ChosenWeights, architecture: str | None = None
) -> str:
    """Return the error about weights of an unknown architecture, or of an unknown class."""
    if weights.is_quantized:
        return quantized_sentence(path)
    if not weights.class_path:
        return unknown_layout_sentence(path, weights.tensors, architecture)
    name = printable(weights.class_path.rpartition(".")[2])
    return (
        f"'{path.name}' is a whole pickled network of the class {name}, whose code is not in the "
        "file. In the notebook where it is defined run: napari_quac.export_classifier(model, "
        f"'{path.stem}.pt2', classes=[…], example=…), and open that file."
    )


def unknown_layout_sentence(
    path: Path, tensors: Mapping[str, Tensor], architecture: str | None = None
) -> str:
    """Return the error about a state dict of an unknown architecture."""
    network = f"a {architecture}" if architecture else "a network that is known here"
    return (
        f"'{path.name}' holds tensors ({_some(list(tensors))}) that are not those of {network}. "
        "Weights alone do not hold the structure of a network. In the notebook where it is "
        f"defined run: napari_quac.export_classifier(model, '{path.stem}.pt2', classes=[…], "
        "example=…), and open that file."
    )


def _some(names: list[str], n: int = 4) -> str:
    return ", ".join(names[:n]) + (f", … ({len(names)} in all)" if len(names) > n else "")


def _shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if isinstance(module, torch.jit.ScriptModule):
        # code_with_constants takes gigabytes for a damaged list of constants
        graph: Any = module.graph
        for node in graph.findAllNodes("prim::Constant", recurse=True):
            if node.output().type().kind() == "TensorType" and node.hasAttribute("value"):
                shape = tuple(node.t("value").shape)
                if shape:
                    shapes[f"constant {len(shapes)}"] = shape
    return shapes
