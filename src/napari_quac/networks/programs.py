"""Networks whose file contains their program: TorchScript and ``torch.export``.

Loading one can run code: TorchScript through ``__setstate__``, which can write any file of the user
by ``torch.from_file``; ``torch.export`` through the expressions of its shapes. So every program is
read by :func:`~napari_quac.networks.consent.read_program`, and facts that are needed before the
consent of the user come from :mod:`~napari_quac.networks.program_text`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.environment import variable_set
from napari_quac.errors import CheckpointError
from napari_quac.file_probe import FileKind, probe_file
from napari_quac.networks.consent import read_program
from napari_quac.networks.formats.zip_errors import ZIP_ERRORS
from napari_quac.networks.program_text import no_forward_sentence
from napari_quac.networks.tensor_file import code_sentence, damaged, detect_format
from napari_quac.reading import as_mapping, parse_json, reading_errors


def load_torchscript(
    path: Path, n_inputs: int = 1, as_float32: bool = True
) -> torch.jit.ScriptModule:
    """Load a TorchScript network onto the CPU, in eval mode and without parameter gradients.

    Devices that are written into the program, such as ``cuda:0``, are replaced by the CPU.

    Parameters
    ----------
    path : Path
        The file.
    n_inputs : int
        1 for a classifier, which takes one batch of images; 2 for inpainters and simulators.
    as_float32 : bool
        Convert weights of other types; a program may depend on their type, though.

    Raises
    ------
    CheckpointError
        If it is damaged, needs an operator that is not loaded, or does not take that many inputs.
    """
    with reading_errors(path.name, "Export it again.", CheckpointError):
        module = _read_torchscript(path, n_inputs)
        method = _forward_of(path, module)
        arguments = [a for a in method.schema.arguments[1:] if not a.has_default_value()]
        if len(arguments) != n_inputs:
            raise CheckpointError(_inputs_sentence(path, [a.name for a in arguments], n_inputs))
        prepare_for_inference(module, as_float32)
        return module


def _read_torchscript(path: Path, n_inputs: int) -> torch.jit.ScriptModule:
    content = read_program(path)
    probe_program(path, "torchscript", n_inputs, hashlib.sha256(content).hexdigest())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module: torch.jit.ScriptModule = torch.jit.load(BytesIO(content), map_location="cpu")
    except Exception as error:
        if operator := _missing_operator(error):
            raise CheckpointError(_operator_sentence(path, operator)) from error
        raise damaged(path, "its TorchScript program cannot be read") from error
    move_constants(module, "cpu")
    return module


def probe_program(
    path: Path,
    kind: FileKind,
    n_inputs: int,
    digest: str,
    requested: tuple[int | None, tuple[int, ...] | None] = (None, None),
) -> str:
    """Load and run a program in another process, which it may end.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        ``"torchscript"`` or ``"exported program"``.
    n_inputs : int
        Inputs without a default.
    digest : str
        SHA-256 of the file.
    requested : tuple
        Channels and size of the images, where they are certain.

    Returns
    -------
    text : str
        See :func:`~napari_quac.networks.program_trial.try_program`; empty without such a process.

    Raises
    ------
    CheckpointError
        If the process crashes or exceeds a limit.
    """
    part = json.dumps([n_inputs, *requested])
    return probe_file(path, kind, part, "Export it again.", CheckpointError, digest)


def _missing_operator(error: Exception) -> str:
    """Return the operator that a program needs and PyTorch lacks, such as ``torchvision::nms``."""
    match = re.search(r"(?:Unknown builtin op|Unknown custom op|Couldn't find an operator for|"
                      r"operator)[: ]*'?(\w+::\w+)", str(error))  # fmt: skip
    return match[1] if match else ""


def _missing_exported_operator(path: Path, program: bytes) -> str:
    """Return the first operator in an exported program that PyTorch lacks; empty without one."""
    names = set()
    for name, content in _members(path, program):
        if name.endswith(".json"):
            names |= set(re.findall(rb"torch\.ops\.(\w+)\.(\w+)", content))
    for namespace, operator in sorted((a.decode(), b.decode()) for a, b in names):
        if namespace != "higher_order" and not hasattr(getattr(torch.ops, namespace), operator):
            return f"{namespace}::{operator}"
    return ""


def _operator_sentence(path: Path, operator: str) -> str:
    package = operator.partition("::")[0]
    if package == "aten":
        return (
            f"'{path.name}' uses the operator {operator}, which PyTorch {torch.__version__} lacks. "
            "Export it with this version, or install a newer one."
        )
    if package == "torchvision":
        return (
            f"'{path.name}' uses the operator {operator} of torchvision, which is not loaded. "
            "Install it (pip install torchvision), and import it before the file is opened."
        )
    return (
        f"'{path.name}' uses the operator {operator} of another package. Import the package that "
        f"registers '{package}' before the file is opened, or export the network without it."
    )


def move_constants(module: nn.Module, device: str | torch.device) -> None:
    """Replace devices that are written into a TorchScript program, such as ``cuda:0``.

    Parameters
    ----------
    module : torch module
        Anything but a script is not changed. A program has to be changed before its first run.
    device : str or torch.device
        The device on which it will run.
    """
    if not isinstance(module, torch.jit.ScriptModule):
        return
    graphs = []
    for part in module.modules():
        program: Any = part._c
        graphs += [program._get_method(name).graph for name in program._method_names()]
    for graph in graphs:
        for node in graph.findAllNodes("prim::Constant", recurse=True):
            is_device = node.output().type().kind() == "DeviceObjType"
            if is_device and node.s("value") != str(device):
                node.s_("value", str(device))


def _forward_of(path: Path, module: torch.jit.ScriptModule) -> Any:
    method = getattr(module, "forward", None)
    if method is None:
        raise CheckpointError(no_forward_sentence(path))
    return method


def load_program(path: Path, n_inputs: int = 1, as_float32: bool = True) -> nn.Module:
    """Load a TorchScript or ``torch.export`` program; see :func:`load_torchscript`.

    Raises
    ------
    CheckpointError
        If it is neither, is damaged, or does not take that many inputs.
    """
    kind = detect_format(path)
    if kind == "torchscript":
        return load_torchscript(path, n_inputs, as_float32)
    if kind == "exported program":
        return load_exported(path, n_inputs, as_float32)
    raise CheckpointError(
        f"'{path.name}' is not an exported program. Export the network as TorchScript, or with "
        "torch.export."
    )


def load_exported(path: Path, n_inputs: int = 1, as_float32: bool = True) -> ExportedNetwork:
    """Load a ``torch.export`` program (.pt2) onto the CPU.

    Parameters
    ----------
    path : Path
        The file.
    n_inputs : int
        As for :func:`load_torchscript`; the first one is the batch of images.
    as_float32 : bool
        As for :func:`load_torchscript`.

    Raises
    ------
    CheckpointError
        If it is damaged, holds pickled Python objects or machine code, or does not take that many
        inputs.
    """
    with reading_errors(path.name, "Export it as TorchScript.", CheckpointError):
        program = _read_exported(path, n_inputs)
        names = list(program.graph_signature.user_inputs)
        nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
        shapes = [getattr(nodes[name].meta.get("val"), "shape", None) for name in names]
        if len(shapes) != n_inputs or None in shapes:
            raise CheckpointError(_inputs_sentence(path, [str(name) for name in names], n_inputs))
        bounds = [_bounds(length, program.range_constraints) for length in shapes[0] or ()]
        network = ExportedNetwork(program.module(), bounds)
        prepare_for_inference(network, as_float32)
        return network


def _read_exported(path: Path, n_inputs: int) -> torch.export.ExportedProgram:
    content = read_program(path)
    probe_program(path, "exported program", n_inputs, hashlib.sha256(content).hexdigest())
    _refuse_code(path, content)
    if operator := _missing_exported_operator(path, content):
        raise CheckpointError(_operator_sentence(path, operator))
    # it would print the whole graph of a damaged file
    logging.getLogger("torch.export").setLevel(logging.CRITICAL)
    try:
        with variable_set("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # as a buffer, since a path would have to end in .pt2
            return torch.export.load(BytesIO(content))
    except Exception as error:
        raise CheckpointError(
            f"'{path.name}' cannot be read as a torch.export program by PyTorch "
            f"{torch.__version__}: damaged, or of another version. Export it as TorchScript."
        ) from error


class ExportedNetwork(nn.Module):
    """A ``torch.export`` program that takes batches of any size.

    A program exported for a fixed batch size refuses all others; its batches are padded by
    repeating the last image.

    Parameters
    ----------
    program : torch module
        The output of ``ExportedProgram.module()``, which has neither ``train`` nor ``eval``.
    bounds : list of (smallest, largest)
        Allowed length of each axis (N, C, *S), or (N, *S, C) with 1, 3 or 4 channels;
        ``largest`` is None without a limit.
    """

    def __init__(self, program: nn.Module, bounds: list[tuple[int, int | None]]) -> None:
        super().__init__()
        self.program = program
        self.bounds = bounds
        self.training = False
        lengths = [_only(bound) for bound in bounds]
        # no image has so many channels and a side of 1, 3 or 4 pixels
        self.has_channels_last = len(bounds) > 3 and lengths[-1] in (1, 3, 4) and (
            lengths[1] is None or lengths[1] > 4
        )  # fmt: skip
        if self.has_channels_last:
            self.bounds = [bounds[0], bounds[-1], *bounds[1:-1]]

    @property
    def channels(self) -> int | None:
        """Number of channels; None if several are possible."""
        return _only(self.bounds[1]) if len(self.bounds) > 1 else None

    @property
    def image_size(self) -> tuple[int, ...] | None:
        """Spatial size; None if several are possible."""
        sizes = [_only(bound) for bound in self.bounds[2:]]
        return None if None in sizes else tuple(size for size in sizes if size is not None)

    def train(self, mode: bool = True) -> ExportedNetwork:
        """Do nothing: the mode of an exported program is fixed."""
        del mode
        return self

    def forward(self, images: Tensor, *others: Tensor) -> Tensor:
        """Run the program on images (N, C, *S) of any N; ``others`` have as many rows."""
        if self.has_channels_last:
            images = images.movedim(1, -1)
        smallest, largest = self.bounds[0]
        size = largest if largest is not None else max(1, len(images))
        pieces = []
        for start in range(0, max(1, len(images)), size):
            inputs = [tensor[start : start + size] for tensor in (images, *others)]
            outputs = self.program(*(_padded(rows, smallest) for rows in inputs))
            if others and isinstance(outputs, tuple | list) and outputs:
                outputs = outputs[0]  # bin-conditional generators return a code after the image
            if isinstance(outputs, Mapping) and "logits" in outputs:
                outputs = outputs["logits"]
            elif isinstance(outputs, tuple | list) and len(outputs) == 1:
                outputs = outputs[0]
            if not isinstance(outputs, Tensor):
                return outputs  # type: ignore[no-any-return]  # the caller refuses its type
            pieces.append(outputs[: len(inputs[0])])
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _padded(rows: Tensor, n: int) -> Tensor:
    """Repeat the last row until there are ``n``."""
    missing = n - len(rows)
    return torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]) if missing > 0 else rows


def prepare_for_inference(module: nn.Module, as_float32: bool = True) -> nn.Module:
    """Switch a network to eval mode, float32, without gradients of its parameters."""
    module.eval()
    if as_float32 and any(
        p.is_floating_point() and p.dtype != torch.float32 for p in module.parameters()
    ):
        module.float()
    for parameter in module.parameters():  # a ScriptModule has no requires_grad_()
        parameter.requires_grad_(False)
    return module


def _refuse_code(path: Path, program: bytes) -> None:
    """Refuse parts that torch.export.load would unpickle without restriction, or machine code."""
    for name, content in _members(path, program):
        if "aotinductor" in name or content[:4] == b"\x7fELF":
            raise CheckpointError(code_sentence(path, "compiled machine code"))
        try:
            pickled = name.endswith("_config.json") and _uses_pickle(parse_json(content))
        except ValueError as error:
            raise damaged(path, f"'{name}' is not valid JSON") from error
        if pickled:
            raise CheckpointError(code_sentence(path, name.rpartition("/")[2]))
        if content[:2] == b"PK" or content[:1] == b"\x80":
            _check_restricted(path, name, content)


def _members(path: Path, program: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the parts of an archive, as Python and as PyTorch read it: a forged one may differ."""
    try:
        with zipfile.ZipFile(BytesIO(program)) as archive:
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise damaged(path, "it holds two parts of the same name")
            for name in names:
                yield name, archive.read(name)
        if "serialized_exported_program.json" in names:  # PyTorch's reader refuses this old format
            return
        reader = torch._C.PyTorchFileReader(BytesIO(program))
        for name in reader.get_all_records():
            yield name, reader.get_record(name)
    except ZIP_ERRORS as error:
        raise damaged(path, "its parts cannot be read") from error


def _uses_pickle(config: Any) -> bool:
    entries = as_mapping(as_mapping(config).get("config")).values()
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
    plural = "s" if len(names) != 1 else ""
    inputs = f"{len(names)} input{plural} ({', '.join(names)})" if names else "no input"
    need = "one batch of images is" if n_inputs == 1 else f"{n_inputs} are"
    return f"'{path.name}' takes {inputs}, but {need} needed. Export such a forward function."
