"""Weights and facts of a network file, read without running code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_quac.data.assumptions import Assumption
from napari_quac.errors import CheckpointError
from napari_quac.networks.checkpoint_content import (
    TensorGroup,
    choose_order,
    find_groups,
    has_quantized_layers,
)
from napari_quac.networks.checkpoint_facts import class_names_in, collect_facts, metadata_of
from napari_quac.networks.formats.zip_errors import ZIP_ERRORS
from napari_quac.networks.inert_values import InertPickleError, StandIn
from napari_quac.networks.reparametrized import merge_factors
from napari_quac.networks.tensor_file import choose_advice, damaged, detect_format
from napari_quac.networks.tensor_records import TensorRecord, TensorRecordError
from napari_quac.networks.torch_archive import (
    PickledContent,
    read_archive,
    read_old_file,
    read_pickle_file,
)
from napari_quac.reading import reading_errors

State: TypeAlias = "dict[str, Tensor | dict[str, Tensor]]"

NETWORKS_IN_ONE_FILE = ("generator", "mapping_network", "style_encoder", "fan")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The groups of tensors of a file, and the facts beside them.

    Attributes
    ----------
    path : Path
    groups : tuple of TensorGroup
        The likeliest first; their tensors are read by :meth:`read`.
    metadata : Mapping[str, str]
        Facts, such as ``class_names``; lists and numbers as JSON.
    networks : Mapping[str, TensorGroup]
        Groups by the name of their network, in files of several, as of StarGAN v2.
    assumptions : tuple of Assumption
        Facts that were not used.
    content : PickledContent or None
        None for a safetensors file.
    """

    path: Path
    groups: tuple[TensorGroup, ...]
    metadata: Mapping[str, str]
    networks: Mapping[str, TensorGroup] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    content: PickledContent | None = None

    @property
    def is_quantized(self) -> bool:
        """True if layers were quantized, so that they are no tensors."""
        return self.content is not None and has_quantized_layers(self.content.value)

    def read(self, group: TensorGroup) -> dict[str, Tensor]:
        """Read the tensors of a group onto the CPU; factors of weights are multiplied.

        Raises
        ------
        CheckpointError
            If the file does not hold them completely.
        """
        try:
            tensors = {
                name: self.content.tensor(stored)
                if isinstance(stored, TensorRecord) and self.content is not None
                else cast("Tensor", stored)
                for name, stored in group.tensors.items()
            }
            return merge_factors(tensors)
        except (TensorRecordError, RuntimeError, MemoryError, OSError) as error:
            finding = str(error) if isinstance(error, TensorRecordError) else _UNREADABLE
            raise damaged(self.path, finding) from error


_UNREADABLE = "its tensors cannot be read"


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the groups of tensors and the facts of a file, without executing anything.

    Parameters
    ----------
    path : Path
        A safetensors file, one written by ``torch.save``, or a pickle.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, in another format, or holds no weights.
    """
    with reading_errors(path.name, "Copy or export it again.", CheckpointError):
        return _read_groups(path)


def _read_groups(path: Path) -> Checkpoint:
    file_format = detect_format(path)
    if file_format == "safetensors":
        return _read_safetensors(path)
    readers = {
        "torch.save": read_archive,
        "old torch.save": read_old_file,
        "pickle": read_pickle_file,
    }
    if file_format not in readers:
        names = {"torchscript": "a TorchScript program", "onnx": "an ONNX network"}
        raise CheckpointError(
            f"'{path.name}' holds {names.get(file_format, 'a program')}, not a state dict."
        )
    try:
        content = readers[file_format](path)
        facts = collect_facts(content.value, content.tensor)
    except InertPickleError as error:
        raise damaged(path, str(error)) from error
    except (TensorRecordError, *ZIP_ERRORS) as error:
        raise damaged(path, _UNREADABLE) from error
    groups = find_groups(content.value)
    top = content.value if isinstance(content.value, dict) else {}
    networks = {group.name: group for group in groups if group.name in NETWORKS_IN_ONE_FILE
                and group.name in top}  # fmt: skip
    if not groups:
        raise CheckpointError(_no_weights_sentence(path, content.value))
    ordered = tuple(choose_order(groups))
    return Checkpoint(
        path, ordered, metadata_of(facts), networks, _unused_names(path, facts), content
    )


def _unused_names(path: Path, facts: Mapping[str, Any]) -> tuple[Assumption, ...]:
    names = class_names_in(facts)
    if names is None or not names.problem:
        return ()
    return (
        Assumption(
            "class names",
            f"The class names under '{names.key}' in '{path.name}' are not used, because "
            f"{names.problem}. Enter the class names in output order.",
        ),
    )


def quantized_sentence(path: Path) -> str:
    """Return the error about a network whose layers were quantized."""
    return (
        f"'{path.name}' holds a quantized network, which has no gradients. Open the network from "
        "before its quantization, or export that one: napari_quac.export_classifier(model, "
        f"'{path.stem}.pt2', classes=[…], example=…)."
    )


def _no_weights_sentence(path: Path, value: Any) -> str:
    if has_quantized_layers(value):
        return quantized_sentence(path)
    if isinstance(value, TensorRecord):
        return f"'{path.name}' holds one tensor {value.shape}, not a network. {choose_advice()}"
    if isinstance(value, StandIn):
        return (
            f"'{path.name}' holds an object of the class {printable(value.path)} and no weights; "
            "nothing of it was run. Where the network was trained, save its weights with "
            "torch.save(network.state_dict(), …), or export it as TorchScript."
        )
    if not isinstance(value, dict):
        return f"'{path.name}' holds a {type(value).__name__}, not a state dict. {choose_advice()}"
    keys = ", ".join(f"'{printable(str(key))}'" for key in list(value)[:6]) or "nothing"
    return f"'{path.name}' holds no weights, but {keys}. Save the state dict."


def printable(text: str) -> str:
    """Return a text of a file for a message: short, and without control characters."""
    plain = "".join(letter if letter.isprintable() else "�" for letter in text[:80])
    return plain + ("…" if len(text) > 80 else "")


def read_tensors(path: str | Path) -> tuple[State, dict[str, str]]:
    """Read the state dict, or the state dicts, that a file holds.

    Parameters
    ----------
    path : path
        A safetensors file, or one written by ``torch.save`` in the new or the old format.

    Returns
    -------
    state : dict from name to Tensor, or to dict from name to Tensor
        One state dict; or several by the name of their network, as in StarGAN v2 files. On the
        CPU, without wrappers such as ``model_state_dict`` and prefixes such as ``module.``.
    metadata : dict from str to str
        Metadata, such as ``class_names``; lists and numbers as JSON.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, in another format, or holds no weights.
    """
    with reading_errors(Path(path).name, "Copy or export it again.", CheckpointError):
        return _named_tensors(read_checkpoint(Path(path)))


def _named_tensors(checkpoint: Checkpoint) -> tuple[State, dict[str, str]]:
    metadata = dict(checkpoint.metadata)
    networks = {
        name: without_prefixes(checkpoint.read(group))
        for name, group in checkpoint.networks.items()
    }
    if len(networks) > 1 or "from_rgb.weight" in networks.get("generator", {}):
        return cast("State", networks), metadata
    group = checkpoint.groups[0]
    if group.name:
        metadata.setdefault("state dict", group.name)
    return _by_network(checkpoint.read(group)), metadata


def flatten_state(state: State) -> dict[str, Tensor]:
    """Return all tensors of :func:`read_tensors` in one dict, named ``network.tensor``."""
    tensors: dict[str, Tensor] = {}
    for name, content in state.items():
        if isinstance(content, Tensor):
            tensors[name] = content
        else:
            tensors |= {f"{name}.{inner}": tensor for inner, tensor in content.items()}
    return tensors


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            texts = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise damaged(path, "its tensors cannot be read as safetensors") from error
    if not tensors:
        raise CheckpointError(f"'{path.name}' holds no tensors. Export the network again.")
    metadata = {**texts, **metadata_of(texts)}
    group = TensorGroup("", tensors)
    return Checkpoint(path, (group,), metadata, assumptions=_unused_names(path, texts))


def _by_network(tensors: dict[str, Tensor]) -> State:
    """Nest state dicts whose names start with the name of their network."""
    names = {name.split(".")[0] for name in tensors}
    if not names & set(NETWORKS_IN_ONE_FILE):
        return dict(without_prefixes(tensors))
    nested: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        network, _, inner = name.partition(".")
        nested.setdefault(network, {})[inner] = tensor
    return {name: without_prefixes(inner) for name, inner in nested.items()}


def without_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the prefixes of all names from DataParallel, compile and wrappers.

    ``model.`` stays before a number, where it belongs to the names of CycleGAN generators.
    """
    state = dict(tensors)
    if any(name.startswith("module.") for name in state):
        state.pop("n_averaged", None)  # weight averaging counts its updates
    while True:
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in state)), None)
        if not state or prefix is None:
            return state
        shorter = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        firsts = {name.split(".")[0] for name in shorter}
        if prefix == "model." and all(first.isdigit() or first == "model" for first in firsts):
            return state
        state = shorter
