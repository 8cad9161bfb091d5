"""Values of pickles that are built without calling what the pickle names.

:data:`BUILDERS` maps a few names of classes and functions, such as ``collections.OrderedDict``, to
functions of ours that build an equivalent plain value. They take a :class:`Budget`, because a short
pickle can repeat a long value from its memo, and return None if the arguments are unusual.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from napari_quac.networks.tensor_records import (
    DTYPES,
    STORAGES,
    StorageRecord,
    TensorRecord,
)

MAX_COST = 400_000_000  # bytes, roughly: what the values of a file may occupy beside its tensors
MAX_KEY = 1 << 60  # larger numbers can be chosen so that all have the same hash


class InertPickleError(ValueError):
    """A pickle that is damaged, or exceeds a limit."""


class Budget:
    """Memory that the values of a file may still occupy.

    Attributes
    ----------
    left : int
        In bytes.
    depth : int
        Pickles inside of pickles.
    """

    __slots__ = ("depth", "left")

    def __init__(self, left: int = MAX_COST) -> None:
        self.left = left
        self.depth = 0

    def spend(self, cost: int) -> None:
        """Take a cost off; refuse it if too little is left."""
        self.left -= cost
        if self.left < 0:
            raise InertPickleError("it unpacks to far more than a network")


class Reference:
    """A class or function by its name, never imported."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path


class StandIn:
    """An object of a foreign class: its class by name, and what it was made of.

    Attributes
    ----------
    path : str
        Module and name of the class, or of the function that made it.
    arguments : tuple
    keywords : dict
    state : object
        Usually its ``__dict__``.
    entries : dict
        Of a mapping.
    elements : list
        Of a sequence or set.
    """

    __slots__ = ("arguments", "elements", "entries", "keywords", "path", "state")

    def __init__(
        self, path: str, arguments: tuple[Any, ...] = (), keywords: dict[Any, Any] | None = None
    ) -> None:
        self.path = path
        self.arguments = arguments
        self.keywords = keywords or {}
        self.state: Any = None
        self.entries: dict[Any, Any] = {}
        self.elements: list[Any] = []

    def attributes(self) -> dict[Any, Any]:
        """Return its attributes by name: of a dict, or of the pair that objects with slots have."""
        states = self.state if isinstance(self.state, tuple) else (self.state,)
        return {name: value for state in states if isinstance(state, dict)
                for name, value in state.items()}  # fmt: skip


class ArrayRecord:
    """A NumPy array, filled when its numbers follow in the pickle."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray | None = None) -> None:
        self.array = array


class TypeRecord:
    """A NumPy dtype; its byte order follows in the pickle."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype | None) -> None:
        self.dtype = dtype


def as_key(value: Any) -> Any:
    """Return a key for a dict or set: the value itself if its hash is safe, else a stand-in.

    Tuples and large numbers are not safe: a pickle can nest tuples deeper than the C stack, and
    choose numbers with equal hashes, so that a dict takes quadratic time.
    """
    if isinstance(value, int) and not -MAX_KEY < value < MAX_KEY:
        return StandIn("a key", (value,))
    if isinstance(value, str | bytes | int | float | Reference | StandIn) or value is None:
        return value
    return StandIn("a key", (value,))


def assign_state(target: Any, state: Any) -> None:
    """Give an object its state, as the last step of its creation."""
    if isinstance(target, StandIn):
        target.state = state
    elif isinstance(target, ArrayRecord) and target.array is None:
        _fill_array(target, state)
    elif isinstance(target, TypeRecord) and isinstance(state, tuple) and len(state) > 1:
        if target.dtype is not None and state[1] in ("<", ">", "|", "="):
            target.dtype = target.dtype.newbyteorder(state[1])


def load_persistent(identity: Any) -> Any:
    """Return the storage or class that a persistent id of ``torch.save`` names."""
    if not isinstance(identity, tuple) or len(identity) < 2:
        return StandIn("persistent object", (identity,))
    if len(identity) >= 5 and identity[0] in ("storage", b"storage"):
        kind, key, _, n_elements = identity[1:5]
        name = kind.path.rpartition(".")[2] if isinstance(kind, Reference) else ""
        if name in STORAGES and isinstance(key, str) and _is_length(n_elements):
            return StorageRecord(key, STORAGES[name], n_elements)
    if identity[0] == "module":
        return identity[1]  # a class, with its source code, in the old format
    return StandIn("persistent object", (identity,))


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 48


def _lengths(value: Any) -> tuple[int, ...] | None:
    """Return a shape or strides; None if it is neither."""
    if isinstance(value, tuple | list) and len(value) <= 16 and all(map(_is_length, value)):
        return tuple(value)
    return None


def _dtype_of(value: Any) -> Any:
    path = value.path if isinstance(value, Reference) else ""
    return DTYPES.get(path.removeprefix("torch."))


def _tensor(budget: Budget, storage: Any, offset: Any, size: Any, strides: Any, *_: Any) -> Any:
    shape, steps = _lengths(size), _lengths(strides)
    if not isinstance(storage, StorageRecord) or shape is None or steps is None:
        return None
    if not _is_length(offset) or len(shape) != len(steps) or storage.dtype is None:
        return None
    return TensorRecord(storage, storage.dtype, offset, shape, steps)


def _tensor_of_type(
    budget: Budget, storage: Any, offset: Any, size: Any, strides: Any, *rest: Any
) -> Any:
    dtype = _dtype_of(rest[2]) if len(rest) > 2 else None
    shape, steps = _lengths(size), _lengths(strides)
    if not isinstance(storage, StorageRecord) or dtype is None or shape is None or steps is None:
        return None
    if not _is_length(offset) or len(shape) != len(steps):
        return None
    return TensorRecord(storage, dtype, offset, shape, steps)


def _quantized(
    budget: Budget, storage: Any, offset: Any, size: Any, strides: Any, scheme: Any, *_: Any
) -> Any:
    record = _tensor(budget, storage, offset, size, strides)
    if record is None or not isinstance(scheme, tuple) or not 3 <= len(scheme) <= 4:
        return None
    if not all(isinstance(part, int | float | TensorRecord) for part in scheme[1:]):
        return None
    record.scheme = scheme[1:]
    return record


def _sparse(budget: Budget, layout: Any, parts: Any, *_: Any) -> Any:
    name = layout.path if isinstance(layout, Reference) else layout
    if isinstance(layout, StandIn) and layout.arguments:
        name = layout.arguments[0]
    if not isinstance(name, str) or not isinstance(parts, tuple) or len(parts) < 3:
        return None
    tensors = tuple(part for part in parts if isinstance(part, TensorRecord))
    shape = next((s for part in parts[2:] if (s := _lengths(part)) is not None), None)
    if shape is None or len(tensors) < 2 or not name.startswith("torch.sparse_"):
        return None
    record = TensorRecord(tensors[-1].storage, tensors[-1].dtype, 0, shape, ())
    record.sparse = (name.removeprefix("torch."), tensors)
    return record


def _first(budget: Budget, value: Any, *_: Any) -> Any:
    """Return the tensor of a Parameter or Buffer."""
    return value if isinstance(value, TensorRecord) else None


def _subclass(budget: Budget, function: Any, _: Any, arguments: Any, *__: Any) -> Any:
    """Build the tensor of a subclass, such as those of fastai."""
    builder = BUILDERS.get(function.path) if isinstance(function, Reference) else None
    if builder in (_tensor, _tensor_of_type, _quantized, _first) and isinstance(arguments, tuple):
        return builder(budget, *arguments)
    return None


def _ordered(budget: Budget, pairs: Any = ()) -> Any:
    if isinstance(pairs, dict):
        pairs = list(pairs.items())
    if not isinstance(pairs, list | tuple):
        return None
    budget.spend(150 * len(pairs))
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        return None
    return {as_key(key): value for key, value in pairs}


def _default(budget: Budget, *arguments: Any) -> Any:
    return _ordered(budget, *arguments[1:2])


def _list(budget: Budget, values: Any = (), *_: Any) -> Any:
    if not isinstance(values, list | tuple | set | frozenset):
        return None
    budget.spend(16 * len(values) + 64)
    return list(values)


def _tuple(budget: Budget, values: Any = (), *_: Any) -> Any:
    values = _list(budget, values)
    return None if values is None else tuple(values)


def _set(budget: Budget, values: Any = (), *_: Any) -> Any:
    values = _list(budget, values)
    if values is None:
        return None
    budget.spend(100 * len(values))
    return set(map(as_key, values))


def _encoded(budget: Budget, text: Any, encoding: Any = "utf-8", *_: Any) -> Any:
    """Return bytes, which the old pickle protocols store as text."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8"):
        return None
    budget.spend(4 * len(text))
    return text.encode(encoding)


def _bytes(budget: Budget, *arguments: Any) -> Any:
    if not arguments:
        return b""
    content = arguments[0]
    return content if isinstance(content, bytes) and len(arguments) == 1 else None


def _complex(budget: Budget, real: Any = 0.0, imaginary: Any = 0.0) -> Any:
    if isinstance(real, float | int) and isinstance(imaginary, float | int):
        return complex(float(real), float(imaginary))
    return None


def _path(budget: Budget, *parts: Any) -> Any:
    if not all(isinstance(part, str) for part in parts):
        return None
    budget.spend(sum(4 * len(part) + 4 for part in parts))
    return str(PurePosixPath(*parts))


def _text(budget: Budget, text: Any = "", *_: Any) -> Any:
    return text if isinstance(text, str) else None


def _array_type(budget: Budget, name: Any = "", *_: Any) -> Any:
    if not isinstance(name, str) or len(name) > 12 or name[:1] not in "biufcSU?<>|":
        return TypeRecord(None)
    try:
        dtype = np.dtype(name)
    except (TypeError, ValueError):
        return TypeRecord(None)
    plain = dtype.kind in "biufcSU" and dtype.itemsize <= 1 << 12 and dtype.names is None
    return TypeRecord(dtype if plain else None)


def _empty_array(budget: Budget, *_: Any) -> Any:
    return ArrayRecord()


def _fill_array(record: ArrayRecord, state: Any) -> None:
    if isinstance(state, tuple) and len(state) == 5:
        record.array = _make_array(state[4], state[2], state[1], bool(state[3]))


def _make_array(content: Any, kind: Any, size: Any, columns_first: bool) -> np.ndarray | None:
    shape, dtype = _lengths(size), kind.dtype if isinstance(kind, TypeRecord) else None
    if shape is None or dtype is None or not isinstance(content, bytes) or not dtype.itemsize:
        return None
    if math.prod(shape) * dtype.itemsize != len(content):
        return None
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape, order="F" if columns_first else "C")


def _array_of_buffer(
    budget: Budget, content: Any, kind: Any, size: Any, order: Any = "C", *_: Any
) -> Any:
    return ArrayRecord(_make_array(content, kind, size, order == "F"))


def _scalar(budget: Budget, kind: Any, content: Any = b"") -> Any:
    array = _make_array(content, kind, (), False)
    return None if array is None else array.item()


def _meta(budget: Budget, dtype: Any, size: Any, *_: Any) -> Any:
    shape, name = _lengths(size), _dtype_of(dtype)
    if shape is None or name is None:
        return None
    return TensorRecord(None, name, 0, shape, ())


Builder = Callable[..., Any]
BUILDERS: Mapping[str, Builder] = {
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _default,
    "collections.Counter": _ordered,
    "collections.deque": _list,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_type,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_sparse_tensor": _sparse,
    "torch._utils._rebuild_sparse_csr_tensor": _sparse,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch._tensor._rebuild_from_type": _subclass,
    "fastai.torch_core._rebuild_from_type": _subclass,
    "torch.Size": _tuple,
    "torch.device": _text,
    "torch.serialization._get_layout": _text,
    "_codecs.encode": _encoded,
    "numpy.dtype": _array_type,
    "pathlib.PosixPath": _path,
    "pathlib.WindowsPath": _path,
    "pathlib.Path": _path,
    "pathlib._local.PosixPath": _path,
    "pathlib._local.WindowsPath": _path,
    **{
        f"{package}.{module}.{name}": builder
        for package in ("numpy.core", "numpy._core")
        for module, name, builder in (
            ("multiarray", "_reconstruct", _empty_array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _array_of_buffer),
        )
    },
    **{
        f"{module}.{name}": builder
        for module in ("builtins", "__builtin__")
        for name, builder in (
            ("set", _set),
            ("frozenset", _set),
            ("list", _list),
            ("tuple", _tuple),
            ("dict", _ordered),
            ("bytearray", _bytes),
            ("bytes", _bytes),
            ("complex", _complex),
            ("str", _text),
            ("unicode", _text),
        )
    },
}
"""Name of a class or function to the function of ours that builds its value."""
