"""Read the tensors of a file without running code."""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickletools import opcodes
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_quac.errors import CheckpointError
from napari_quac.networks.file_format import READABLE_FORMATS, code_sentence, damaged, detect_format

State: TypeAlias = "dict[str, Tensor | dict[str, Tensor]]"

# keys under which training scripts store the state dict; averaged weights come first
WRAPPERS = ("model_ema_state_dict", "model_state_dict", "state_dict", "model", "net", "generator")
NETWORKS_IN_ONE_FILE = ("generator", "mapping_network", "style_encoder", "fan")
METADATA_KEYS = (
    "architecture",
    "architecture_parameters",
    "channels",
    "class_names",
    "classes",
    "downsample_factors",
    "final_activation",
    "image_size",
    "output",
    "pools",
    "range",
    "source",
    "target",
    "value_range",
)
PICKLE_CODES = frozenset(opcode.code for opcode in opcodes)
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")


def read_tensors(path: str | Path) -> tuple[State, dict[str, str]]:
    """Read the state dict, or the state dicts, that a file holds.

    Parameters
    ----------
    path : path
        A safetensors file, or one written by ``torch.save`` in the new or the old format.

    Returns
    -------
    state : dict from name to Tensor, or to dict from name to Tensor
        One state dict; or several by the name of their network, as in StarGAN v2 files. On the
        CPU, without wrappers such as ``model_state_dict`` and prefixes such as ``module.``.
    metadata : dict from str to str
        Metadata, such as ``class_names``; lists and numbers as JSON.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, in another format, or holds Python objects.
    """
    path = Path(path)
    file_format = detect_format(path)
    if file_format == "safetensors":
        return _read_safetensors(path)
    if file_format not in ("torch.save", "old torch.save"):
        names = {"torchscript": "a TorchScript program", "onnx": "an ONNX network"}
        raise CheckpointError(
            f"'{path.name}' holds {names.get(file_format, 'an exported program')}, not a state "
            "dict. Save only the weights with torch.save(network.state_dict(), …)."
        )
    return _unwrapped(_restricted_load(path), path)


def flatten_state(state: State) -> dict[str, Tensor]:
    """Return all tensors of :func:`read_tensors` in one dict, named ``network.tensor``."""
    tensors: dict[str, Tensor] = {}
    for name, content in state.items():
        if isinstance(content, Tensor):
            tensors[name] = content
        else:
            tensors |= {f"{name}.{inner}": tensor for inner, tensor in content.items()}
    return tensors


def _read_safetensors(path: Path) -> tuple[State, dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise damaged(path, "its tensors cannot be read as safetensors") from error
    if not tensors:
        raise CheckpointError(f"'{path.name}' holds no tensors. Export the network again.")
    return _by_network(tensors), metadata


def _restricted_load(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_scalars()):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        text = str(error)
        named = re.search(r"GLOBAL ([\w.]+)|Unsupported class ([\w.]+)", text)
        opcode = re.search(r"Unsupported operand (\d+)", text)
        if named or "nsupported global" in text or (opcode and chr(int(opcode[1])) in PICKLE_CODES):
            name = next((group for group in named.groups() if group), "") if named else ""
            raise CheckpointError(code_sentence(path, name)) from error
        raise damaged(path, "its list of tensors cannot be read") from error
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        UnicodeDecodeError,
        OverflowError,
        MemoryError,
        AssertionError,
    ) as error:
        raise damaged(path, "its tensors cannot be read") from error


def _numpy_scalars() -> list[Any]:
    """Return the scalar types of NumPy, which training scripts store beside the weights."""
    types = ("float64", "float32", "float16", "int64", "int32", "bool")
    scalar = np.dtype("float64").type(0).__reduce__()[0]
    return [
        np.dtype,
        *(type(np.dtype(name)) for name in types),
        (scalar, "numpy._core.multiarray.scalar"),
        (scalar, "numpy.core.multiarray.scalar"),
    ]


def _unwrapped(content: Any, path: Path) -> tuple[State, dict[str, str]]:
    if isinstance(content, Tensor):
        raise CheckpointError(
            f"'{path.name}' holds a single tensor of shape {tuple(content.shape)}, not a network. "
            f"Choose a file with {READABLE_FORMATS}."
        )
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"'{path.name}' holds a {type(content).__name__}, not a state dict. Save the weights "
            "with torch.save(network.state_dict(), …)."
        )
    metadata = dict(_metadata(content))
    networks = {
        name: without_prefixes(_tensors(content[name]))
        for name in NETWORKS_IN_ONE_FILE
        if isinstance(content.get(name), Mapping) and _tensors(content[name])
    }
    if len(networks) > 1 or "from_rgb.weight" in networks.get("generator", {}):
        return cast("State", networks), metadata
    tensors = _tensors(content)
    for wrapper in WRAPPERS:
        inner = content.get(wrapper)
        if not tensors and isinstance(inner, Mapping):
            tensors = _tensors(inner)
            metadata.setdefault("state dict", wrapper)
    if not tensors:
        keys = ", ".join(f"'{key}'" for key in list(content)[:6]) or "nothing"
        raise CheckpointError(
            f"'{path.name}' holds no weights under a usual name; it holds {keys}. Save the "
            "state dict itself, or under the name 'state_dict'."
        )
    return _by_network(tensors), metadata


def _by_network(tensors: dict[str, Tensor]) -> State:
    """Nest state dicts whose names start with the name of their network."""
    names = {name.split(".")[0] for name in tensors}
    if not names & set(NETWORKS_IN_ONE_FILE):
        return dict(without_prefixes(tensors))
    nested: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        network, _, inner = name.partition(".")
        nested.setdefault(network, {})[inner] = tensor
    return {name: without_prefixes(inner) for name, inner in nested.items()}


def _tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {
        str(name): tensor.detach() for name, tensor in content.items() if isinstance(tensor, Tensor)
    }


def _metadata(content: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for key in METADATA_KEYS:
        entry = content.get(key)
        if isinstance(entry, str):
            yield key, entry
        elif isinstance(entry, list | tuple | dict | int | float):
            with contextlib.suppress(TypeError, ValueError):
                yield key, json.dumps(entry)


def without_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the prefixes of all names from DataParallel, compile and wrappers.

    ``model.`` stays before a number, where it belongs to the names of CycleGAN generators.
    """
    state = dict(tensors)
    if any(name.startswith("module.") for name in state):
        state.pop("n_averaged", None)  # weight averaging counts its updates
    while True:
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in state)), None)
        if not state or prefix is None:
            return state
        shorter = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        firsts = {name.split(".")[0] for name in shorter}
        if prefix == "model." and all(first.isdigit() or first == "model" for first in firsts):
            return state
        state = shorter
