"""Search for the input that a network takes, within a limited time."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import thread_time
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.data.place import extent
from napari_quac.errors import CheckpointError, is_out_of_memory
from napari_quac.networks.adapters import IMAGE_TYPES, Adapter, Network, adapt
from napari_quac.networks.fast_inference import MOST_WEIGHTS, RUN_ERRORS
from napari_quac.networks.input_guesses import USUAL_VOLUMES, Guess, Shape, candidates
from napari_quac.networks.programs import move_constants
from napari_quac.networks.run_errors import RunError, explain_run_errors, read_run_error

SEARCH_SECONDS = 2.0  # of computing; a busy machine does not make it miss a size
COSTLY = 0.05  # seconds for a trial, above which PyTorch's meta device is worth its import (1 s)
_FIRST_SHARE = 0.6  # of the time, for the network as it is; the rest for its adapters
_MOST_DISAGREEMENTS = 3
NO_MEMORY = "out of memory"
_MOST_ADAPTED = 30  # guesses for a network with adapters


class ReturnsImagesError(CheckpointError):
    """Images in the output of a network: it is a generator, not a classifier."""


@dataclass(frozen=True)
class NetworkInput:
    """An input that a network takes.

    Attributes
    ----------
    network : callable
        The network with its adapters.
    adapters : tuple of str
        See :mod:`~napari_quac.networks.adapters`.
    channels : int
    size : tuple of int
    seconds : float
        Time for one image.
    """

    network: Network
    adapters: tuple[Adapter, ...]
    channels: int
    size: Shape
    seconds: float


def find_input(
    network: Network,
    name: str,
    shapes: Sequence[Shape] = (),
    channels: int | None = None,
    image_size: Shape | None = None,
    guesses: Sequence[Guess] | None = None,
) -> NetworkInput:
    """Find channels, size and adapters with which a network returns one row per image.

    Parameters
    ----------
    network : callable
        In eval mode, on the CPU.
    name : str
        File name, for messages.
    shapes : sequence of shapes
        Of its tensors, in order; they determine the first guesses.
    channels, image_size
        If they are certain.
    guesses : sequence of (channels, size), optional
        All that are tried; the likeliest by default.

    Raises
    ------
    ReturnsImagesError
        If it returns images.
    CheckpointError
        If none is found within :data:`SEARCH_SECONDS`.

    Notes
    -----
    Most guesses are checked without computing anything, on PyTorch's meta device, where tensors
    have shapes but no values. Networks that do not run there are tried with real images.
    """
    if guesses is None:
        guesses = list(candidates(shapes, channels, image_size))
    search = _Search(network, name, guesses)
    outcome = search.run(())
    layouts: list[tuple[Adapter, ...]] = [()]
    if channels in (None, 1) and any(len(shape) == 5 and shape[1] == 1 for shape in shapes):
        layouts.append(("no channel axis",))
    layouts += [("one at a time",), ("channels last",), ("channels last", "one at a time")]
    for layout in layouts:
        for number_type in _number_types(network) if search.has_type_error else ((),):
            adapters = (*number_type, *layout)
            if outcome is None and adapters and not search.is_over():
                outcome = search.run(adapters)
    if outcome is None:
        raise search.failure(channels, image_size)
    return outcome


def _number_types(network: Network) -> tuple[tuple[Adapter, ...], ...]:
    """Return adapters of number types, the likeliest first."""
    dtypes = _weight_types(network)
    if dtypes <= {torch.float32}:  # casts written into the program
        return (), ("float16 images",), ("float64 images",)
    images = ((IMAGE_TYPES[dtype],) for dtype in dtypes if dtype in IMAGE_TYPES)
    return (), ("float32 weights",), *images


def _weight_types(network: Network) -> set[torch.dtype]:
    if not isinstance(network, nn.Module):
        return set()
    tensors = [*network.parameters(), *network.buffers()]
    return {tensor.dtype for tensor in tensors if tensor.is_floating_point()}


@dataclass
class _Search:
    """The state of a search: its clock, and what was seen so far."""

    network: Network
    name: str
    guesses: Sequence[Guess]
    begun: float = field(default_factory=thread_time)
    errors: dict[str, RunError] = field(default_factory=dict)
    wrong_output: CheckpointError | None = None
    tried: dict[Guess, None] = field(default_factory=dict)
    rate: float = 0.0  # seconds per value of an image
    ended: bool = False  # by the clock or for want of memory

    @property
    def has_type_error(self) -> bool:
        """True if the network computes with numbers of another type than its images have."""
        return any(error.cause == "number type" for error in self.errors.values())

    def is_over(self, share: float = 1.0) -> bool:
        """Tell whether the time is up; the first guess is always tried."""
        return bool(self.tried) and thread_time() - self.begun > share * SEARCH_SECONDS

    def run(self, adapters: tuple[Adapter, ...]) -> NetworkInput | None:
        """Try all guesses with these adapters."""
        try:
            network = adapt(self.network, adapters)
        except RUN_ERRORS:  # the wrapper of a script needs a network that returns a tensor
            return None
        shapes = _Shapes(network)
        for guess in self.guesses[: _MOST_ADAPTED if adapters else None]:
            if len(guess[1]) != 3 and "no channel axis" in adapters:
                continue
            if self.is_over(1.0 if adapters else _FIRST_SHARE):
                self.ended = True
                break
            expected_seconds = self._seconds(guess)
            error = self._check_shapes(shapes, guess, expected_seconds)
            if not shapes.are_checked and expected_seconds > SEARCH_SECONDS / 2:
                self.ended = True
                continue
            self.tried[guess] = None
            if error is None:
                begun = thread_time()
                error, outputs = attempt(network, guess, "cpu")
                seconds = thread_time() - begun
                self.rate = seconds / (guess[0] * math.prod(guess[1]))
                shapes.note_trial(error)
            if error is not None:
                self.errors.setdefault(error.text, error)
                if error.cause in ("number type", "device", "operator"):
                    return None
                continue
            picker = _picker(outputs)
            if picker is not None and picker not in adapters:
                return self.run((picker, *adapters))
            is_flat = self._check_output(outputs)
            # more or fewer rows than images come from a reshape, which works with another size
            if is_flat is None and outputs.ndim != 2:
                return None
            # single values of single images come from a mean over the batch
            if is_flat is None or (is_flat and "one at a time" in adapters):
                continue
            return _finish(network, adapters, guess, seconds / 2, outputs)
        return None

    def _check_shapes(self, shapes: _Shapes, guess: Guess, seconds: float) -> RunError | None:
        """Check shapes alone; the import of PyTorch's meta device is no part of the search."""
        begun, is_first = thread_time(), shapes.shadow is None
        error = shapes.check(guess, seconds)
        if is_first and shapes.shadow is not None:
            self.begun += thread_time() - begun
        return error

    def _seconds(self, guess: Guess) -> float:
        """Estimate the time of a trial; a first one of a volume may take seconds."""
        if not self.tried and len(guess[1]) == 3:
            return SEARCH_SECONDS / 4
        seconds = self.rate * guess[0] * math.prod(guess[1])
        # the first run of a network is a slow one
        return seconds if len(self.tried) > 1 or seconds > SEARCH_SECONDS / 4 else 0.0

    def _check_output(self, outputs: Any) -> bool | None:
        """Tell whether further axes have to be removed; None if these are no rows of classes."""
        try:
            return check_rows(outputs, 2, self.name)
        except ReturnsImagesError:
            raise
        except CheckpointError as error:
            if not isinstance(outputs, Tensor):
                raise
            self.wrong_output = self.wrong_output or error
            return None

    def failure(self, channels: int | None, size: Shape | None) -> CheckpointError:
        """Return the error of a search without success; its cause is memory if any was missing."""
        error = self._failure(channels, size)
        if any(seen.text == NO_MEMORY for seen in self.errors.values()):
            error.__cause__ = MemoryError()
        return error

    def _failure(self, channels: int | None, size: Shape | None) -> CheckpointError:
        if self.wrong_output is not None:
            return self.wrong_output
        if self.errors and {error.text for error in self.errors.values()} == {NO_MEMORY}:
            return CheckpointError(
                f"'{self.name}' needs more memory than there is, for images of every usual size. "
                "Close other programs, or give the image size of its training."
            )
        sentence = explain_run_errors(self.name, list(self.errors.values()))
        if sentence is not None:
            return CheckpointError(sentence)
        parts = [f"{channels} channels" if channels else "", extent(size) if size else ""]
        requested_input = " and ".join(filter(None, parts))
        if requested_input:
            return CheckpointError(
                f"'{self.name}' does not take images of {requested_input}. Give the size of its "
                "training."
            )
        if self.ended:
            sizes = list(dict.fromkeys(guess[1] for guess in self.tried))
            more = f" and {len(sizes) - 6} more" if len(sizes) > 6 else ""
            return CheckpointError(
                f"'{self.name}' takes none of the sizes that could be tried in "
                f"{SEARCH_SECONDS:g} s ({', '.join(map(extent, sizes[:6]))}{more}). Give the image "
                "size and channels of its training."
            )
        return CheckpointError(
            f"'{self.name}' takes none of the {len(self.tried)} usual image sizes (128, 64, … "
            f"pixels, {extent(USUAL_VOLUMES[0])}, …). Give the image size and channels of its "
            "training."
        )


def _picker(outputs: Any) -> Adapter | None:
    """Return the adapter that takes logits out of a container; None where there is no such one."""
    if isinstance(outputs, Mapping) and isinstance(outputs.get("logits"), Tensor):
        return "logits entry"
    if isinstance(outputs, tuple | list) and len(outputs) == 1 and isinstance(outputs[0], Tensor):
        return "first output"
    return None


class _Shapes:
    """A copy of a network on the meta device, as long as it is of use."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.shadow: nn.Module | None = None
        self.is_useless = False
        self.n_disagreements = 0
        self.are_checked = False

    def check(self, guess: Guess, seconds: float) -> RunError | None:
        """Return the error that follows from shapes alone, if a trial takes many ``seconds``."""
        if self.shadow is None and seconds > COSTLY and not self.is_useless:
            self.shadow = _on_meta(self.network)
            self.is_useless = self.shadow is None
        self.are_checked = self.shadow is not None and not self.is_useless
        if not self.are_checked or self.shadow is None:
            return None
        error, _ = attempt(self.shadow, guess, "meta")
        if _lacks_shadow(error):
            self.is_useless, self.are_checked = True, False
            return None
        return error

    def note_trial(self, error: RunError | None) -> None:
        """Give up the copy if trials often fail where their shapes fit."""
        self.n_disagreements += self.are_checked and error is not None
        if self.n_disagreements == _MOST_DISAGREEMENTS:
            self.is_useless = True


def _finish(
    network: Network,
    adapters: tuple[Adapter, ...],
    guess: Guess,
    seconds: float,
    outputs: Tensor,
) -> NetworkInput:
    """Add the adapters that the output needs."""
    if outputs.ndim != 2:
        adapters, network = (*adapters, "flat rows"), adapt(network, ("flat rows",))
    if outputs.dtype != torch.float32:
        adapters, network = (*adapters, "float32 output"), adapt(network, ("float32 output",))
    return NetworkInput(network, adapters, *guess, seconds)


def takes_size(network: Network, channels: int, size: Shape, seconds: float) -> bool:
    """Tell whether a network takes images of a size, from shapes alone if images are costly.

    Parameters
    ----------
    network : callable
        In eval mode, on the CPU.
    channels : int
        Channels of its input.
    size : tuple of int
        Spatial size to try.
    seconds : float
        Time for one image.
    """
    guess = (channels, size)
    shadow = _on_meta(network) if seconds > COSTLY else None
    error, outputs = attempt(shadow, guess, "meta") if shadow else (None, None)
    if shadow is None or _lacks_shadow(error):
        error, outputs = attempt(network, guess, "cpu")
    return error is None and isinstance(outputs, Tensor) and outputs.shape[:-1] == (2,)


def _on_meta(network: Network) -> nn.Module | None:
    """Return a copy of a network without values; None if there is none."""
    if not isinstance(network, nn.Module):
        return None
    tensors = [*network.parameters(), *network.buffers()]
    if sum(tensor.numel() for tensor in tensors) > MOST_WEIGHTS * 2:
        return None
    try:
        if isinstance(network, torch.jit.ScriptModule):
            file = io.BytesIO()
            torch.jit.save(network, file)
            file.seek(0)
            script: nn.Module = torch.jit.load(file, map_location="meta")
            move_constants(script, "meta")
            return script
        if any(isinstance(part, torch.fx.GraphModule) for part in network.modules()):
            return None  # the guards of an exported program compare devices
        return _MetaModule(network)
    except RUN_ERRORS:
        return None


class _MetaModule(nn.Module):
    """A module that computes shapes alone, with meta tensors in place of its weights."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        weights = {name: tensor.to("meta") for name, tensor in tensors.items()}
        self._call: Callable[[Tensor], Any] = lambda images: torch.func.functional_call(
            network, weights, (images,)
        )

    def forward(self, images: Tensor) -> Any:
        return self._call(images)


def _lacks_shadow(error: RunError | None) -> bool:
    """Return True if PyTorch cannot run some operation without numbers."""
    text = "" if error is None else error.text.lower()
    return "meta" in text or "overrideable not implemented" in text  # the second up to 2.7


def attempt(
    network: Network, guess: Guess, device: str, n_images: int = 2
) -> tuple[RunError | None, Any]:
    """Run a network on noise images; return the error or the output."""
    channels, size = guess
    if device == "meta":
        images = torch.empty((n_images, channels, *size), device="meta")
    else:
        generator = torch.Generator().manual_seed(0)
        images = torch.rand((n_images, channels, *size), generator=generator)
    try:
        with torch.no_grad():
            return None, network(images)
    except RUN_ERRORS as error:
        if is_out_of_memory(error):
            return RunError("size", NO_MEMORY), None
        return read_run_error(error), None


def check_rows(outputs: Any, n: int, name: str) -> bool:
    """Check that an output has one row of class values for each of ``n`` images.

    Returns
    -------
    is_flat : bool
        True if its rows are (n, K, 1, ...) or it is (n,), so that axes have to be changed.

    Raises
    ------
    ReturnsImagesError
        If it holds images.
    CheckpointError
        If it is anything else.
    """
    expected = "a classifier returns one row of class values for each image"
    if not isinstance(outputs, Tensor):
        output = type(outputs).__name__
        if isinstance(outputs, tuple | list | dict):
            output += f" of {len(outputs)} values"
        raise CheckpointError(
            f"'{name}' returns a {output}, but {expected}. Export the logits alone."
        )
    if not outputs.is_floating_point():
        numbers = "complex numbers" if outputs.is_complex() else "whole numbers, such as classes"
        raise CheckpointError(
            f"'{name}' returns {numbers}, but {expected}. Export the logits, without argmax."
        )
    if outputs.ndim >= 3 and min(outputs.shape[2:]) > 1:
        raise ReturnsImagesError(
            f"'{name}' returns images, so it is a generator, not a classifier. Choose a classifier."
        )
    if outputs.ndim >= 1 and outputs.shape[0] == n and outputs.numel():
        if outputs.ndim == 1 or math.prod(outputs.shape[2:]) == 1:
            return outputs.ndim != 2
    raise CheckpointError(
        f"'{name}' returns {tuple(outputs.shape)} for {n} images, but {expected}. Export those."
    )
