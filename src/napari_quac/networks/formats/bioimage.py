"""Packages of bioimage.io, specification 0.4 and 0.5: ``rdf.yaml`` beside the weights.

Only the description is read; code that lies in a package is never run. Field names follow
https://bioimage-io.github.io/spec-bioimage-io.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from napari_quac.errors import CheckpointError
from napari_quac.networks.formats.container_files import Container, Files
from napari_quac.reading import parse_json, parse_yaml

DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml")
_FORMS = ("torchscript", "pytorch_state_dict", "onnx")
_KERAS = ("keras_hdf5", "tensorflow_saved_model_bundle", "tensorflow_js", "keras_v3")
_WITHOUT_EFFECT = ("ensure_dtype", "clip")


def read_bioimage(files: Files) -> Container | None:
    """Read a package; None for another folder or archive.

    Raises
    ------
    CheckpointError
        If it has no weights for PyTorch or ONNX, or its preprocessing has no counterpart.
    """
    name = files.first(*DESCRIPTIONS)
    if not name:
        return None
    try:
        description = parse_yaml(files.text(name))
    except ValueError as error:
        raise CheckpointError(
            f"'{name}' in '{files.path.name}' is not valid YAML ({error}). Download it again."
        ) from error
    if not isinstance(description, Mapping) or not isinstance(description.get("weights"), Mapping):
        return None
    metadata: dict[str, str] = {}
    inputs = _first(description.get("inputs"))
    _add_axes(metadata, inputs)
    notes = tuple(_add_preprocessing(metadata, inputs, files.path.name))
    names = _channel_names(_first(description.get("outputs")))
    if names:
        metadata["class_names"] = json.dumps(names)
    form, weights = _choose_weights(description["weights"], files)
    if form == "pytorch_state_dict":
        metadata |= _architecture(weights)
    source = str(weights["source"])
    return Container("bioimage.io package", files.file(source), metadata, notes)


def _choose_weights(weights: Mapping[str, Any], files: Files) -> tuple[str, Mapping[str, Any]]:
    remote = ""
    for form in _FORMS:
        entry = weights.get(form)
        if not isinstance(entry, Mapping) or "source" not in entry:
            continue
        source = str(entry["source"])
        if source in files.names:
            return form, entry
        remote = remote or source
    if remote:
        raise CheckpointError(
            f"'{files.path.name}' is a bioimage.io package without its weights ('{remote}'). "
            "Download the complete package from bioimage.io."
        )
    if any(form in weights for form in _KERAS):
        raise CheckpointError(
            f"'{files.path.name}' is a bioimage.io package with weights of Keras or TensorFlow "
            'only. Load them with Keras and export them: model.export("model.onnx", '
            'format="onnx"). Then open that file.'
        )
    raise CheckpointError(
        f"'{files.path.name}' is a bioimage.io package with weights that cannot be read here "
        f"({', '.join(map(str, weights))}). Choose one with TorchScript or ONNX."
    )


def _architecture(weights: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of the class and its arguments, of both versions of the specification."""
    entry = weights.get("architecture")
    arguments = weights.get("kwargs") or {}
    if isinstance(entry, Mapping):
        arguments = entry.get("kwargs") or {}
        entry = entry.get("callable", "")
    name = str(entry or "").replace(":", ".").rpartition(".")[2]
    return {"architecture": name, "architecture_parameters": json.dumps(arguments)} if name else {}


def _first(tensors: Any) -> Mapping[str, Any]:
    entry = tensors[0] if isinstance(tensors, list) and tensors else {}
    return entry if isinstance(entry, Mapping) else {}


def _add_axes(metadata: dict[str, str], inputs: Mapping[str, Any]) -> None:
    """Add channels and image size, where the description fixes them."""
    axes, shape = inputs.get("axes"), inputs.get("shape")
    lengths: dict[str, Any] = {}
    if isinstance(axes, str) and isinstance(shape, list):  # 0.4: "bcyx" and [1, 1, 256, 256]
        lengths = dict(zip(axes, shape, strict=False))
    elif isinstance(axes, list):
        for axis in axes:
            name = {"channel": "c", "batch": "b"}.get(axis.get("type"), axis.get("id"))
            names = axis.get("channel_names")
            lengths[name] = len(names) if names else axis.get("size", axis.get("length"))
    if isinstance(lengths.get("c"), int):
        metadata["channels"] = str(lengths["c"])
    size = [lengths[name] for name in ("z", "y", "x") if name in lengths]
    if size and all(isinstance(length, int) for length in size):
        metadata["image_size"] = json.dumps(size)


def _channel_names(tensor: Mapping[str, Any]) -> list[str]:
    axes = tensor.get("axes")
    for axis in axes if isinstance(axes, list) else ():
        if isinstance(axis, Mapping) and isinstance(axis.get("channel_names"), list):
            return [str(name) for name in axis["channel_names"]]
    return []


def _highest(inputs: Mapping[str, Any]) -> float:
    """Return the value of white in the original images, to which the description refers."""
    data = inputs.get("data")
    kind = inputs.get("data_type") or (data.get("type") if isinstance(data, Mapping) else None)
    limits = inputs.get("data_range") or (data.get("range") if isinstance(data, Mapping) else None)
    if isinstance(limits, list) and len(limits) == 2 and isinstance(limits[1], int | float):
        return float(limits[1]) if 0 < limits[1] <= 65535 else 1.0
    return {"uint8": 255.0, "uint16": 65535.0}.get(str(kind), 1.0)


def _add_preprocessing(
    metadata: dict[str, str], inputs: Mapping[str, Any], name: str
) -> Iterator[str]:
    """Add the preprocessing of the input; yield sentences about assumptions."""
    high = _highest(inputs)
    metadata["value_range"] = json.dumps([0, high])
    for step in inputs.get("preprocessing") or ():
        kind = str(step.get("id") or step.get("name"))
        settings = step.get("kwargs") or {}
        if kind in _WITHOUT_EFFECT:
            continue
        if kind == "scale_linear":
            _add_linear(metadata, settings)
        elif kind == "scale_range":
            low, top = settings.get("min_percentile", 0), settings.get("max_percentile", 100)
            metadata["standardize"] = json.dumps([low, top])
            metadata["value_range"] = "[0, 1]"
        elif kind in ("zero_mean_unit_variance", "fixed_zero_mean_unit_variance"):
            if "mean" in settings:
                for key in ("mean", "std"):
                    numbers = settings[key]
                    metadata[key] = json.dumps(numbers if isinstance(numbers, list) else [numbers])
                if high == 1 and max(parse_json(metadata["mean"])) > 1:
                    metadata["value_range"] = "[0, 255]"
                    yield "Its mean refers to 8-bit images, so black and white become 0 and 255."
            else:
                metadata["standardize"] = "zscore"
                del metadata["value_range"]
        else:
            raise CheckpointError(
                f"'{name}' is a bioimage.io package whose preprocessing '{kind}' has no "
                "counterpart here. Apply it to the images, and open the file of weights alone."
            )


def _add_linear(metadata: dict[str, str], settings: Mapping[str, Any]) -> None:
    """Add ``gain · image + offset``; one number, or one for each channel."""
    gain, offset = settings.get("gain", 1), settings.get("offset", 0)
    gains = gain if isinstance(gain, list) else [gain]
    offsets = offset if isinstance(offset, list) else [offset]
    low, high = parse_json(metadata.get("value_range", "[0, 1]"))
    if len(set(gains)) == 1 and len(set(offsets)) == 1 and "standardize" not in metadata:
        limits = [low * gains[0] + offsets[0], high * gains[0] + offsets[0]]
        metadata["value_range"] = json.dumps(limits)
        return
    count = max(len(gains), len(offsets))
    gains, offsets = (n * count if len(n) == 1 else n for n in (gains, offsets))
    # (image − mean) / std with mean = −offset / gain and std = 1 / gain
    metadata["mean"] = json.dumps([-o / g for g, o in zip(gains, offsets, strict=True)])
    metadata["std"] = json.dumps([1 / g for g in gains])
