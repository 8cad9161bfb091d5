"""Folders of Hugging Face's transformers and of timm: classes and preprocessing from JSON.

Field names follow the ``config.json`` and ``preprocessor_config.json`` that these libraries write.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from napari_quac.errors import CheckpointError
from napari_quac.networks.formats.container_files import Container, Files, choose_weights
from napari_quac.networks.formats.transforms import interpolation_name
from napari_quac.reading import parse_json

WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.onnx")


def read_hugging_face(files: Files) -> Container | None:
    """Read a folder with ``config.json`` of transformers or timm; None for another folder."""
    if "config.json" not in files.names or "model.weights.h5" in files.names:
        return None  # the latter is a file of Keras
    try:
        config = _read_json(files, "config.json")
    except CheckpointError:
        if files.first(*WEIGHTS):
            raise
        return None  # a configuration of other software
    if "architecture" in config and {"pretrained_cfg", "num_classes", "num_features"} & set(config):
        weights = choose_weights(files, WEIGHTS, "timm folder")
        return Container("timm folder", weights, _timm_metadata(config))
    if not {"model_type", "architectures"} & set(config):
        return None
    if "tf_model.h5" in files.names and not files.first(*WEIGHTS):
        raise CheckpointError(
            f"'{files.path.name}' is a Hugging Face folder with weights of TensorFlow only. Save "
            "the network again with PyTorch: model.save_pretrained(…)."
        )
    weights = choose_weights(files, WEIGHTS, "Hugging Face folder")
    metadata = _transformers_metadata(config)
    if "preprocessor_config.json" in files.names:
        processor = _read_json(files, "preprocessor_config.json")
        metadata |= processor_metadata(processor)
    return Container("Hugging Face folder", weights, metadata)


def _read_json(files: Files, name: str) -> dict[str, Any]:
    try:
        content = parse_json(files.text(name))
    except ValueError as error:
        raise CheckpointError(
            f"'{name}' in '{files.path.name}' is not valid JSON ({error}). Copy it again."
        ) from error
    return content if isinstance(content, dict) else {}


def names_by_index(names: Any) -> list[str]:
    """Return names of ``{"0": name, …}`` by index, or of a list; empty for placeholders."""
    if isinstance(names, Mapping):
        try:
            ordered = sorted(names.items(), key=lambda pair: int(pair[0]))
        except ValueError:
            return []
        names = [name for _, name in ordered]
    if not isinstance(names, list) or all(re.fullmatch(r"LABEL_\d+", str(n)) for n in names):
        return []
    return [str(name) for name in names]


def _transformers_metadata(config: Mapping[str, Any]) -> dict[str, str]:
    architectures = config.get("architectures") or [config.get("model_type", "")]
    metadata = {
        "architecture": str(architectures[0]),
        "architecture_parameters": json.dumps(config),
    }
    if names := names_by_index(config.get("id2label")):
        metadata["class_names"] = json.dumps(names)
    if isinstance(config.get("num_channels"), int):
        metadata["channels"] = str(config["num_channels"])
    if size := _pixels(config.get("image_size")):
        metadata["image_size"] = json.dumps(size)
    return metadata


def processor_metadata(processor: Mapping[str, Any]) -> dict[str, str]:
    """Return the preprocessing of an image processor of transformers as metadata."""
    metadata = _processor_geometry(processor)
    high = 255.0
    if processor.get("do_rescale", True):
        high = 255 * float(processor.get("rescale_factor", 1 / 255))
    low = -1.0 if processor.get("rescale_offset") else 0.0
    metadata["value_range"] = json.dumps([low, round(high + low, 9)])
    if processor.get("do_normalize", "image_mean" in processor):
        for key, field in (("mean", "image_mean"), ("std", "image_std")):
            numbers = processor.get(field)
            if numbers is not None:
                numbers = numbers if isinstance(numbers, list) else [numbers]
                metadata[key] = json.dumps(numbers)
    return metadata


def _processor_geometry(processor: Mapping[str, Any]) -> dict[str, str]:
    metadata: dict[str, str] = {}
    size, crop = _pixels(processor.get("size")), None
    crop_pct = processor.get("crop_pct")
    if processor.get("do_resize", True) and size is not None:
        resize: int | list[int] = size[0] if len(size) == 1 else size
        if len(size) == 1 and crop_pct:
            # ConvNeXt: below 384 px the shorter side becomes size / crop_pct, then the center is
            # cropped; larger images are squashed
            resize = int(size[0] / crop_pct) if size[0] < 384 else size * 2
            crop = size * 2 if size[0] < 384 else None
        metadata["resize"] = json.dumps(resize)
        metadata["interpolation"] = interpolation_name(processor.get("resample", 2))
        metadata["eight_bit"] = "true"
        if isinstance(resize, list):
            metadata["image_size"] = json.dumps(resize)
    if processor.get("do_center_crop"):
        crop = _pixels(processor.get("crop_size")) or size
        crop = crop * 2 if crop is not None and len(crop) == 1 else crop
    if crop is not None:
        metadata["crop"] = metadata["image_size"] = json.dumps(crop)
        metadata["floor_crop"] = "true"
    return metadata


def _pixels(size: Any) -> list[int] | None:
    """Return a size in pixels: one number for the shorter side, or height and width."""
    if isinstance(size, Mapping):
        if "height" in size and "width" in size:
            return [int(size["height"]), int(size["width"])]
        size = size.get("shortest_edge")
    if isinstance(size, int | float):
        return [int(size)]
    if isinstance(size, list) and size and all(isinstance(n, int) for n in size):
        return list(size)
    return None


def _timm_metadata(config: Mapping[str, Any]) -> dict[str, str]:
    pretrained = config.get("pretrained_cfg") or config
    parameters = {"num_classes": config.get("num_classes"), **(config.get("model_args") or {})}
    metadata = {
        "architecture": str(config["architecture"]),
        "architecture_parameters": json.dumps(parameters),
        "value_range": "[0, 1]",
    }
    names = config.get("label_names") or pretrained.get("label_names")
    if isinstance(names, list):
        metadata["class_names"] = json.dumps([str(name) for name in names])
    # timm's own default; the sizes and crops named test_ serve its benchmarks only
    size = pretrained.get("input_size")
    if isinstance(size, list) and len(size) == 3:
        channels, *pixels = size
        metadata["channels"], metadata["image_size"] = str(channels), json.dumps(pixels)
        metadata["crop"] = json.dumps(pixels)
        crop_pct = float(pretrained.get("crop_pct") or 0.875)
        sides = [math.floor(length / crop_pct) for length in pixels]
        is_squash = pretrained.get("crop_mode") == "squash"
        metadata["resize"] = json.dumps(
            sides[0] if len(set(sides)) == 1 and not is_squash else sides
        )
        metadata["eight_bit"] = "true"
        metadata["interpolation"] = interpolation_name(pretrained.get("interpolation", "bilinear"))
    for key in ("mean", "std"):
        if isinstance(pretrained.get(key), list):
            metadata[key] = json.dumps(pretrained[key])
    return metadata
