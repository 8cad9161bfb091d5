"""Try a network on noise and blank images, to infer what its file does not state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_quac.data.assumptions import Assumption
from napari_quac.data.preprocessing import DEFAULT, Preprocessing, with_values_of
from napari_quac.errors import CheckpointError, is_out_of_memory
from napari_quac.networks.adapters import ADAPTER_NOTES, Adapter, Network, adapt
from napari_quac.networks.fast_inference import RUN_ERRORS
from napari_quac.networks.input_search import (
    COSTLY,
    NetworkInput,
    ReturnsImagesError,
    check_rows,
    find_input,
    takes_size,
)
from napari_quac.networks.outputs import Output
from napari_quac.networks.stability import depends_on_batch

__all__ = ["ReturnsImagesError", "Trial", "try_network"]


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
    adapters : tuple of str
        Wrappers with which it was tried, and which it needs; see
        :func:`~napari_quac.networks.adapters.adapt`.
    assumptions : tuple of Assumption
        About output and evaluation.
    """

    channels: int
    image_size: tuple[int, ...] | None
    n_outputs: int
    output: Output
    has_gradients: bool
    size_was_guessed: bool = False
    notes: tuple[str, ...] = ()
    n_axes: int = 2
    adapters: tuple[Adapter, ...] = ()
    assumptions: tuple[Assumption, ...] = ()


def try_network(
    network: Network,
    name: str,
    shapes: Sequence[tuple[int, ...]] = (),
    channels: int | None = None,
    image_size: tuple[int, ...] | None = None,
    preprocessing: Preprocessing = DEFAULT,
    network_input: NetworkInput | None = None,
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
    network_input : NetworkInput, optional
        Its input, where it is known; else it is searched.

    Raises
    ------
    ReturnsImagesError
        If it returns images.
    CheckpointError
        If no size works, its output is not one row of finite numbers per image, or the answer for
        an image is random or depends on other images.
    """
    with torch.random.fork_rng(devices=()):  # random networks draw numbers
        if network_input is None:
            network_input = find_input(network, name, shapes, channels, image_size)
        return _try_network(network_input, name, image_size is not None, preprocessing)


def _try_network(
    trial_input: NetworkInput, name: str, size_is_certain: bool, preprocessing: Preprocessing
) -> Trial:
    network, adapters = trial_input.network, trial_input.adapters
    inputs, n_noise = _inputs(trial_input, preprocessing)
    assumptions: tuple[Assumption, ...] = ()
    with torch.no_grad():
        outputs = _rows(network(inputs), len(inputs), name)
        if depends_on_batch(network, inputs, outputs, name):
            network, adapters = adapt(network, ("one at a time",)), (*adapters, "one at a time")
            outputs = _rows(network(inputs), len(inputs), name)
            assumptions = (Assumption("evaluation", _BATCH_SENTENCE),)
    is_finite = torch.isfinite(outputs).all(dim=1)
    if not is_finite[:n_noise].all():
        raise CheckpointError(
            f"'{name}' returns NaN or infinity for noise images. Choose an earlier file."
        )
    output, notes, output_assumptions = _guess_output(network, inputs, outputs)
    if not is_finite.all():
        notes += ("It returns NaN or infinity for images of one gray value only.",)
    channels, size = trial_input.channels, trial_input.size
    takes_any_size = not size_is_certain and _takes_other_sizes(network, trial_input)
    noted = [a for a in adapters if not (assumptions and a == "one at a time")]
    return Trial(
        channels,
        None if takes_any_size else size,
        2 if outputs.shape[1] == 1 else int(outputs.shape[1]),
        output,
        _has_gradients(network, inputs[:1]),
        not size_is_certain and not takes_any_size,
        (*notes, *filter(None, (ADAPTER_NOTES[adapter] for adapter in noted))),
        len(size),
        adapters,
        (*assumptions, *output_assumptions),
    )


_BATCH_SENTENCE = (
    "The answer of the network for an image depends on the other images of a batch, as batch "
    "normalization in training mode does. Each image is assumed to stand alone: images are "
    "evaluated one at a time. Call model.eval() before exporting the network to avoid this."
)


def _inputs(trial_input: NetworkInput, preprocessing: Preprocessing) -> tuple[Tensor, int]:
    """Return noise and blank images, and the number of noise images; few of costly ones."""
    generator = torch.Generator().manual_seed(1)
    shape = (trial_input.channels, *trial_input.size)
    is_costly = len(shape) == 4 or trial_input.seconds > COSTLY
    noise = torch.rand((2 if is_costly else 3, *shape), generator=generator)
    blank = torch.ones((1, *shape))
    blanks = [0 * blank, blank] if is_costly else [0 * blank, 0.5 * blank, blank]
    values = with_values_of(Preprocessing(), preprocessing)
    return values.to_network(torch.cat([noise, *blanks])), len(noise)


def _rows(outputs: Tensor, n: int, name: str) -> Tensor:
    """Return the output as (n, K) in float32."""
    check_rows(outputs, n, name)
    return outputs.float()


def _guess_output(
    network: Network, inputs: Tensor, outputs: Tensor
) -> tuple[Output, tuple[str, ...], tuple[Assumption, ...]]:
    """Return the output that fits its values, notes about it, and assumptions."""
    values = outputs[torch.isfinite(outputs).all(dim=1)]
    inside = bool(((values >= -1e-6) & (values <= 1 + 1e-6)).all())
    sums_to_one = bool(((values.sum(dim=1) - 1).abs() < 1e-3).all())
    is_negative = bool((values <= 1e-6).all())
    if inside or is_negative:  # small logits may look like probabilities; large inputs tell
        with torch.no_grad():
            extreme = network(torch.cat([inputs * 100, inputs * -100])).float()
        extreme = extreme[torch.isfinite(extreme).all(dim=1)]
        values = torch.cat([values, extreme])
        inside = bool(((values >= -1e-6) & (values <= 1 + 1e-6)).all())
        sums_to_one = bool(((values.sum(dim=1) - 1).abs() < 1e-3).all())
        is_negative = bool((values <= 1e-6).all())
    if outputs.shape[1] == 1:
        note = "It has one output, interpreted as the second of two classes."
        return ("binary probability" if inside else "binary logit"), (note,), ()
    if inside and sums_to_one:
        return "probabilities", (), ()
    # logits of a network with tiny weights are close to 0 for all images
    if inside and float(values.max()) > 1e-3:
        sentence = (
            "The outputs, between 0 and 1 without a sum of 1, are assumed to be independent "
            "probabilities, one for each class, as of a sigmoid (--output)."
        )
        return "independent probabilities", (), (Assumption("output", sentence),)
    if is_negative and bool(((values.exp().sum(dim=1) - 1).abs() < 1e-3).all()):
        return "log-probabilities", (), ()
    return "logits", (), ()


def _takes_other_sizes(network: Network, trial_input: NetworkInput) -> bool:
    channels, size, seconds = trial_input.channels, trial_input.size, trial_input.seconds
    others = ([max(1, round(length * factor)) for length in size] for factor in (0.75, 1.25))
    return all(takes_size(network, channels, tuple(other), seconds) for other in others)


def _has_gradients(network: Network, image: Tensor) -> bool:
    try:
        with torch.inference_mode(False), torch.enable_grad():
            image = image.clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(network(image).sum(), image)
        return bool(torch.isfinite(gradient).all())
    except RUN_ERRORS as error:
        if is_out_of_memory(error):
            raise
        return False
