"""Formats of network files by their content."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Literal

from napari_quac.errors import CheckpointError
from napari_quac.large_files import check_size
from napari_quac.networks.formats.foreign import (
    foreign_cell,
    foreign_folder_sentence,
    foreign_sentence,
)
from napari_quac.networks.formats.notebook_cell import export_cell
from napari_quac.networks.formats.zip_errors import ZIP_ERRORS
from napari_quac.reading import (
    WRONG_KINDS,
    check_regular_file,
    is_folder,
    parse_json,
    path_exists,
    reading_errors,
)
from napari_quac.stepwise import check_canceled

FileFormat = Literal[
    "torchscript", "exported program", "torch.save", "old torch.save", "pickle", "safetensors",
    "onnx",
]  # fmt: skip

READABLE_FORMATS = (
    "TorchScript, safetensors, a state dict saved with torch.save, or a torch.export program (.pt2)"
)

METADATA_KEYS = (
    "architecture", "architecture_parameters", "channels", "class_names", "classes", "crop",
    "downsample_factors", "eight_bit", "final_activation", "gray_to_rgb", "image_size",
    "interpolation", "mean", "output", "pools", "preprocessing", "range", "resize", "source",
    "standardize", "std", "target", "value_range",
)  # fmt: skip
_SECONDS_PER_BYTE = 3e-9  # to hash, check and load it
HASH_BYTES = 1 << 22  # read at a time; a file of gigabytes takes seconds
MAX_HEADER = 100_000_000  # bytes; the limit of the safetensors library
MAX_UNPACKING = 20  # times the size of the file; weights hardly shrink when they are packed
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
    head, size = _part_of(path, 0, 4096)
    check_size(path, size, size * _SECONDS_PER_BYTE, size)
    if not head:
        raise CheckpointError(f"'{path.name}' is empty (0 bytes). Copy or export the file again.")
    if not any(head) and size <= len(head):
        raise damaged(path, f"its {size} bytes are all zero")
    if sentence := foreign_sentence(path, head):
        raise CheckpointError(sentence, foreign_cell(path, sentence))
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return _archive_format(path)
    if head.startswith(_OLD_TORCH_SAVE):
        return "old torch.save"
    if _looks_like_safetensors(head):
        return _check_safetensors(path, head, size)
    for start, name in _OTHER_FORMATS:
        if head.startswith(start):
            raise CheckpointError(f"'{path.name}' holds {name}, not a network. {choose_advice()}")
    if _looks_like_onnx(head):
        return "onnx"
    if len(head) > 1 and head[0] == 0x80 and head[1] <= 5:
        return "pickle"
    raise CheckpointError(
        f"'{path.name}' holds {_text_or_bytes(head)}, not a network. {choose_advice()}"
    )


def _part_of(path: Path, start: int, length: int) -> tuple[bytes, int]:
    """Return some bytes of a file, and its size."""
    with reading_errors(path.name, "Check its permissions.", CheckpointError):
        with path.open("rb") as file:
            file.seek(start)
            return file.read(length), os.fstat(file.fileno()).st_size


def check_is_file(path: Path) -> None:
    """Refuse a missing file, or a directory.

    Raises
    ------
    CheckpointError
    """
    if is_folder(path):
        raise CheckpointError(
            foreign_folder_sentence(path)
            or f"'{path.name}' is a folder, not a network file. Choose a file inside it."
        )
    if not path_exists(path):
        raise CheckpointError(f"'{path.name}' does not exist in '{path.parent}'. Check the path.")
    check_regular_file(path, CheckpointError)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits.

    Raises
    ------
    CheckpointError
        If it cannot be read.
    """
    with reading_errors(path.name, "Check its permissions.", CheckpointError):
        return _hash_at(path, _stamp(path))


Stamp = tuple[int, ...]


def _stamp(path: Path) -> Stamp:
    """Return numbers that change with the content of a file."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


# a network is inspected, then loaded: half a gigabyte takes seconds to hash, and to check
@lru_cache(maxsize=64)
def _hash_at(path: Path, stamp: Stamp) -> str:
    del stamp
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BYTES):
            check_canceled()
            digest.update(block)
    return digest.hexdigest()


def damaged(path: Path, finding: str) -> CheckpointError:
    """Return the error for a file of a known format that cannot be read.

    In the handler of an error of the disk, the file is not called damaged.
    """
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    if error is not None and error.errno not in (None, errno.EINVAL):  # no such place in the file
        reason = error.strerror or type(error).__name__
        return CheckpointError(f"'{path.name}' cannot be read ({reason}). Copy it again.")
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
    names = _checked_members(path, _stamp(path))
    if not names:
        raise CheckpointError(f"'{path.name}' is an empty archive. {choose_advice()}")
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
        raise CheckpointError(
            f"'{path.name}' holds NumPy arrays, not a network. If they are its weights, put them "
            "into the network in its notebook and export it with napari_quac.export_classifier.",
            export_cell("", path.name),
        )
    first = ", ".join(f"'{name}'" for name in names[:2])
    raise CheckpointError(
        f"'{path.name}' is a zip archive of other files ({first}), not a network. {choose_advice()}"
    )


def _looks_like_safetensors(head: bytes) -> bool:
    return len(head) > 8 and head[8:9] == b"{" and head[6:8] == b"\x00\x00"


def _check_safetensors(path: Path, head: bytes, size: int) -> FileFormat:
    length = int.from_bytes(head[:8], "little")
    if 8 + length > size or length > MAX_HEADER:
        raise damaged(path, f"its header says {length} bytes, but the file ends before that")
    header, _ = _part_of(path, 8, length)
    try:
        tensors = parse_json(header)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name[:2] != "__"]
        missing = 8 + length + max(map(int, ends), default=0) - size
    except WRONG_KINDS as error:
        raise damaged(path, "its header cannot be read") from error
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


@lru_cache(maxsize=64)
def _checked_members(path: Path, stamp: Stamp) -> tuple[str, ...]:
    """Return the names in an archive after a comparison of all checksums."""
    del stamp
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > MAX_UNPACKING * path.stat().st_size + (1 << 28):
                raise damaged(path, "its parts unpack to far more than a network")
            for member in archive.infolist():
                if member.CRC:  # 0 means that the checksum was disabled when the file was saved
                    with archive.open(member) as part:
                        while part.read(1 << 20):  # its end compares the checksums
                            pass
            return tuple(archive.namelist())
    except ZIP_ERRORS as error:
        raise damaged(path, "it starts like a network file, but is truncated or altered") from error


def choose_advice() -> str:
    """Return the sentence about the formats that can be read."""
    return f"Choose a file with {READABLE_FORMATS}."
