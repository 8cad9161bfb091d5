"""Search for the input of a program in another process, whose memory and time are limited.

A program may need any memory for an image of a usual size. The process that tries it first is
limited and continues with other sizes; what it found is not searched again in this process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from napari_quac import large_files
from napari_quac.errors import CheckpointError, is_out_of_memory
from napari_quac.file_probe import FileKind
from napari_quac.networks.adapters import Adapter, adapt
from napari_quac.networks.classifier_file import size_from_text, whole_number
from napari_quac.networks.consent import read_program
from napari_quac.networks.formats.zip_errors import ZIP_ERRORS
from napari_quac.networks.input_guesses import Shape, candidates
from napari_quac.networks.input_search import (
    NO_MEMORY,
    NetworkInput,
    ReturnsImagesError,
    attempt,
    find_input,
)
from napari_quac.networks.program_text import program_metadata
from napari_quac.networks.programs import ExportedNetwork, load_program, probe_program
from napari_quac.networks.tensor_file import detect_format
from napari_quac.reading import parse_json

_N_IMAGES = 6  # noise and blank images of the trial that follows
_QUICK = 0.2  # seconds for one image, below which so many are tried


@dataclass(frozen=True)
class ProgramInput:
    """The input of a program, or the reason why none was found.

    Attributes
    ----------
    requested : tuple
        Channels and size that were given or that the file states; None for each that is unknown.
    channels : int
    size : tuple of int
        Empty if there is a problem.
    adapters : tuple of str
        See :mod:`~napari_quac.networks.adapters`.
    seconds : float
        Time for one image.
    problem : str
        Sentence of the error.
    returns_images : bool
        True if the program is a generator.
    needs_memory : bool
        True if no size fits into the memory of that process.
    """

    requested: tuple[int | None, Shape | None] = (None, None)
    channels: int = 0
    size: Shape = ()
    adapters: tuple[Adapter, ...] = ()
    seconds: float = 0.0
    problem: str = ""
    returns_images: bool = False
    needs_memory: bool = False


def try_program(
    path: Path,
    n_inputs: int,
    requested: tuple[int | None, Shape | None],
    on_load: Callable[[], None],
) -> str:
    """Load a program, and search for the input of one of a single input.

    Parameters
    ----------
    path : Path
        The file.
    n_inputs : int
        Inputs without a default.
    requested : tuple
        Channels and size, where they are given.
    on_load : callable
        Called between both.

    Returns
    -------
    text : str
        A :class:`ProgramInput` in JSON; empty for a program of several inputs.

    Raises
    ------
    CheckpointError
        If the program cannot be read.
    """
    module = load_program(path, n_inputs, as_float32=n_inputs > 1)  # as a classifier is loaded
    on_load()
    if n_inputs != 1:
        return ""
    if requested == (None, None):
        requested = _stated_input(path, module)
    return json.dumps(asdict(_search(module, path.name, requested)))


def _stated_input(path: Path, module: nn.Module) -> tuple[int | None, Shape | None]:
    """Return channels and size that follow from a file."""
    metadata: dict[str, str] = {}
    with contextlib.suppress(OSError, *ZIP_ERRORS):
        metadata = program_metadata(path)
    channels = module.channels if isinstance(module, ExportedNetwork) else None
    size = module.image_size if isinstance(module, ExportedNetwork) else None
    return (
        channels or whole_number(metadata.get("channels")),
        size or size_from_text(metadata.get("image_size")),
    )


def _search(
    module: nn.Module, name: str, requested: tuple[int | None, Shape | None]
) -> ProgramInput:
    shapes = [tuple(tensor.shape) for tensor in module.state_dict().values()]
    guesses, lacks_memory = list(candidates(shapes, *requested)), False
    try:
        while True:
            network_input = find_input(module, name, shapes, *requested, guesses=guesses)
            guess = (network_input.channels, network_input.size)
            if network_input.seconds > _QUICK or _fits_into_memory(network_input):
                break
            guesses.remove(guess)
            lacks_memory = True
    except ReturnsImagesError as error:
        return ProgramInput(requested, problem=str(error), returns_images=True)
    except CheckpointError as error:
        needs_memory = lacks_memory or is_out_of_memory(error.__cause__ or error)
        return ProgramInput(requested, problem=str(error), needs_memory=needs_memory)
    return ProgramInput(requested, *guess, network_input.adapters, network_input.seconds)


def _fits_into_memory(network_input: NetworkInput) -> bool:
    guess = (network_input.channels, network_input.size)
    error, _ = attempt(network_input.network, guess, "cpu", _N_IMAGES)
    return error is None or error.text != NO_MEMORY


def probed_input(
    path: Path, module: nn.Module, channels: int | None, size: Shape | None
) -> NetworkInput | None:
    """Return the input of a program that another process found.

    Parameters
    ----------
    path : Path
        The file.
    module : torch module
        Its program.
    channels, size
        If they are certain.

    Returns
    -------
    network_input : NetworkInput or None
        None if there is no other process, or the user agreed to use more memory.

    Raises
    ------
    ReturnsImagesError
        If it returns images.
    LargeFileError
        If it needs more memory than that process has, and the user has to agree.
    CheckpointError
        If it takes none of the usual sizes.
    """
    digest = hashlib.sha256(read_program(path)).hexdigest()
    probed = _probe(path, digest, (None, None))
    if probed is not None and (channels, size) not in ((None, None), probed.requested):
        probed = _probe(path, digest, (channels, size))
    if probed is None:
        return None
    if probed.size:
        adapters = probed.adapters
        return NetworkInput(
            adapt(module, adapters), adapters, probed.channels, probed.size, probed.seconds
        )
    if probed.returns_images:
        raise ReturnsImagesError(probed.problem)
    if not probed.needs_memory:
        raise CheckpointError(probed.problem)
    large_files.ask(
        path, f"'{path.name}' is large: it needs more than 1 GB of memory for images of usual size."
    )
    return None


def _probe(
    path: Path, digest: str, requested: tuple[int | None, Shape | None]
) -> ProgramInput | None:
    kind: FileKind = "torchscript" if detect_format(path) == "torchscript" else "exported program"
    text = probe_program(path, kind, 1, digest, requested)
    if not text:
        return None
    values: dict[str, Any] = parse_json(text)
    channels, size = values.pop("requested")
    for name in ("size", "adapters"):
        values[name] = tuple(values[name])
    return ProgramInput((channels, None if size is None else tuple(size)), **values)
