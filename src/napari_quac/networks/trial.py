"""Try a network on noise and blank images, to infer what its file does not state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.data.place import extent
from napari_quac.data.preprocessing import DEFAULT, Preprocessing, with_values_of
from napari_quac.errors import CheckpointError
from napari_quac.networks.classifier import Output
from napari_quac.networks.device import is_out_of_memory
from napari_quac.networks.fast_inference import RUN_ERRORS


class WithoutChannelAxis(nn.Module):
    """A network for volumes (N, 1, D, H, W) around one for (N, D, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, volumes: Tensor) -> Tensor:
        """Return what the network returns for the volumes without their channel axis."""
        logits: Tensor = self.network(volumes.squeeze(1))
        return logits


def add_channel_axis(network: nn.Module) -> nn.Module:
    """Wrap a network that takes no channel axis; a script stays a script."""
    wrapped = WithoutChannelAxis(network).eval()
    if isinstance(network, torch.jit.ScriptModule):
        script: nn.Module = torch.jit.script(wrapped)
        return script
    return wrapped


USUAL_CHANNELS = (1, 3, 4, 2)
USUAL_SIZES = (128, 64, 224, 96, 256, 32, 28, 8, 16, 48, 80, 112, 160, 192, 100, 299, 512)
USUAL_VOLUMES = (
    (16, 160, 160), (80, 80, 80), (64, 64, 64), (32, 32, 32), (32, 128, 128), (16, 128, 128),
    (16, 64, 64), (8, 64, 64), (8, 32, 32),
)  # fmt: skip
_MAX_KERNEL = 11  # larger weights are as large as an image, not a filter

Shape = tuple[int, ...]
Guess = tuple[int, Shape]  # channels and spatial size


def candidates(
    shapes: Sequence[Shape], channels: int | None, image_size: Shape | None
) -> Iterator[Guess]:
    """Guess the input of a network, the likeliest first.

    Parameters
    ----------
    shapes : sequence of shapes
        Of its tensors, in order.
    channels : int or None
        If the file or the user gives them.
    image_size : tuple of int or None
        Spatial size, if the file or the user gives it.

    Yields
    ------
    channels : int
    size : tuple of int
        Spatial size.
    """
    filters = _filters(shapes)
    hints = list(_hints(shapes, filters))
    if image_size is not None:
        hinted = [c for c, size in hints if size == image_size]
        first = [filters[0][1]] if filters else []
        others = [channels] if channels is not None else [*first, *USUAL_CHANNELS]
        guesses = [(c, image_size) for c in [*hinted, *others]]
    else:
        guesses = [*hints, *_usual_inputs(shapes, filters)]
        if channels is not None:
            guesses = [(channels, size) for _, size in guesses]
    yield from dict.fromkeys(guess for guess in guesses if channels in (None, guess[0]))


def _filters(shapes: Sequence[Shape]) -> list[Shape]:
    """Return the weights of convolutions."""
    return [shape for shape in shapes if len(shape) in (4, 5) and max(shape[2:]) <= _MAX_KERNEL]


def _head_positions(shapes: Sequence[Shape], filters: Sequence[Shape]) -> int:
    """Return the number of positions at the first linear layer; 0 if it follows from nothing."""
    heads = [shape for shape in shapes if len(shape) == 2]
    if not heads or not filters or heads[0][1] % filters[-1][0]:
        return 0
    return heads[0][1] // filters[-1][0]


def _usual_inputs(shapes: Sequence[Shape], filters: Sequence[Shape]) -> Iterator[Guess]:
    """Yield usual sizes: with the channels of the first filter, then with all usual ones."""
    squares: list[Shape] = [(size, size) for size in USUAL_SIZES]
    if filters:
        sizes = _volumes_that_fit(shapes, filters) if len(filters[0]) == 5 else squares
        yield from ((filters[0][1], size) for size in sizes)
        # grouped first convolutions have more channels than their weights
        yield from ((c, sizes[0]) for c in USUAL_CHANNELS)
    else:
        yield from ((c, size) for c in USUAL_CHANNELS for size in squares)
        yield from ((c, volume) for c in (1, 3) for volume in reversed(USUAL_VOLUMES))


def _volumes_that_fit(shapes: Sequence[Shape], filters: Sequence[Shape]) -> list[Shape]:
    """Return the usual volumes, first those whose halvings give the positions of the first head.

    The order matters: a trial of a volume takes seconds if only the last layer refuses it.
    """
    sizes: list[Shape] = list(USUAL_VOLUMES)
    positions = _head_positions(shapes, filters)
    if positions:
        side = round(positions ** (1 / 3))
        if side**3 == positions and side > 1:
            sizes += [(side * factor,) * 3 for factor in (16, 8, 4, 2)]
        # the ratio of voxels to positions is a power of 2 if all poolings halve
        sizes.sort(key=lambda size: not math.log2(math.prod(size) / positions).is_integer())
    return list(dict.fromkeys(sizes))


def _hints(shapes: Sequence[Shape], filters: Sequence[Shape]) -> Iterator[Guess]:
    """Yield channels and sizes that follow from the shapes of weights."""
    if not filters:
        yield from _hints_without_filters(shapes)
    elif len(filters[0]) == 4:
        positions = _head_positions(shapes, filters)
        side = math.isqrt(positions)
        if side > 1 and side**2 == positions:
            # 3 to 6 halvings are usual; fewer, or none, are rare
            for factor in (16, 8, 4, 32, 2, 64, 1):
                yield filters[0][1], (side * factor, side * factor)


def _hints_without_filters(shapes: Sequence[Shape]) -> Iterator[Guess]:
    for shape in shapes:  # weights as large as the image: (..., C, H, W)
        if len(shape) >= 3 and min(shape[-2:]) > 1 and shape[-3] <= max(USUAL_CHANNELS):
            yield shape[-3], shape[-2:]
    for shape in shapes:  # a layer over all pixels of all channels
        if len(shape) in (1, 2):
            for length in sorted(set(shape), reverse=True):
                yield from _square_images(length)
        if len(shape) == 2 and shape[0] == shape[1]:
            yield 1, shape


def _square_images(n_values: int) -> Iterator[Guess]:
    """Yield the square images of more than 3 pixels a side that have so many values."""
    for channels in USUAL_CHANNELS:
        side = math.isqrt(n_values // channels)
        if side > 3 and side**2 * channels == n_values:
            yield channels, (side, side)


Network = Callable[[Tensor], Any]


class ReturnsImagesError(CheckpointError):
    """Images in the output of a network: it is a generator, not a classifier."""


@dataclass(frozen=True)
class Trial:
    """The inputs and outputs of a network, found by a trial.

    Attributes
    ----------
    channels : int
    image_size : tuple of int or None
        None if it takes any size.
    n_outputs : int
    output : str
        Its output, as in :class:`~napari_quac.networks.classifier.Classifier`.
    has_gradients : bool
        True if gradients reach its input.
    size_was_guessed : bool
        True if ``image_size`` is one of several that may work.
    notes : tuple of str
        Assumptions and oddities, in sentences.
    n_axes : int
        2 for images, 3 for volumes.
    lacks_channel_axis : bool
        True if it takes volumes (N, D, H, W); the trial used a wrapper with a channel axis.
    """

    channels: int
    image_size: tuple[int, ...] | None
    n_outputs: int
    output: Output
    has_gradients: bool
    size_was_guessed: bool = False
    notes: tuple[str, ...] = ()
    n_axes: int = 2
    lacks_channel_axis: bool = False


def try_network(
    network: Network,
    name: str,
    shapes: Sequence[tuple[int, ...]] = (),
    channels: int | None = None,
    image_size: tuple[int, ...] | None = None,
    preprocessing: Preprocessing = DEFAULT,
) -> Trial:
    """Find out the inputs and outputs of a classifier.

    Parameters
    ----------
    network : callable
        In eval mode, on the CPU.
    name : str
        File name, for messages.
    shapes : sequence of shapes
        Of its tensors, in order; they determine the first guesses.
    channels : int, optional
        Channels of its input, if they are certain.
    image_size : tuple of int, optional
        Spatial size of its input, if it is certain.
    preprocessing : Preprocessing
        Its change of values is applied to the trial images.

    Raises
    ------
    ReturnsImagesError
        If it returns images.
    CheckpointError
        If no size works, or its output is not one row of finite numbers per image.
    """
    network, lacks_channel_axis, channels, size = _find_network(
        network, name, shapes, channels, image_size
    )
    inputs = _inputs(channels, size, preprocessing)
    with torch.no_grad():
        outputs = _rows(network(inputs), len(inputs), name)
    if not torch.isfinite(outputs).all():
        raise CheckpointError(
            f"'{name}' returns NaN or infinity for noise and blank images. Choose an earlier file."
        )
    output, notes = _guess_output(network, inputs, outputs)
    takes_any_size = image_size is None and _takes_other_sizes(network, channels, size)
    gradients = _has_gradients(network, inputs[:1])
    n_outputs = 2 if outputs.shape[1] == 1 else int(outputs.shape[1])
    guessed = image_size is None and not takes_any_size
    if lacks_channel_axis:
        notes += ("It takes volumes without a channel axis; the axis is removed automatically.",)
    fixed, n_axes = None if takes_any_size else size, len(size)
    return Trial(
        channels, fixed, n_outputs, output, gradients, guessed, notes, n_axes, lacks_channel_axis
    )


def _find_network(
    network: Network, name: str, shapes: Sequence[Shape], channels: int | None, size: Shape | None
) -> tuple[Network, bool, int, Shape]:
    """Find the input of a network, also of one for volumes without a channel axis."""
    try:
        return network, False, *_find_input(network, name, shapes, channels, size)
    except ReturnsImagesError:
        raise
    except CheckpointError:
        volumes = any(len(shape) == 5 and shape[1] == 1 for shape in shapes)
        if not volumes or channels not in (None, 1) or not isinstance(network, nn.Module):
            raise
        wrapped = add_channel_axis(network)
        try:
            return wrapped, True, *_find_input(wrapped, name, shapes, 1, size)
        except CheckpointError:
            pass
        raise


def _find_input(
    network: Network, name: str, shapes: Sequence[Shape], channels: int | None, size: Shape | None
) -> Guess:
    wrong_output: CheckpointError | None = None
    n_trials = 0
    for guess in candidates(shapes, channels, size):
        n_trials += 1
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand((2, guess[0], *guess[1]), generator=generator)
        try:
            with torch.no_grad():
                outputs = network(noise)
        except RUN_ERRORS as error:
            if is_out_of_memory(error):
                break
            continue
        try:
            _rows(outputs, 2, name)
        except CheckpointError as error:
            wrong_output = wrong_output or error
            # more or fewer rows than images come from a reshape, which works with another size
            if not isinstance(outputs, Tensor) or outputs.ndim != 2:
                break
            continue
        return guess
    if wrong_output is not None:
        raise wrong_output
    parts = [f"{channels} channels" if channels else "", extent(size) if size else ""]
    requested_input = " and ".join(filter(None, parts))
    if requested_input:
        raise CheckpointError(
            f"'{name}' does not take images of {requested_input}. Give the size of its training."
        )
    raise CheckpointError(
        f"'{name}' takes none of the {n_trials} usual image sizes (128, 64, … pixels, "
        f"{extent(USUAL_VOLUMES[0])}, …). Give the image size and channels of its training."
    )


def _inputs(channels: int, size: tuple[int, ...], preprocessing: Preprocessing) -> Tensor:
    """Return noise and blank images; of volumes, which take seconds each, only a few."""
    generator = torch.Generator().manual_seed(1)
    volumes = len(size) == 3
    noise = torch.rand((1 if volumes else 3, channels, *size), generator=generator)
    blank = torch.ones((1, channels, *size))
    blanks = [0 * blank, blank] if volumes else [0 * blank, 0.5 * blank, blank]
    values = with_values_of(Preprocessing(), preprocessing)
    return values.to_network(torch.cat([noise, *blanks]))


def _rows(outputs: Any, n: int, name: str) -> Tensor:
    """Check that ``outputs`` is (n, K)."""
    expected = "a classifier returns one row of class values for each image"
    if not isinstance(outputs, Tensor):
        output = type(outputs).__name__
        if isinstance(outputs, tuple | list | dict):
            output += f" of {len(outputs)} values"
        raise CheckpointError(
            f"'{name}' returns a {output}, but {expected}. Export the logits alone."
        )
    if outputs.ndim >= 3 and min(outputs.shape[2:]) > 1:
        raise ReturnsImagesError(
            f"'{name}' returns images, so it is a generator, not a classifier. Choose a classifier."
        )
    if outputs.ndim != 2 or outputs.shape[0] != n or outputs.shape[1] == 0:
        raise CheckpointError(
            f"'{name}' returns {tuple(outputs.shape)} for {n} images, but {expected}. Export those."
        )
    return outputs.float()


def _guess_output(
    network: Network, inputs: Tensor, outputs: Tensor
) -> tuple[Output, tuple[str, ...]]:
    with torch.no_grad():
        extreme = network(inputs[:1] * 100 if inputs.ndim == 5 else inputs * 100).float()
    values = torch.cat([outputs, extreme])
    values = values[torch.isfinite(values).all(dim=1)]
    inside = bool(((values >= -1e-6) & (values <= 1 + 1e-6)).all())
    if outputs.shape[1] == 1:
        note = "It has one output, interpreted as the second of two classes."
        return ("binary probability" if inside else "binary logit"), (note,)
    if inside and bool(((values.sum(dim=1) - 1).abs() < 1e-3).all()):
        return "probabilities", ()
    if inside:
        note = "Outputs between 0 and 1 that do not sum to 1 are interpreted as logits."
        return "logits", (note,)
    if bool((values <= 1e-6).all()) and bool(((values.exp().sum(dim=1) - 1).abs() < 1e-3).all()):
        return "log-probabilities", ()
    return "logits", ()


def _takes_other_sizes(network: Network, channels: int, size: tuple[int, ...]) -> bool:
    try:
        with torch.no_grad():
            for factor in (0.75, 1.25):
                other = [max(1, round(length * factor)) for length in size]
                outputs = network(torch.rand((2, channels, *other)))
                if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != 2:
                    return False
    except RUN_ERRORS:
        return False
    return True


def _has_gradients(network: Network, image: Tensor) -> bool:
    try:
        with torch.inference_mode(False), torch.enable_grad():
            image = image.clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(network(image).sum(), image)
        return bool(torch.isfinite(gradient).all())
    except RUN_ERRORS:
        return False
