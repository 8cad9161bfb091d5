"""Files of a training: networks, and the state to resume from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from napari_quac.errors import CheckpointError
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
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise CheckpointError(
            f"'{path.name}' is damaged or no state of a training. Delete it to start a new one."
        ) from error
