"""Files of a training: networks, and the state to resume from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from napari_quac.errors import CheckpointError
from napari_quac.networks.tensor_records import TensorRecord
from napari_quac.networks.torch_archive import PickledContent, read_archive
from napari_quac.storage import encode


def encode_safetensors(state: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> bytes:
    """Return a safetensors file with tensors and metadata.

    Parameters
    ----------
    state : mapping of str to Tensor
        The tensors.
    metadata : mapping of str to object
        Metadata of the file: texts, and JSON-ready values.
    """
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    return save(tensors, texts)


def encode_state(state: Mapping[str, Any]) -> bytes:
    """Return a file with tensors, numbers and texts in dictionaries."""
    return encode(lambda file: torch.save(dict(state), file))


def read_state(path: Path) -> dict[str, Any]:
    """Read a file of :func:`encode_state`, without ever running code from it.

    Raises
    ------
    CheckpointError
        If the file is damaged or of another kind.
    """
    try:
        # torch.load, with weights_only, too, can be made to run code up to PyTorch 2.9
        content = read_archive(path)
        return dict(_plain_value(content, content.value, {}))
    except Exception as error:
        raise CheckpointError(
            f"'{path.name}' is damaged or no state of a training. Delete it to start a new one."
        ) from error


def _plain_value(content: PickledContent, value: Any, finished: dict[int, Any]) -> Any:
    """Return dictionaries, sequences, texts and numbers, with the tensors read."""
    if id(value) in finished:  # a short pickle can repeat a long value
        return finished[id(value)]
    if isinstance(value, TensorRecord):
        return content.tensor(value)
    plain: Any
    if isinstance(value, dict):
        plain = {key: _plain_value(content, part, finished) for key, part in value.items()}
    elif isinstance(value, list | tuple):
        plain = type(value)(_plain_value(content, part, finished) for part in value)
    elif value is None or isinstance(value, bool | int | float | str):
        return value
    else:
        raise TypeError("an object of another kind")
    finished[id(value)] = plain
    return plain


class RandomState:
    """Random numbers of a training, which continue after a resume as if it had not stopped.

    Parameters
    ----------
    seed : int
        Seed of the training.
    step : int
        Finished steps.
    before : mapping
        State that the training is resumed from; empty for a new one.

    Attributes
    ----------
    numpy : numpy Generator
        Source of the batches; the networks draw from PyTorch.
    state : dict
        Of both after the last whole step.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        If ``before`` holds other values.
    """

    def __init__(self, seed: int, step: int, before: Mapping[str, Any]) -> None:
        self.numpy = np.random.default_rng([seed, step])
        torch.manual_seed(seed + step)
        if "random_numpy" in before:  # the states of earlier versions have none
            self.numpy.bit_generator.state = json.loads(before["random_numpy"])
            torch.set_rng_state(before["random_torch"])
        self.record()

    def record(self) -> None:
        """Remember the present state."""
        self.state = {
            "random_numpy": json.dumps(self.numpy.bit_generator.state),
            "random_torch": torch.get_rng_state(),
        }
