"""Bundles of MONAI: ``configs/metadata.json``, ``configs/inference.json``, ``models/model.*``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from napari_quac.errors import CheckpointError
from napari_quac.networks.formats.container_files import Container, Files, choose_weights
from napari_quac.reading import parse_yaml

WEIGHTS = ("models/model.ts", "models/model.pt", "models/model.onnx", "models/model.safetensors")
_INFERENCE = ("configs/inference.json", "configs/inference.yaml", "configs/evaluate.json")


def read_monai_bundle(files: Files) -> Container | None:
    """Read a bundle; None for another folder or archive."""
    if "configs/metadata.json" not in files.names:
        return None
    description = _mapping(files, "configs/metadata.json")
    formats = description.get("network_data_format") or {}
    inputs, outputs = (_first_entry(formats.get(key)) for key in ("inputs", "outputs"))
    metadata: dict[str, str] = {}
    if isinstance(inputs.get("num_channels"), int):
        metadata["channels"] = str(inputs["num_channels"])
    size = inputs.get("spatial_shape")
    if isinstance(size, list) and all(isinstance(length, int) for length in size):
        metadata["image_size"] = json.dumps(size)
    names = outputs.get("channel_def")
    if isinstance(names, Mapping) and names:
        ordered = sorted(names.items(), key=lambda pair: int(pair[0]))
        metadata["class_names"] = json.dumps([str(name) for _, name in ordered])
    value_range = inputs.get("value_range")
    if isinstance(value_range, list) and len(value_range) == 2:
        metadata["value_range"] = json.dumps(value_range)
    inference = files.first(*_INFERENCE)
    notes: list[str] = []
    if inference:
        _add_inference(metadata, _mapping(files, inference), notes)
    weights = choose_weights(files, WEIGHTS, "MONAI bundle")
    return Container("MONAI bundle", weights, metadata, tuple(notes))


def _first_entry(entries: Any) -> Mapping[str, Any]:
    entry: Any = next(iter(entries.values()), None) if isinstance(entries, Mapping) else None
    return entry if isinstance(entry, Mapping) else {}


def _mapping(files: Files, name: str) -> dict[str, Any]:
    try:
        content = parse_yaml(files.text(name))  # JSON is YAML
    except ValueError as error:
        raise CheckpointError(
            f"'{name}' in '{files.path.name}' cannot be read ({error}). Copy it again."
        ) from error
    return content if isinstance(content, dict) else {}


def _add_inference(
    metadata: dict[str, str], inference: Mapping[str, Any], notes: list[str]
) -> None:
    """Add architecture and preprocessing of the configuration for inference."""
    network = inference.get("network_def")
    if isinstance(network, Mapping) and "_target_" in network:
        parameters = {key: entry for key, entry in network.items() if not key.startswith("_")}
        metadata["architecture"] = str(network["_target_"]).rpartition(".")[2]
        metadata["architecture_parameters"] = json.dumps(parameters)
    for transform in _transforms(inference.get("preprocessing")):
        name = str(transform.get("_target_", "")).rpartition(".")[2].removesuffix("d")
        if name == "ScaleIntensityRange":
            low, high = transform.get("b_min", 0), transform.get("b_max", 1)
            if isinstance(low, int | float) and isinstance(high, int | float) and high > low:
                metadata["value_range"] = json.dumps([low, high])
        elif name == "ScaleIntensity":
            metadata["standardize"] = "[0, 100]"
            low, high = transform.get("minv", 0), transform.get("maxv", 1)
            metadata["value_range"] = json.dumps([low, high])
        elif name == "NormalizeIntensity":
            _add_normalization(metadata, transform)
        elif name == "Resize" and isinstance(transform.get("spatial_size"), list):
            metadata["resize"] = json.dumps(transform["spatial_size"])
        elif name not in _WITHOUT_EFFECT:
            notes.append(f"The transform '{name}' of the bundle is not applied.")


_WITHOUT_EFFECT = (
    "LoadImage", "EnsureChannelFirst", "AddChannel", "EnsureType", "ToTensor", "CastToType",
    "AsChannelFirst", "SelectItems", "Lambda",
)  # fmt: skip


def _transforms(preprocessing: Any) -> Iterator[Mapping[str, Any]]:
    entries = preprocessing.get("transforms") if isinstance(preprocessing, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and not entry.get("_disabled_"):
            yield entry


def _add_normalization(metadata: dict[str, str], transform: Mapping[str, Any]) -> None:
    subtrahend, divisor = transform.get("subtrahend"), transform.get("divisor")
    if subtrahend is None and divisor is None:
        metadata["standardize"] = "zscore"
        metadata.pop("value_range", None)
        return
    for key, entry in (("mean", subtrahend), ("std", divisor)):
        if isinstance(entry, int | float | list):
            metadata[key] = json.dumps(entry if isinstance(entry, list) else [entry])
