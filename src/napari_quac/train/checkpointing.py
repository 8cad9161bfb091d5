"""Files of a training: networks, and the state to resume from."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from napari_quac.errors import CheckpointError, DataError


def write_safetensors(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors and metadata, all at once or not at all.

    Parameters
    ----------
    path : Path
        An existing file is replaced.
    state : mapping of str to Tensor
        The tensors.
    metadata : mapping of str to object
        Metadata of the file: texts, and JSON-ready values.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    try:
        write_bytes(path, save(tensors, texts))
    except SafetensorError as error:
        raise DataError(f"'{path}' cannot be written: {error}") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that it is never incomplete.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    unfinished = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"'{path}' cannot be written ({reason}). Choose another folder, or make room."
        ) from error


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors, numbers and texts in dictionaries, all at once or not at all.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_bytes(path, buffer.getvalue())


def read_state(path: Path) -> dict[str, Any]:
    """Read a file of :func:`write_state`, without ever running code from it.

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
