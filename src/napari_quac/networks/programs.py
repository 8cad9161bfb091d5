"""Networks that bring their program with them: TorchScript and ``torch.export``.

Neither can run arbitrary Python when loaded as it is here, but both are programs; whoever opens a
file from elsewhere should be asked once.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.errors import CheckpointError
from napari_quac.networks.file_kind import ZIP_ERRORS, code_sentence, damaged, file_kind
from napari_quac.networks.tensor_file import METADATA_KEYS

_READ_ERRORS = (
    RuntimeError, ValueError, TypeError, LookupError, OSError, EOFError, AttributeError,
    AssertionError, zipfile.BadZipFile, UnicodeDecodeError,
)  # fmt: skip


def load_torchscript(path: Path, n_inputs: int = 1) -> torch.jit.ScriptModule:
    """Load a TorchScript network onto the CPU, in eval mode and without parameter gradients.

    Parameters
    ----------
    path : Path
        The file.
    n_inputs : int
        1 for a classifier, which takes one batch of images; 2 for inpainters and simulators.

    Raises
    ------
    CheckpointError
        If it is damaged, or does not take that many inputs.
    """
    module = _read_torchscript(path)
    method = _forward_of(path, module)
    arguments = [a for a in method.schema.arguments[1:] if not a.has_default_value()]
    if len(arguments) != n_inputs:
        raise CheckpointError(_inputs_sentence(path, [a.name for a in arguments], n_inputs))
    ready(module)
    return module


def _read_torchscript(path: Path) -> torch.jit.ScriptModule:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module: torch.jit.ScriptModule = torch.jit.load(str(path), map_location="cpu")
    except _READ_ERRORS as error:
        raise damaged(path, "its TorchScript program cannot be read") from error
    return module


def _forward_of(path: Path, module: torch.jit.ScriptModule) -> Any:
    method = getattr(module, "forward", None)
    if method is None:
        raise CheckpointError(
            f"'{path.name}' is a TorchScript file without a 'forward' function, so it cannot be "
            "asked. Export the network itself with torch.jit.script or torch.jit.trace."
        )
    return method


def load_program(path: Path, n_inputs: int = 1) -> nn.Module:
    """Load TorchScript or a ``torch.export`` program; see the loaders of either.

    Raises
    ------
    CheckpointError
        If it is neither, is damaged, or does not take that many inputs.
    """
    kind = file_kind(path)
    if kind == "torchscript":
        return load_torchscript(path, n_inputs)
    if kind == "exported program":
        return load_exported(path, n_inputs)
    raise CheckpointError(
        f"'{path.name}' is no program. Export the network as TorchScript, or with torch.export."
    )


def count_inputs(path: Path) -> int:
    """Return how many inputs a program takes, without running it.

    Raises
    ------
    CheckpointError
        If it cannot be read.
    """
    if file_kind(path) == "torchscript":
        forward = _forward_of(path, _read_torchscript(path))
        return len([a for a in forward.schema.arguments[1:] if not a.has_default_value()])
    return len(_read_exported(path).graph_signature.user_inputs)


def load_exported(path: Path, n_inputs: int = 1) -> ExportedNetwork:
    """Load a ``torch.export`` program (.pt2) onto the CPU.

    Parameters
    ----------
    path : Path
        The file.
    n_inputs : int
        As for :func:`load_torchscript`; the first one is the batch of images.

    Raises
    ------
    CheckpointError
        If it is damaged, holds pickled Python objects or machine code, or does not take that many
        inputs.
    """
    program = _read_exported(path)
    names = list(program.graph_signature.user_inputs)
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    shapes = [getattr(nodes[name].meta.get("val"), "shape", None) for name in names]
    if len(shapes) != n_inputs or None in shapes:
        raise CheckpointError(_inputs_sentence(path, [str(name) for name in names], n_inputs))
    bounds = [_bounds(length, program.range_constraints) for length in shapes[0] or ()]
    network = ExportedNetwork(program.module(), bounds)
    ready(network)
    return network


def _read_exported(path: Path) -> torch.export.ExportedProgram:
    _refuse_code(path)
    try:
        with _weights_only(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # as a buffer, since a path would have to end in .pt2
            return torch.export.load(BytesIO(path.read_bytes()))
    except _READ_ERRORS as error:
        raise CheckpointError(
            f"'{path.name}' cannot be read as a torch.export program: it is damaged, or was "
            f"written by a PyTorch that does not fit this one ({torch.__version__}). Export it "
            "again, or as TorchScript."
        ) from error


class ExportedNetwork(nn.Module):
    """A ``torch.export`` program that takes batches of any size.

    A program exported for a fixed number of images refuses all others; here it gets its number,
    filled up by repeating the last image.

    Parameters
    ----------
    program : torch module
        What ``ExportedProgram.module()`` gives; it has neither ``train`` nor ``eval``.
    bounds : list of (smallest, largest)
        Allowed length of each axis (N, C, *S); ``largest`` is None where there is no limit.
    """

    def __init__(self, program: nn.Module, bounds: list[tuple[int, int | None]]) -> None:
        super().__init__()
        self.program = program
        self.bounds = bounds
        self.training = False

    @property
    def channels(self) -> int | None:
        """The only number of channels it takes, if there is only one."""
        return _only(self.bounds[1]) if len(self.bounds) > 1 else None

    @property
    def image_size(self) -> tuple[int, ...] | None:
        """The only spatial size it takes, if there is only one."""
        sizes = [_only(bound) for bound in self.bounds[2:]]
        return None if None in sizes else tuple(size for size in sizes if size is not None)

    def train(self, mode: bool = True) -> ExportedNetwork:
        """Do nothing: a program was exported in one mode and stays in it."""
        del mode
        return self

    def forward(self, images: Tensor, *others: Tensor) -> Tensor:
        """Return what the program returns for images (N, C, *S), for any N.

        ``others`` have as many rows.
        """
        smallest, largest = self.bounds[0]
        size = largest if largest is not None else max(1, len(images))
        results = []
        for start in range(0, max(1, len(images)), size):
            piece = images[start : start + size]
            parts = [filled_up(one[start : start + size], smallest) for one in (images, *others)]
            result = self.program(*parts)
            if others and isinstance(result, tuple | list) and result:
                result = result[0]  # explainers return a code after the image
            if not isinstance(result, Tensor):
                return result  # type: ignore[no-any-return]  # refused by the caller, with its type
            results.append(result[: len(piece)])
        return results[0] if len(results) == 1 else torch.cat(results)


def filled_up(rows: Tensor, n: int) -> Tensor:
    """Repeat the last row until there are ``n`` of them."""
    missing = n - len(rows)
    return torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]) if missing > 0 else rows


def ready(module: nn.Module) -> nn.Module:
    """Put a network into eval mode, float32, without gradients of its parameters."""
    module.eval()
    if any(p.is_floating_point() and p.dtype != torch.float32 for p in module.parameters()):
        module.float()
    for parameter in module.parameters():  # a ScriptModule has no requires_grad_()
        parameter.requires_grad_(False)
    return module


def program_metadata(path: Path) -> dict[str, str]:
    """Return what was stored beside a program as extra files, such as ``class_names``."""
    metadata = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            folder, _, key = member.filename.rpartition("/")
            if folder.endswith("extra") and key in METADATA_KEYS and member.file_size < 1 << 16:
                metadata[key] = archive.read(member).decode("utf-8", errors="replace")
    return metadata


def _refuse_code(path: Path) -> None:
    """Refuse what torch.export.load would unpickle without restriction, or run as machine code."""
    for name, content in _members(path):
        if "aotinductor" in name or content[:4] == b"\x7fELF":
            raise CheckpointError(code_sentence(path, "compiled machine code"))
        try:
            pickled = name.endswith("_config.json") and _says_pickle(json.loads(content))
        except ValueError as error:
            raise damaged(path, f"'{name}' is no JSON text") from error
        if pickled:
            raise CheckpointError(code_sentence(path, name.rpartition("/")[2]))
        if content[:2] == b"PK" or content[:1] == b"\x80":
            _check_restricted(path, name, content)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the parts of an archive, as Python and as PyTorch read it: a forged one may differ."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise damaged(path, "it holds two parts of the same name")
            for name in names:
                yield name, archive.read(name)
        if "serialized_exported_program.json" in names:  # this old kind is not read by PyTorch's
            return
        reader = torch._C.PyTorchFileReader(str(path))
        for name in reader.get_all_records():
            yield name, reader.get_record(name)
    except ZIP_ERRORS as error:
        raise damaged(path, "its parts cannot be read") from error


def _says_pickle(config: Any) -> bool:
    entries = config.get("config", {}).values() if isinstance(config, dict) else ()
    return any(
        entry.get("use_pickle") or str(entry.get("path_name", "")).startswith(("custom", "opaque"))
        for entry in entries
        if isinstance(entry, dict)
    )


def _check_restricted(path: Path, name: str, content: bytes) -> None:
    if "weights/weight_" in name or "constants/tensor_" in name:
        return  # raw numbers, read as such
    try:
        torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(code_sentence(path, name.rpartition("/")[2])) from error


@contextmanager
def _weights_only() -> Iterator[None]:
    """Have every ``torch.load`` inside refuse Python objects, whatever it is called with."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _bounds(length: Any, constraints: Any) -> tuple[int, int | None]:
    if isinstance(length, int):
        return length, length
    allowed = constraints.get(length.node.expr)
    if allowed is None:
        return 1, None
    upper = int(allowed.upper) if allowed.upper.is_finite and allowed.upper < 1 << 30 else None
    return max(1, int(allowed.lower)), upper


def _only(bound: tuple[int, int | None]) -> int | None:
    return bound[0] if bound[0] == bound[1] else None


def _inputs_sentence(path: Path, names: list[str], n_inputs: int = 1) -> str:
    found = f"{len(names)} inputs ({', '.join(names)})" if names else "no input"
    if n_inputs != 1:
        return (
            f"'{path.name}' takes {found}, {n_inputs} are needed: a batch of images, and what it "
            "is to do with them. Export a network whose forward function takes those."
        )
    return (
        f"'{path.name}' takes {found}, a classifier takes one batch of images. Export a network "
        "whose forward function takes the images alone."
    )
