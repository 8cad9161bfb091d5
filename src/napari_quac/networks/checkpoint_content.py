"""Weights in the content of a checkpoint: every group of tensors, at any depth."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np
import torch

from napari_quac.networks.inert_values import ArrayRecord, StandIn
from napari_quac.networks.tensor_records import TensorRecord

Stored: TypeAlias = "TensorRecord | torch.Tensor | np.ndarray"

MAX_DEPTH = 24
MAX_GROUPS = 24
MAX_MODULES = 20_000
MAX_NAME = 1000  # letters
MAX_VISITS = 200_000
_TRAINING_STATE = re.compile(
    r"(optim|lr_sched|sched|scaler|callback|loop|rng|random_state|opt$|amp$|meter|history)"
)
_AUXILIARY = re.compile(
    r"(criterion|loss|metric|acc$|acc_|accuracy|f1|auroc|auc$|confmat|confusion|precision|recall"
    r"|class_weight|queue|n_averaged|prototype|ema_updates|num_updates|decay)"
)
_NORMALIZATION = re.compile(r"_?(pixel_|image_|img_|norm_|input_)?(mean|std)s?")
_AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged?|teacher)([._]|$|model)|n_averaged")


@dataclass(frozen=True, eq=False)
class TensorGroup:
    """Tensors that belong together.

    Attributes
    ----------
    name : str
        Path inside of the file, such as ``state_dict``; empty at the top.
    tensors : Mapping[str, tensor]
        Those of a network, by name.
    class_path : str
        Class of the module that was pickled; empty for a state dict.
    dropped_shapes : Mapping[str, tuple of int]
        Tensors beside it, by their names in the larger group, and their shapes.
    prefix : str
        The part that was removed from its names.
    module : StandIn or None
        The module that was pickled; None for a state dict.
    """

    name: str
    tensors: Mapping[str, Stored]
    class_path: str = ""
    dropped_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    prefix: str = ""
    module: StandIn | None = None

    @property
    def dropped(self) -> tuple[str, ...]:
        """Names of the tensors beside it."""
        return tuple(self.dropped_shapes)

    @property
    def group_name(self) -> str:
        """Start of the full names of all tensors of the larger group."""
        name = f"{self.name}.".removesuffix(self.prefix) if self.prefix else f"{self.name}."
        return name.removeprefix(".")

    @property
    def n_numbers(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def is_averaged(self) -> bool:
        """True if its name states that its weights are averages over the training."""
        return bool(_AVERAGED.search(self.name))


def find_groups(content: Any) -> list[TensorGroup]:
    """Find all groups of tensors, without the state of optimizers.

    Parameters
    ----------
    content : object
        Plain values, tensors, tensor records and stand-ins.

    Returns
    -------
    groups : list of TensorGroup
        In the order of the file.
    """
    groups: list[TensorGroup] = []
    _collect(content, (), groups, set())
    weights = [group for group in groups if any(len(t.shape) > 1 for t in group.tensors.values())]
    return weights or groups


def _collect(value: Any, path: tuple[str, ...], groups: list[TensorGroup], seen: set[int]) -> None:
    if len(path) > MAX_DEPTH or id(value) in seen or len(groups) >= MAX_GROUPS:
        return
    seen.add(id(value))
    if isinstance(value, StandIn) and is_module(value):
        tensors = module_tensors(value)
        if tensors:
            groups.append(TensorGroup(".".join(path), tensors, value.path, module=value))
        return
    if isinstance(value, list | tuple) and len(value) <= 16:
        value = dict(enumerate(value))
    entries = _entries(value)
    tensors = {str(name): _numbers(tensor) for name, tensor in entries.items() if is_tensor(tensor)}
    if any(len(tensor.shape) for tensor in tensors.values()):
        groups.append(TensorGroup(".".join(path), tensors))
    for name, inner in entries.items():
        if isinstance(name, str | int) and not _TRAINING_STATE.match(str(name).lower()):
            _collect(inner, (*path, str(name)), groups, seen)


def _entries(value: Any) -> dict[Any, Any]:
    if isinstance(value, StandIn):
        return {**value.attributes(), **value.entries}
    return value if isinstance(value, dict) else {}


def walk(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield all containers and stand-ins of a content with their names, each only once."""
    waiting, seen = deque([("", content)]), {id(content)}
    while waiting and len(seen) < MAX_VISITS:
        name, value = waiting.popleft()
        yield name, value
        parts = list(_entries(value).items())
        if isinstance(value, StandIn):
            parts += enumerate(value.elements[:64])
        elif isinstance(value, list | tuple):
            parts += enumerate(value[:64])
        for key, inner in parts:
            if isinstance(inner, dict | list | tuple | StandIn) and id(inner) not in seen:
                seen.add(id(inner))
                waiting.append((str(key) if isinstance(key, str | int) else "", inner))


def has_quantized_layers(content: Any) -> bool:
    """Tell whether layers of a content were quantized, so that they are no tensors."""
    return any(
        name.endswith("_packed_params")
        or (isinstance(value, StandIn) and "quantized" in value.path)
        for name, value in walk(content)
    )


def is_tensor(value: Any) -> bool:
    """Tell tensors and numeric arrays from other values."""
    if isinstance(value, ArrayRecord):
        return value.array is not None and value.array.dtype.kind in "biuf"
    return isinstance(value, TensorRecord | torch.Tensor)


def _numbers(value: Any) -> Stored:
    """Return a tensor as such, and an array of NumPy as a tensor."""
    if not isinstance(value, ArrayRecord):
        return cast("Stored", value)
    array = np.asarray(value.array)  # a copy, since the array may have another byte order
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=True))


def is_module(value: Any) -> bool:
    """Tell the stand-in of a torch module from that of another object."""
    return isinstance(value, StandIn) and isinstance(value.attributes().get("_modules"), dict)


def module_tensors(module: StandIn) -> dict[str, Stored]:
    """Return the tensors of a pickled module, as its state dict."""
    tensors: dict[str, Stored] = {}
    n_modules = 0
    waiting = [(module, "")]
    while waiting:
        current, prefix = waiting.pop()
        # a short pickle can contain one module many times, at each of many levels
        n_modules += 1
        if max(n_modules, len(waiting), len(tensors) // 8) > MAX_MODULES:
            break
        if prefix.count(".") > MAX_DEPTH or len(prefix) > MAX_NAME:
            continue
        attributes = current.attributes()
        transient = attributes.get("_non_persistent_buffers_set")
        skipped = transient if isinstance(transient, set | list) else ()
        for kind in ("_parameters", "_buffers"):
            entries = attributes.get(kind)
            for name, tensor in entries.items() if isinstance(entries, dict) else ():
                if is_tensor(tensor) and not (kind == "_buffers" and name in skipped):
                    tensors[f"{prefix}{name}"] = _numbers(tensor)
        children = attributes["_modules"]
        below = [
            (child, f"{prefix}{name}.") for name, child in children.items() if is_module(child)
        ]
        waiting += reversed(below)
    return tensors


def choose_order(groups: Sequence[TensorGroup]) -> list[TensorGroup]:
    """Sort groups by their number of weights; of copies, averaged weights come first."""
    return sorted(
        groups, key=lambda group: (-group.n_numbers, not group.is_averaged, group.module is None)
    )


def candidate_groups(group: TensorGroup) -> Iterator[TensorGroup]:
    """Yield the networks that a group may hold: all of it, then its parts by size.

    The tensors of a part are those whose names start with the same prefix, which is removed.
    """
    names = list(group.tensors)
    prefixes: dict[str, list[str]] = {"": names}
    for name in names:
        pieces = name.split(".")
        for depth in range(1, min(len(pieces), 6)):
            prefixes.setdefault(".".join(pieces[:depth]) + ".", []).append(name)
    whole = len(names)
    parts: list[TensorGroup] = []
    for prefix, members in prefixes.items():
        if prefix and len(members) < 2:
            continue
        kept = set(members)
        tensors = {name.removeprefix(prefix): group.tensors[name] for name in members}
        rest = {
            name: tuple(group.tensors[name].shape)
            for name in (names if len(kept) < whole else ())
            if name not in kept
        }
        label = f"{group.name}.{prefix}".strip(".")
        parts.append(TensorGroup(label, tensors, group.class_path, rest, prefix, group.module))
    parts.sort(key=lambda part: (-part.n_numbers, not part.is_averaged, len(part.name)))
    yield from parts[:MAX_GROUPS]


def is_auxiliary(name: str) -> bool:
    """Tell tensors of losses, metrics, averaging and normalization from those of networks."""
    return is_normalization(name) or any(
        _AUXILIARY.search(piece.lower()) for piece in name.split(".")
    )


def is_normalization(name: str) -> bool:
    """Tell the mean or standard deviation that a network subtracts or divides by in its forward."""
    return bool(_NORMALIZATION.fullmatch(name.rpartition(".")[2].lower()))
