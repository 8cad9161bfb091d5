"""Tensors of a network file, read without running code, and formats of files by their content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickletools import opcodes
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_quac.errors import CheckpointError
from napari_quac.networks.formats.foreign import foreign_folder_sentence, foreign_sentence

FileFormat = Literal[
    "torchscript", "exported program", "torch.save", "old torch.save", "safetensors", "onnx"
]

READABLE_FORMATS = (
    "TorchScript, safetensors, a state dict saved with torch.save, or a torch.export program (.pt2)"
)

# RuntimeError: the archive needs a password
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)
_OLD_TORCH_SAVE = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20"
_OTHER_FORMATS = (
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    ((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"), "a TIFF image"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a gzip archive, which has to be unpacked first"),
    (b"7z\xbc\xaf", "a 7z archive, which has to be unpacked first"),
    (b"Rar!", "a RAR archive, which has to be unpacked first"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer (fetch the file itself with 'git lfs pull')"),
)


def detect_format(path: Path) -> FileFormat:
    """Recognize the format of a network file, reading as little of it as possible.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    file_format : str

    Raises
    ------
    CheckpointError
        If there is no such file, or it is a directory, empty, damaged, or not a network.
    """
    check_is_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        size = path.stat().st_size
    except OSError as error:
        raise CheckpointError(
            f"'{path.name}' cannot be read ({error.strerror or error}). Check its permissions."
        ) from error
    if not head:
        raise CheckpointError(f"'{path.name}' is empty (0 bytes). Copy or export the file again.")
    if not any(head) and size <= len(head):
        raise damaged(path, f"its {size} bytes are all zero")
    if sentence := foreign_sentence(path, head):
        raise CheckpointError(sentence)
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return _archive_format(path)
    if head.startswith(_OLD_TORCH_SAVE):
        return "old torch.save"
    if _looks_like_safetensors(head):
        return _check_safetensors(path, head, size)
    for start, name in _OTHER_FORMATS:
        if head.startswith(start):
            raise CheckpointError(f"'{path.name}' holds {name}, not a network. {_advice()}")
    if _looks_like_onnx(head):
        return "onnx"
    if head[:1] == b"\x80" and head[1] <= 5:
        raise CheckpointError(code_sentence(path, "a Python pickle"))
    raise CheckpointError(f"'{path.name}' holds {_text_or_bytes(head)}, not a network. {_advice()}")


def check_is_file(path: Path) -> None:
    """Refuse a missing file, or a directory.

    Raises
    ------
    CheckpointError
    """
    if path.is_dir():
        raise CheckpointError(
            foreign_folder_sentence(path)
            or f"'{path.name}' is a folder, not a network file. Choose a file inside it."
        )
    if not path.exists():
        raise CheckpointError(f"'{path.name}' does not exist in '{path.parent}'. Check the path.")


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damaged(path: Path, finding: str) -> CheckpointError:
    """Return the error for a file of a known format that cannot be read."""
    return CheckpointError(f"'{path.name}' is damaged: {finding}. Copy or export it again.")


def code_sentence(path: Path, finding: str = "") -> str:
    """Return the message about a file with Python objects; ``finding`` names them."""
    objects = f" ({finding})" if finding else ""
    return (
        f"'{path.name}': This file holds Python objects beside the weights{objects}; they were not "
        "loaded, because loading them would run code. Where the network was trained, save only its "
        "weights with torch.save(network.state_dict(), …), or export it as TorchScript."
    )


def _archive_format(path: Path) -> FileFormat:
    names = _checked_members(path)
    if not names:
        raise CheckpointError(f"'{path.name}' is an empty archive. {_advice()}")
    inside = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inside and any(name.startswith("code/") for name in inside):
        return "torchscript"
    first_format = "serialized_exported_program.json" in names  # torch 2.1 to 2.7
    if {"archive_format", "models/model.json"} <= inside or first_format:
        return "exported program"
    if "data.pkl" in inside:
        return "torch.save"
    if {"version", "byteorder"} <= inside:
        raise damaged(path, "its list of tensors is missing")
    if any(name.startswith("data/aotinductor") for name in inside):
        raise CheckpointError(
            f"'{path.name}' holds compiled AOTInductor code. Export it with torch.export.save."
        )
    if any(name.endswith(".npy") for name in names):
        raise CheckpointError(f"'{path.name}' holds NumPy arrays, not a network. {_advice()}")
    first = ", ".join(f"'{name}'" for name in names[:2])
    raise CheckpointError(
        f"'{path.name}' is a zip archive of other files ({first}), not a network. {_advice()}"
    )


def _looks_like_safetensors(head: bytes) -> bool:
    return len(head) > 8 and head[8:9] == b"{" and head[6:8] == b"\x00\x00"


def _check_safetensors(path: Path, head: bytes, size: int) -> FileFormat:
    length = int.from_bytes(head[:8], "little")
    if 8 + length > size:
        raise damaged(path, f"its header says {length} bytes, but the file ends before that")
    with path.open("rb") as file:
        file.seek(8)
        header = file.read(length)
    try:
        tensors = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name[:2] != "__"]
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise damaged(path, "its header cannot be read") from error
    missing = 8 + length + max(ends, default=0) - size
    if missing > 0:
        raise damaged(path, f"the last {missing} bytes of its tensors are missing")
    return "safetensors"


def _looks_like_onnx(head: bytes) -> bool:
    # a protobuf message: field 1 (version, small), then field 2 (producer) or field 7 (graph)
    return len(head) > 4 and head[0] == 0x08 and head[1] < 0x20 and head[2] in (0x12, 0x3A, 0x42)


def _text_or_bytes(head: bytes) -> str:
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < 4096 else "ignore")
    except UnicodeDecodeError:
        return "bytes in an unknown format"
    if "\x00" in text or (not text.isprintable() and not set(text) & set("\n\t ")):
        return "bytes in an unknown format"
    start = text.lstrip()[:1]
    if start in "{[":
        return "JSON text"
    return "HTML, perhaps a log-in page" if start == "<" else "text"


def _checked_members(path: Path) -> list[str]:
    """Return the names in an archive after a comparison of all checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.CRC:  # 0 means that the checksum was disabled when the file was saved
                    with archive.open(member) as part:
                        while part.read(1 << 20):  # its end compares the checksums
                            pass
            return archive.namelist()
    except ZIP_ERRORS as error:
        raise damaged(path, "it starts like a network file, but is truncated or altered") from error


def _advice() -> str:
    return f"Choose a file with {READABLE_FORMATS}."


State: TypeAlias = "dict[str, Tensor | dict[str, Tensor]]"

# keys under which training scripts store the state dict; averaged weights come first
WRAPPERS = ("model_ema_state_dict", "model_state_dict", "state_dict", "model", "net", "generator")
NETWORKS_IN_ONE_FILE = ("generator", "mapping_network", "style_encoder", "fan")
METADATA_KEYS = (
    "architecture", "architecture_parameters", "channels", "class_names", "classes", "crop",
    "downsample_factors", "eight_bit", "final_activation", "gray_to_rgb", "image_size",
    "interpolation", "mean", "output", "pools", "range", "resize", "source", "standardize", "std",
    "target", "value_range",
)  # fmt: skip
PICKLE_CODES = frozenset(opcode.code for opcode in opcodes)
_LOAD_ERRORS = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError,
                OverflowError, MemoryError, AssertionError)  # fmt: skip
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
            f"'{path.name}' holds {names.get(file_format, 'a program')}, not a state dict."
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
    except _LOAD_ERRORS as error:
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
            f"'{path.name}' holds one tensor {tuple(content.shape)}, not a network. {_advice()}"
        )
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"'{path.name}' holds a {type(content).__name__}, not a state dict. {_advice()}"
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
            f"'{path.name}' holds no weights under a usual name, but {keys}. Save the state dict."
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
    tensors = {name: tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    return {str(name): tensor.detach() for name, tensor in tensors.items()}


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
