"""Mean and standard deviation that a network keeps beside its layers, to normalize its images."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from torch import Tensor

from napari_quac.data.assumptions import Assumption
from napari_quac.networks.checkpoint_content import is_normalization
from napari_quac.networks.checkpoint_facts import MAX_CHANNELS, MAX_UNIT_MEAN

_NUMBER = re.compile(r"\d[\d.eE+-]*")


def read_normalization(
    tensors: Mapping[str, Tensor], file_name: str
) -> tuple[dict[str, str], tuple[Assumption, ...]]:
    """Read the normalization that a module keeps as buffers, such as ``mean`` and ``std``.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The whole state dict.
    file_name : str
        For messages.

    Returns
    -------
    metadata : dict
        ``mean`` and ``std`` as JSON, and ``value_range`` for those of gray values up to 255; empty
        without such a pair.
    assumptions : tuple of Assumption
    """
    names = [name for name in tensors if is_normalization(name)]
    means = [name for name in names if "mean" in name.rpartition(".")[2].lower()]
    for mean in means:
        head, _, last = mean.rpartition(".")
        std = f"{head}.".lstrip(".") + last.replace("mean", "std")
        if std not in names:
            continue
        pair = [tensors[name].double().flatten().tolist() for name in (mean, std)]
        if len(pair[0]) != len(pair[1]) or len(pair[0]) > MAX_CHANNELS or min(pair[1]) <= 0:
            continue
        metadata = {"mean": json.dumps(pair[0]), "std": json.dumps(pair[1])}
        if max(pair[0]) > MAX_UNIT_MEAN:
            metadata["value_range"] = "[0, 255]"
        sentence = (
            f"The network in '{file_name}' is assumed to normalize its images by its tensors "
            f"'{mean}' and '{std}' (--mean, --std, --value-range)."
        )
        return metadata, (Assumption("input range", sentence),)
    return {}, ()


def without_unfit_normalization(
    metadata: dict[str, str], channels: int | None, file_name: str
) -> tuple[dict[str, str], tuple[Assumption, ...]]:
    """Omit means and deviations for another number of channels, and say so.

    Parameters
    ----------
    metadata : dict
        Of the file, with ``mean`` and ``std`` as JSON.
    channels : int or None
        Of the network.
    file_name : str
        For messages.
    """
    n_means = max(len(_NUMBER.findall(metadata.get(key, ""))) for key in ("mean", "std"))
    if channels is None or n_means in (0, 1, channels):
        return metadata, ()
    sentence = (
        f"The {n_means} means and standard deviations in '{file_name}' are not used, because the "
        f"network takes {channels} channel{'s' if channels > 1 else ''} (--mean, --std)."
    )
    kept = {key: text for key, text in metadata.items() if key not in ("mean", "std")}
    return kept, (Assumption("input range", sentence),)
