"""Classifiers from torch modules and functions, and their first run on a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from napari_quac.errors import NetworkError, QuacError
from napari_quac.networks.classifier import Classifier, NetworkForm
from napari_quac.networks.classifier_card import (
    KIND_NAMES,
    OutputChoice,
    checked_class_names,
    describe,
    with_output,
)
from napari_quac.networks.device import resolve_device
from napari_quac.networks.programs import prepare_for_inference
from napari_quac.networks.trial import try_network
from napari_quac.networks.value_range import ValueRange


def classifier_from_module(
    module: nn.Module | Callable[[Tensor], Tensor],
    class_names: Sequence[str],
    channels: int = 1,
    image_size: int | Sequence[int] | None = None,
    value_range: tuple[float, float] = (-1.0, 1.0),
    output: OutputChoice = "auto",
    device: str = "cpu",
    name: str = "classifier",
) -> Classifier:
    """Make a classifier of a torch module, or of any function on tensors, as in a notebook.

    Parameters
    ----------
    module : torch module or callable
        (N, C, *S) Tensor in ``value_range`` to (N, K) Tensor. A module is put into eval mode and
        its parameters need no gradients any more.
    class_names : sequence of str
        In the order of the outputs.
    channels : int
        Channels of its input.
    image_size : int or sequence of int, optional
        Spatial size of its input; None if any will do.
    value_range : (low, high)
        What black and white are for it.
    output : str
        What it returns; ``auto`` has it guessed.
    device : str
        Where a module is put to; a function has to know for itself.
    name : str
        For messages and records.

    Raises
    ------
    CheckpointError
        If it does not return one row of finite numbers per image, or the names do not fit.
    """
    form: NetworkForm = "callable"
    network = module
    if isinstance(module, nn.Module):
        form = "torchscript" if isinstance(module, torch.jit.ScriptModule) else "eager"
        network = prepare_for_inference(module.cpu())
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    limits = ValueRange(*value_range)
    shapes = [tuple(p.shape) for p in module.parameters()] if isinstance(module, nn.Module) else []
    fixed = tuple(size) if size is not None else None
    trial = try_network(network, name, shapes, channels, fixed, limits)
    trial = with_output(trial, output, None, name)
    classifier = Classifier(
        network,  # type: ignore[arg-type]  # a callable is all that is asked of it
        checked_class_names(tuple(class_names), trial.n_outputs, name),
        channels,
        trial.image_size,
        limits,
        trial.output,
        form,
        name=name,
        n_axes=trial.n_axes,
    )
    description = describe(classifier, KIND_NAMES[form], "as given", trial.notes, trial)
    return on_device(replace(classifier, description=description), resolve_device(device))


def on_device(classifier: Classifier, device: torch.device) -> Classifier:
    """Move a classifier, and ask it once: its first, slow runs are done here."""
    try:
        if device.type != "cpu" and isinstance(classifier.module, nn.Module):
            classifier.module.to(device)
        classifier = replace(classifier, device=device)
        if classifier.image_size is not None:
            classifier.predict(torch.zeros((1, classifier.channels, *classifier.image_size)))
    except QuacError:
        raise
    except (RuntimeError, NotImplementedError) as error:
        raise NetworkError(
            f"'{classifier.name}' does not run on device '{device}'. Choose 'cpu'."
        ) from error
    return classifier
