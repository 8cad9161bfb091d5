"""The choice among the groups of tensors of a checkpoint: the largest that is a classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from napari_quac.data.assumptions import Assumption
from napari_quac.networks.architectures.layout import Layout
from napari_quac.networks.checkpoint_content import (
    TensorGroup,
    candidate_groups,
    is_auxiliary,
    is_normalization,
)
from napari_quac.networks.checkpoint_file import Checkpoint, printable, without_prefixes
from napari_quac.networks.pickled_module import RebuildError, find_rebuildable, record_module
from napari_quac.networks.stated_variant import stated_variant
from napari_quac.networks.stored_normalization import read_normalization

LIBRARIES = ("torchvision.models.", "timm.models.", "monai.networks.nets.", "torch.nn.")
"""Starts of the classes whose forward pass is that of the recognized architecture."""
Recognize: TypeAlias = Callable[[Mapping[str, Tensor]], "Layout | None"]


@dataclass(frozen=True, eq=False)
class ChosenWeights:
    """The weights of a classifier in a checkpoint.

    Attributes
    ----------
    tensors : Mapping[str, Tensor]
        Under the names of the module.
    layout : Layout or None
        The architecture that they fit; None if none is recognized.
    class_path : str
        Class of the module that was pickled; empty for a state dict.
    notes : tuple of str
        Sentences about tensors without use, such as those of a loss.
    assumptions : tuple of Assumption
        Choices between several networks or sets of weights.
    module : torch module or None
        The network itself, without weights, if the file describes all its layers.
    is_quantized : bool
        True if no architecture is recognized because layers were quantized.
    variant : Mapping[str, str]
        Choices of the architecture that the file determines.
    normalization : Mapping[str, str]
        Metadata of the mean and standard deviation that the network keeps beside its layers.
    """

    tensors: Mapping[str, Tensor]
    layout: Layout | None
    class_path: str = ""
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    module: nn.Module | None = None
    is_quantized: bool = False
    variant: Mapping[str, str] = field(default_factory=dict)
    normalization: Mapping[str, str] = field(default_factory=dict)

    @property
    def channels(self) -> int | None:
        """Channels of its input; None if unknown."""
        if self.layout is not None:
            return self.layout.channels
        stems = (tensor for tensor in self.tensors.values() if tensor.ndim >= 4)
        stem = next(stems, None) if self.module is not None else None
        return None if stem is None else int(stem.shape[1])


def choose_weights(checkpoint: Checkpoint, recognize: Recognize) -> ChosenWeights:
    """Choose the largest group of tensors that is a classifier; averaged weights before others.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of a classifier.
    recognize : callable
        Returns the architecture that fits tensors, or None.

    Raises
    ------
    CheckpointError
        If tensors cannot be read.
    """
    for group in checkpoint.groups:
        rebuilt = _rebuilt(checkpoint, group)
        if rebuilt is not None:
            return rebuilt
    unfit: ChosenWeights | None = None
    for candidate, tensors in _candidates(checkpoint):
        layout = recognize(tensors)
        if layout is None or _continues(candidate, layout):
            continue
        fitting = _fitting(layout, tensors)
        if fitting is not None:
            return _chosen(checkpoint, recognize, candidate, tensors, layout, fitting)
        if not candidate.class_path:  # a foreign class only resembles it
            unfit = unfit or ChosenWeights(tensors, layout)
    if unfit is not None:
        return unfit
    first = checkpoint.groups[0]
    tensors = without_prefixes(checkpoint.read(first))
    return ChosenWeights(tensors, None, first.class_path, is_quantized=checkpoint.is_quantized)


def _chosen(
    checkpoint: Checkpoint,
    recognize: Recognize,
    candidate: TensorGroup,
    tensors: Mapping[str, Tensor],
    layout: Layout,
    fitting: dict[str, Tensor],
) -> ChosenWeights:
    """Return a candidate that fits, or its averaged weights, with what is not used."""
    names = [name for name in tensors if not is_auxiliary(name)]
    twins = _twins(checkpoint, {name: tensors[name] for name in names})
    averaged = next((twin for twin in twins if twin.is_averaged), None)
    if averaged is not None and not candidate.is_averaged:
        averaged_tensors = checkpoint.read(averaged)
        averaged_layout = recognize({name: averaged_tensors[name] for name in names})
        if averaged_layout is not None:
            candidate, layout = averaged, averaged_layout
            fitting = _fitting(layout, averaged_tensors) or fitting
    extra = tuple(name for name in tensors if name not in names)
    notes, assumptions = _report(checkpoint, candidate, twins, extra)
    normalization, normalization_assumptions = _normalization(checkpoint, candidate)
    assumptions += normalization_assumptions
    assumptions += _assumed_class(checkpoint, candidate.class_path, layout)
    if layout.tensors is not None:
        layout = replace(layout, tensors=fitting)
    return ChosenWeights(
        fitting,
        layout,
        candidate.class_path,
        notes,
        assumptions,
        variant=_variant_in_file(checkpoint, candidate, layout, fitting),
        normalization=normalization,
    )


def _normalization(
    checkpoint: Checkpoint, candidate: TensorGroup
) -> tuple[dict[str, str], tuple[Assumption, ...]]:
    """Read the normalization that stands in the same group as a candidate."""
    for group in checkpoint.groups:
        if f"{group.name}.{candidate.prefix}".strip(".") == candidate.name.strip("."):
            small = {n: t for n, t in group.tensors.items() if is_normalization(n)}
            if small:
                tensors = checkpoint.read(replace(group, tensors=small))
                return read_normalization(tensors, checkpoint.path.name)
    return {}, ()


def _variant_in_file(
    checkpoint: Checkpoint,
    candidate: TensorGroup,
    layout: Layout,
    tensors: Mapping[str, Tensor],
) -> dict[str, str]:
    if candidate.module is None:
        return {}
    try:
        record = record_module(candidate.module)
    except RebuildError:
        return {}
    whole = next(group for group in checkpoint.groups if group.module is candidate.module)
    return stated_variant(layout, record, checkpoint.read(whole), tensors)


def _rebuilt(checkpoint: Checkpoint, group: TensorGroup) -> ChosenWeights | None:
    """Build a pickled network from the record of its layers; None if it has unknown ones."""
    if group.module is None:
        return None
    try:
        record = record_module(group.module)
    except RebuildError:
        return None
    rebuilt = find_rebuildable(record)
    if rebuilt is None:
        return None
    prefix, module, is_assumed = rebuilt
    whole = checkpoint.read(group)
    tensors = {
        name.removeprefix(prefix): tensor
        for name, tensor in whole.items()
        if name.startswith(prefix)
    }
    beside = {name: tensor for name, tensor in whole.items() if not name.startswith(prefix)}
    expected = module.state_dict()
    fits = {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in expected.items()
    }
    if not fits:
        return None
    assumptions: tuple[Assumption, ...] = ()
    if is_assumed:
        sentence = (
            f"'{checkpoint.path.name}' does not contain the code of the class "
            f"{printable(record.class_name)}; its output is taken to be that of its part "
            f"'{printable(prefix.removesuffix('.'))}'."
        )
        assumptions = (Assumption("architecture", sentence),)
    normalization, more = read_normalization(beside, checkpoint.path.name)
    assumptions += more
    return ChosenWeights(
        tensors, None, group.class_path, (), assumptions, module, normalization=normalization
    )


def _assumed_class(
    checkpoint: Checkpoint, class_path: str, layout: Layout
) -> tuple[Assumption, ...]:
    if not class_path or class_path.startswith(LIBRARIES):
        return ()
    name = printable(class_path.rpartition(".")[2])
    sentence = (
        f"'{checkpoint.path.name}' does not contain the code of the class {name}; its forward pass "
        f"is taken to be that of {layout.name}, whose weights have the same names and shapes."
    )
    return (Assumption("architecture", sentence),)


def _candidates(checkpoint: Checkpoint) -> Iterator[tuple[TensorGroup, dict[str, Tensor]]]:
    for group in checkpoint.groups:
        tensors = checkpoint.read(group)
        if any(0 in tensor.shape for tensor in tensors.values()):
            continue  # no layer has empty weights
        whole = replace(group, tensors=tensors)
        yield whole, _layers(without_prefixes(tensors))
        for candidate in candidate_groups(whole):
            yield candidate, _layers(candidate.tensors)


def _layers(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of layers, without the mean and standard deviation of images."""
    return {name: tensor for name, tensor in tensors.items() if not is_normalization(name)}


def _fitting(layout: Layout, tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Return the tensors that the architecture takes; None if it lacks some, or leaves weights."""
    tensors = tensors if layout.tensors is None else layout.tensors
    if layout.problem:
        return dict(tensors)
    with torch.device("meta"):
        expected = layout.build().state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            if not name.endswith("num_batches_tracked"):
                return None
        elif tensors[name].shape != tensor.shape:
            return None
    if any(name not in expected and not is_auxiliary(name) for name in tensors):
        return None
    return {name: tensor for name, tensor in tensors.items() if name in expected}


def _continues(candidate: TensorGroup, layout: Layout) -> bool:
    """Tell whether other tensors of the file seem to process the outputs of a candidate."""
    others = [name for name in candidate.dropped if not is_auxiliary(name)]
    shapes = candidate.dropped_shapes
    return any(len(shapes[name]) == 2 and shapes[name][1] == layout.n_classes for name in others)


def _twins(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> list[TensorGroup]:
    """Return all groups of the same names and shapes, with those that are used."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    twins: dict[str, TensorGroup] = {}
    for group in checkpoint.groups:
        for candidate in candidate_groups(group):
            other = {name: tuple(tensor.shape) for name, tensor in candidate.tensors.items()}
            if shapes.items() <= other.items():
                twins.setdefault(candidate.name, candidate)
    return list(twins.values())


def _report(
    checkpoint: Checkpoint,
    candidate: TensorGroup,
    twins: Sequence[TensorGroup],
    extra: Sequence[str],
) -> tuple[tuple[str, ...], tuple[Assumption, ...]]:
    file_name, assumptions = checkpoint.path.name, []
    if len(twins) > 1:
        labels = " and ".join(f"'{printable(twin.name)}'" for twin in twins[:4])
        kind = "averaged ones " if candidate.is_averaged else "ones "
        assumptions.append(
            f"'{file_name}' holds {len(twins)} sets of weights for this network ({labels}); the "
            f"{kind}under '{printable(candidate.name)}' are used."
        )
    copies = {f"{twin.name}." for twin in twins}
    unused = [name for name in candidate.dropped if not is_auxiliary(name)]
    group_name = candidate.group_name
    unused = [name for name in unused
              if not any(f"{group_name}{name}".startswith(copy) for copy in copies)]  # fmt: skip
    if unused:
        assumptions.append(
            f"{len(unused)} tensors of '{file_name}' ({_parts(unused)}) are no part of this "
            "classifier and are not used."
        )
    outputs: tuple[Assumption, ...] = ()
    if any(name.rpartition(".")[2] == "queue" for name in candidate.dropped):
        sentence = (
            f"'{file_name}' seems to come from contrastive training (it holds a queue of features),"
            " so that its outputs are features, not classes."
        )
        outputs = (Assumption("output", sentence),)
    auxiliary = [*(name for name in candidate.dropped if is_auxiliary(name)), *extra]
    auxiliary = [name for name in auxiliary if not is_normalization(name)]
    notes = (f"Not used: {_parts(auxiliary)}.",) if auxiliary else ()
    weights = tuple(Assumption("weights", sentence) for sentence in assumptions)
    return notes, weights + outputs


def _parts(names: Sequence[str]) -> str:
    """Return the first few names, without what follows their first dot or two."""
    heads = list(dict.fromkeys(".".join(name.split(".")[:2]) for name in names))
    return ", ".join(f"'{printable(head)}'" for head in heads[:3]) + (", …" if heads[3:] else "")
