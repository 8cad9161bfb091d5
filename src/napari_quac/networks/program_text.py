"""Facts about a program in a file, read from its text, without loading it."""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path
from typing import Any

from napari_quac.errors import CheckpointError
from napari_quac.networks.checkpoint_facts import CLASS_KEYS
from napari_quac.networks.formats.zip_errors import ZIP_ERRORS
from napari_quac.networks.tensor_file import METADATA_KEYS, damaged, detect_format
from napari_quac.reading import parse_json

MOST_BYTES = 1 << 26
"""Largest part with a program; weights are elsewhere."""


def count_inputs(path: Path) -> int:
    """Count the inputs of a program that have no default.

    Raises
    ------
    CheckpointError
        If it is damaged, or has no function ``forward``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if detect_format(path) == "torchscript":
                return _inputs_of_script(path, archive)
            return _inputs_of_export(archive)
    except ZIP_ERRORS as error:
        raise damaged(path, "its program cannot be read") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, "its program cannot be read") from error


def program_metadata(path: Path) -> dict[str, str]:
    """Return the extra files of a program as metadata, such as ``class_names``."""
    metadata = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            folder, _, name = member.filename.rpartition("/")
            key = name.removesuffix(".json").removesuffix(".txt")
            is_known = key in METADATA_KEYS or key in CLASS_KEYS
            if (
                folder.endswith(("extra", "extra_files"))
                and is_known
                and member.file_size < 1 << 16
            ):
                metadata[key] = archive.read(member).decode("utf-8", errors="replace")
    return metadata


def no_forward_sentence(path: Path) -> str:
    """Return the message about a TorchScript file that cannot be run."""
    return (
        f"'{path.name}' is a TorchScript file without a 'forward' function, so it cannot be "
        "run. Export the network itself with torch.jit.script or torch.jit.trace."
    )


def _inputs_of_script(path: Path, archive: zipfile.ZipFile) -> int:
    root = next(n for n in archive.namelist() if n.endswith("/constants.pkl"))
    folder = root.removesuffix("constants.pkl")
    module, name = _class_of(_read(archive, f"{folder}data.pkl")).rsplit(".", 1)
    text = _read(archive, f"{folder}code/{module.replace('.', '/')}.py").decode("utf-8")
    # the class itself, up to the next one in the file
    body = re.split(rf"^class {re.escape(name)}\b", text, maxsplit=1, flags=re.MULTILINE)[1]
    body = re.split(r"^class ", body, maxsplit=1, flags=re.MULTILINE)[0]
    match = re.search(r"^  def forward\(", body, flags=re.MULTILINE)
    if match is None:
        raise CheckpointError(no_forward_sentence(path))
    arguments = _arguments(body[match.end() :])
    return sum("=" not in argument for argument in arguments[1:])


def _arguments(text: str) -> list[str]:
    """Return the arguments up to the closing bracket."""
    arguments, depth = [""], 0
    for character in text:
        if character == ")" and depth == 0:
            break
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            arguments.append("")
        else:
            arguments[-1] += character
    return [argument for argument in arguments if argument.strip()]


def _class_of(pickled: bytes) -> str:
    """Return the class of the object in a pickle, such as ``__torch__.networks.Net``."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            return ".".join(str(argument).split(" "))
    raise ValueError("no class in the pickle")


def _inputs_of_export(archive: zipfile.ZipFile) -> int:
    names = archive.namelist()
    ends = ("models/model.json", "serialized_exported_program.json")  # the second up to torch 2.7
    name = next(n for end in ends for n in names if n.endswith(end))
    document: Any = parse_json(_read(archive, name))
    specs = document["graph_module"]["signature"]["input_specs"]
    return sum("user_input" in spec for spec in specs)


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MOST_BYTES:
        raise ValueError("larger than any program")
    return archive.read(name)
