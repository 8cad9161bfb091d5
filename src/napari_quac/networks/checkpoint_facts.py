"""Facts beside the weights of a checkpoint: class names, image size, normalization and others."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from napari_quac.networks.checkpoint_content import walk
from napari_quac.networks.inert_values import ArrayRecord, Reference, StandIn
from napari_quac.networks.tensor_file import METADATA_KEYS
from napari_quac.networks.tensor_records import TensorRecord
from napari_quac.reading import parse_json

CLASS_KEYS = (
    "class_names", "classes", "class_to_idx", "idx_to_class", "id2label", "label2id",
    "label_names", "labels", "vocab", "categories", "index_to_class", "class_to_index",
    "idx2class", "class2idx", "idx_to_label", "label_to_idx", "idx2label", "label2idx",
    "classnames", "class_labels", "class_list", "target_names", "names", "label_map", "class_map",
)  # fmt: skip
"""Names under which training scripts store class names, the clearest first."""
HOLDERS = (
    "hyper_parameters", "hparams", "args", "config", "cfg", "meta", "metadata", "info", "extra",
    "opt", "options", "params", "pretrained_cfg", "default_cfg", "data_config", "preprocessing",
    "transform", "normalize", "normalization",
)  # fmt: skip
"""Names of mappings that hold facts."""
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "image_size": ("image_size", "img_size", "input_size", "imgsz", "im_size", "crop_size"),
    "architecture": ("architecture", "arch", "model_name", "backbone", "encoder_name"),
    "channels": ("channels", "in_channels", "in_chans", "n_channels", "num_channels"),
    "mean": ("mean", "image_mean", "norm_mean", "img_mean"),
    "std": ("std", "image_std", "norm_std", "img_std"),
}
"""Metadata key to the names that mean the same."""
PLAIN_KEYS = tuple(key for key in METADATA_KEYS if key not in (*SYNONYMS, *CLASS_KEYS))
_BY_NAME = (
    "class_to_idx", "label2id", "class_to_index", "class2idx", "label_to_idx", "label2idx",
)  # fmt: skip
MAX_CLASSES = 100_000
MAX_UNIT_MEAN = 2.0  # larger means are those of gray values from 0 to 255
MAX_CHANNELS = 64  # numbers of a tensor that holds a mean or standard deviation
_MAX_DEPTH = 12
_MAX_VISITS = 200_000

ReadTensor: TypeAlias = Callable[[TensorRecord], torch.Tensor]


@dataclass(frozen=True)
class ClassNames:
    """Class names of a file.

    Attributes
    ----------
    names : tuple of str
        In output order; empty if they cannot be used.
    key : str
        Their name in the file.
    problem : str
        The reason why they cannot be used, in a part of a sentence.
    """

    names: tuple[str, ...]
    key: str
    problem: str = ""


class _Converter:
    """Conversion of values to numbers, texts, lists and dicts.

    A short pickle can refer to one list many times, at each of many levels: without a limit on the
    number of values, a conversion would take forever.
    """

    def __init__(self, read: ReadTensor | None) -> None:
        self.read = read
        self.n_values = 0

    def convert(self, value: Any, depth: int = 0) -> Any:
        self.n_values += 1
        if depth > _MAX_DEPTH or self.n_values > _MAX_VISITS:
            return None
        if isinstance(value, str | int | float) or value is None:
            return value
        if isinstance(value, TensorRecord):
            small = math.prod(value.shape) <= MAX_CHANNELS
            value = self.read(value) if small and self.read is not None else None
        if isinstance(value, ArrayRecord):
            value = value.array
        if isinstance(value, torch.Tensor | np.ndarray):
            return value.tolist() if math.prod(value.shape) <= MAX_CLASSES else None
        if isinstance(value, list | tuple):
            return [self.convert(part, depth + 1) for part in value[:MAX_CLASSES]]
        if isinstance(value, Reference):
            return value.path
        if isinstance(value, StandIn):
            return self.convert(_content_of(value), depth + 1)
        if isinstance(value, Mapping):
            entries = list(value.items())[:MAX_CLASSES]
            return {
                key: self.convert(inner, depth + 1)
                for key, inner in entries
                if isinstance(key, str | int | float)
            }
        return None  # sets have no order


def as_plain(value: Any, read: ReadTensor | None = None) -> Any:
    """Convert a value to numbers, texts, lists and dicts; None for anything else.

    Parameters
    ----------
    value : object
        Of a checkpoint.
    read : callable, optional
        Reads small tensors.
    """
    return _Converter(read).convert(value)


def _content_of(value: StandIn) -> Any:
    """Return the container that an object of a foreign class wraps."""
    if value.entries:
        return value.entries
    if value.elements:
        return value.elements
    attributes = value.attributes()
    for name in ("items", "_content", "_val", "data", "o"):  # fastcore, omegaconf, UserDict
        if name in attributes:
            return attributes[name]
    if attributes:
        return attributes
    return value.arguments[0] if len(value.arguments) == 1 else None


def collect_facts(content: Any, read: ReadTensor | None = None) -> dict[str, Any]:
    """Collect the facts of a checkpoint by their names.

    Parameters
    ----------
    content : object
        Of the file.
    read : callable, optional
        Reads small tensors.

    Returns
    -------
    facts : dict
        Plain values; those at the top of the file replace those further inside.
    """
    facts: dict[str, Any] = {}
    names = {name for group in SYNONYMS.values() for name in group}
    for holder in _holders(content):
        for key, value in holder.items():
            if key in names or key in PLAIN_KEYS or key in CLASS_KEYS:
                plain = as_plain(value, read)
                if plain is not None:
                    facts.setdefault(key, plain)
            elif key in ("normalize", "normalization") and isinstance(value, list | tuple):
                if len(value) == 2:
                    facts.setdefault("mean", as_plain(value[0], read))
                    facts.setdefault("std", as_plain(value[1], read))
    if not any(read_names(facts[key], key) for key in CLASS_KEYS if key in facts):
        facts |= _distant_names(content)
    if "mean" not in facts and "std" not in facts:
        facts |= _distant_normalization(content, read)
    return facts


def _holders(content: Any) -> Iterator[Mapping[Any, Any]]:
    level = [content]
    for _ in range(4):
        inner = []
        for value in level:
            entries = _mapping(value)
            yield entries
            inner += [entries[name] for name in HOLDERS if name in entries]
        level = inner


def _mapping(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, StandIn):
        content = _content_of(value)
        return content if isinstance(content, dict) else {}
    return value if isinstance(value, Mapping) else {}


def _distant_names(content: Any) -> dict[str, Any]:
    """Find the class names that lie deep inside, as in an exported learner of fastai."""
    for _, value in walk(content):
        entries = _attributes_and_entries(value)
        for key in CLASS_KEYS:
            plain = as_plain(entries[key]) if key in entries else None
            if plain is not None and (names := read_names(plain, key)) and names.names:
                return {key: plain}
    return {}


def _distant_normalization(content: Any, read: ReadTensor | None) -> dict[str, Any]:
    """Find the mean and standard deviation of a pickled transform of torchvision or fastai."""
    for _, value in walk(content):
        if isinstance(value, StandIn) and value.path.endswith(".Normalize"):
            attributes = value.attributes()
            mean, std = (_numbers(as_plain(attributes.get(key), read)) for key in ("mean", "std"))
            if mean and std:
                return {"mean": mean, "std": std}
    return {}


def _attributes_and_entries(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, StandIn):
        return {**value.attributes(), **value.entries}
    return value if isinstance(value, Mapping) else {}


def read_names(value: Any, key: str) -> ClassNames | None:
    """Read class names in any usual form.

    Parameters
    ----------
    value : object
        A list of names; or a mapping from index to name, or from name to index, in any order,
        with numbers as such or as text.
    key : str
        Its name in the file.

    Returns
    -------
    names : ClassNames or None
        None if it holds no class names.
    """
    if isinstance(value, str):
        value = _from_text(value)
    if isinstance(value, Mapping):
        return _names_of_mapping(value, key)
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) < 2:
        return None
    if not all(isinstance(name, str | int) and not isinstance(name, bool) for name in value):
        return None
    if key == "labels" and not all(isinstance(name, str) for name in value):
        return None  # the labels of samples
    names = tuple(str(name).strip() for name in value)
    if len(set(names)) < len(names):
        return None if key == "labels" else ClassNames((), key, "two of them are equal")
    return ClassNames(names, key)


def _from_text(text: str) -> Any:
    """Read JSON, or names between commas."""
    if text.strip()[:1] in "[{":
        try:
            return parse_json(text)
        except ValueError:
            return None
    return [part.strip() for part in text.split(",")]


def _names_of_mapping(value: Mapping[Any, Any], key: str) -> ClassNames | None:
    if len(value) < 2:
        return None
    keys = [_index(name) for name in value]
    entries = [_index(name) for name in value.values()]
    by_index = all(index is not None for index in keys)
    by_name = all(index is not None for index in entries)
    if not (by_index or by_name):
        return None
    if by_name and (key in _BY_NAME or not by_index):
        indices, names = entries, [str(name).strip() for name in value]
    else:
        indices, names = keys, [str(name).strip() for name in value.values()]
    numbers = [index for index in indices if index is not None]
    if sorted(numbers) != list(range(len(names))):
        some = ", ".join(map(str, sorted(numbers)[:5]))
        return ClassNames((), key, f"its numbers ({some}, …) do not count from 0 in steps of 1")
    ordered = [name for _, name in sorted(zip(numbers, names, strict=True))]
    if len(set(ordered)) < len(ordered):
        return ClassNames((), key, "two of them are equal")
    return ClassNames(tuple(ordered), key)


def _index(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and abs(value) < 1 << 40 else None


def class_names_in(facts: Mapping[str, Any]) -> ClassNames | None:
    """Return the class names among facts: the first that can be used, else the first problem."""
    results = [names for key in CLASS_KEYS if key in facts
               if (names := read_names(facts[key], key)) is not None]  # fmt: skip
    return next((names for names in results if names.names), results[0] if results else None)


def metadata_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return facts as metadata: texts as such, numbers and lists as JSON.

    Parameters
    ----------
    facts : Mapping[str, object]
        Plain values by their names in the file.
    """
    metadata = {key: _text(facts[key]) for key in PLAIN_KEYS if key in facts}
    for key, synonyms in SYNONYMS.items():
        value = next((facts[name] for name in synonyms if facts.get(name) is not None), None)
        if key == "image_size":
            value = _image_size(value)
        elif key in ("mean", "std"):
            value = _numbers(value)
        if value is not None:
            metadata[key] = _text(value)
    names = class_names_in(facts)
    if names is not None and names.names:
        metadata["class_names"] = json.dumps(list(names.names), ensure_ascii=False)
    if "value_range" not in metadata and "range" not in metadata:
        numbers = parse_json(metadata.get("mean") or "[]")
        if numbers and max(numbers) > MAX_UNIT_MEAN:
            metadata["value_range"] = "[0, 255]"
    return {key: text for key, text in metadata.items() if text}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return ""


def _numbers(value: Any) -> list[float] | None:
    """Return one number for each channel: of nested lists as of arrays (C, 1, 1)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list) or not value:
        return None
    flat = [_numbers(part) if isinstance(part, list) else [part] for part in value]
    numbers = [number for part in flat for number in (part or [None])]
    plain = all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
    return [float(n) for n in numbers if n is not None] if plain and len(numbers) < 1000 else None


def _image_size(value: Any) -> Any:
    """Return a spatial size; of (C, H, W), as in timm, without the channels."""
    if isinstance(value, list) and len(value) == 3 and value[0] in (1, 3) and value[1] == value[2]:
        return value[1:]
    return value
