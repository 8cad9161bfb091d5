"""Preprocessing as metadata, read off transforms of torchvision and timm by their attributes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from napari_quac.data.assumptions import Assumption
from napari_quac.errors import DataError
from napari_quac.reading import parse_json

CONVERSIONS = (
    "ToTensor", "MaybeToTensor", "PILToTensor", "MaybePILToTensor", "ToImage", "ToPureTensor",
    "ToDtype", "ConvertImageDtype", "ToPILImage", "ToRGB", "RGB", "Identity", "InterpolationMode",
)  # fmt: skip
_TO_UNIT = ("ToTensor", "MaybeToTensor")


def metadata_of_transform(transform: Any) -> dict[str, str]:
    """Return the preprocessing of a validation transform as metadata.

    Parameters
    ----------
    transform : transform of torchvision or timm, or a sequence of them
        ``Compose``, ``Resize``, ``CenterCrop``, ``Normalize``, ``Grayscale``, conversions, and
        presets such as ``weights.transforms()``. Read by their attributes, and never called.

    Returns
    -------
    metadata : dict from str to str
        ``mean``, ``std``, ``value_range``, ``resize``, ``crop``, ``eight_bit``, ``interpolation``;
        numbers as JSON.

    Raises
    ------
    DataError
        If a part of it changes images at random, or is unknown.
    """
    metadata: dict[str, str] = {"value_range": "[0, 1]"}
    is_eight_bit = True
    for part in _parts(transform):
        name = type(part).__name__
        if {"crop_size", "resize_size", "mean", "std"} <= set(vars(part)):
            metadata |= _preset_of_weights(part)
        elif name == "Resize":
            metadata["resize"] = json.dumps(_size(part.size))
            metadata["interpolation"] = interpolation_name(part.interpolation)
            metadata["eight_bit"] = json.dumps(is_eight_bit)
        elif name in ("CenterCrop", "CenterCropOrPad"):
            metadata["crop"] = json.dumps(_size(part.size))
        elif name == "Normalize":
            metadata |= {key: json.dumps(_numbers(getattr(part, key))) for key in ("mean", "std")}
        elif name == "Grayscale":
            # the images are gray already; three channels repeat them
            if part.num_output_channels == 3:
                metadata["gray_to_rgb"] = "true"
        elif name in CONVERSIONS:
            is_eight_bit = is_eight_bit and name not in (*_TO_UNIT, "ToDtype", "ConvertImageDtype")
        else:
            raise DataError(_unknown_sentence(name))
    return metadata


def _parts(transform: Any) -> Iterator[Any]:
    children = getattr(transform, "transforms", None)
    if children is None and type(transform).__name__ == "Sequential":
        children = list(transform.children())
    if children is None and isinstance(transform, Sequence) and not isinstance(transform, str):
        children = transform
    if children is None:
        yield transform
        return
    for child in children:
        yield from _parts(child)


def _preset_of_weights(preset: Any) -> dict[str, str]:
    """Return the metadata of the transform that belongs to weights of torchvision."""
    return {
        "resize": json.dumps(_size(preset.resize_size)),
        "crop": json.dumps(_size(preset.crop_size)),
        "mean": json.dumps(_numbers(preset.mean)),
        "std": json.dumps(_numbers(preset.std)),
        "interpolation": interpolation_name(preset.interpolation),
        "eight_bit": "true",
    }


def interpolation_name(mode: Any) -> str:
    """Return the name of an interpolation, from a name, an enumeration or a number of Pillow."""
    names = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
    entry = getattr(mode, "value", mode)
    return names.get(entry, str(entry)) if isinstance(entry, int) else str(entry).lower()


def interpolation_assumption(metadata: Mapping[str, str]) -> tuple[Assumption, ...]:
    """Return the assumption about an interpolation that has no counterpart here; usually none."""
    name = metadata.get("interpolation", "bilinear").strip('"')
    if "resize" not in metadata or name in ("bilinear", "bicubic"):
        return ()
    sentence = (
        f"Images are resized with bilinear interpolation in place of '{name}', which the file "
        "states. Resize the images yourself if this matters."
    )
    return (Assumption("input range", sentence),)


def _size(size: Any) -> int | list[int]:
    if isinstance(size, int):
        return size
    numbers = [int(number) for number in size]
    return numbers[0] if len(numbers) == 1 else numbers


def _numbers(entries: Any) -> list[float]:
    numbers = entries.tolist() if hasattr(entries, "tolist") else entries
    if isinstance(numbers, int | float):
        return [float(numbers)]
    return [float(number) for number in numbers]


def _unknown_sentence(name: str) -> str:
    if name.startswith(("Random", "Color", "AutoAugment", "RandAugment", "Trivial", "AugMix")):
        return (
            f"'{name}' changes images at random, as in training. Pass the transform that was used "
            "for validation."
        )
    return (
        f"The transform '{name}' is unknown here. Pass mean=…, std=…, resize=… and crop=… instead "
        "of preprocessing=…."
    )


def metadata_of_numbers(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Return ``mean``, ``std``, ``value_range``, ``resize`` and ``crop`` as metadata.

    Raises
    ------
    DataError
        If ``std`` has a zero, or its length differs from that of ``mean``.
    """
    metadata = {}
    for key, entry in numbers.items():
        if entry is None:
            continue
        if key in ("resize", "crop"):
            metadata[key] = json.dumps(_size(entry))
        elif isinstance(entry, str):
            metadata[key] = entry
        else:
            metadata[key] = json.dumps(_numbers(entry))
    mean, std = (parse_json(metadata.get(key, "[]")) for key in ("mean", "std"))
    if mean or std:
        metadata.setdefault("value_range", "[0, 1]")
    if len(mean) != len(std) and mean and std:
        raise DataError(
            f"'mean' has {len(mean)} numbers and 'std' has {len(std)}. Pass one for each channel."
        )
    if any(number <= 0 for number in std):
        raise DataError(f"'std' must be above 0, got {std}. Pass that of the training.")
    return metadata
