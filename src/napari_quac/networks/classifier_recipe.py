"""How a classifier is loaded: a value that can be kept, compared and written into a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from napari_quac.data.place import extent
from napari_quac.errors import CheckpointError
from napari_quac.networks.channel_axis import add_channel_axis
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_card import (
    KIND_NAMES,
    OutputChoice,
    checked_class_names,
    describe,
    names_from_text,
    with_output,
)
from napari_quac.networks.classifier_file import (
    OpenedFile,
    numbers_from_text,
    open_classifier_file,
    size_from_text,
)
from napari_quac.networks.device import resolve_device
from napari_quac.networks.file_format import file_hash
from napari_quac.networks.from_module import classifier_from_module, on_device
from napari_quac.networks.trial import Trial, try_network
from napari_quac.networks.value_range import ValueRange

__all__ = ["ClassifierRecipe", "classifier_from_module"]


@dataclass(frozen=True)
class ClassifierRecipe:
    """A classifier file, and what has to be known about it that the file does not say.

    Whatever is None is taken from the file where it says so, and found out otherwise.

    Attributes
    ----------
    path : Path
        TorchScript, safetensors, a state dict of a known architecture, or a .pt2 program.
    architecture : str, optional
        Name of the architecture of a state dict.
    class_names : tuple of str, optional
        In the order of the outputs; ``class 0``, ``class 1``, ... where nobody knows.
    value_range : (low, high), optional
        What black and white are for the network; -1 and 1 where nobody knows, as in QuAC.
    image_size : int or tuple of int, optional
        Spatial size of its input in pixels; one number for a square.
    channels : int, optional
        Channels of its input.
    output : str
        What it returns; ``auto`` has it guessed from values between 0 and 1 that sum to 1.
    pools : tuple of tuple of int, optional
        Pooling factors of each level of a VGG, which its state dict does not hold; those that fit
        its size where nobody knows.
    """

    path: Path
    architecture: str | None = None
    class_names: tuple[str, ...] | None = None
    value_range: tuple[float, float] | None = None
    image_size: int | tuple[int, ...] | None = None
    channels: int | None = None
    output: OutputChoice = "auto"
    pools: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        # what comes from JSON or a form is brought into the types above
        object.__setattr__(self, "path", Path(self.path))
        if self.class_names is not None:
            object.__setattr__(self, "class_names", tuple(self.class_names))
        if self.value_range is not None:
            object.__setattr__(self, "value_range", tuple(self.value_range))
        if self.image_size is not None and not isinstance(self.image_size, int):
            object.__setattr__(self, "image_size", tuple(self.image_size))
        if self.pools is not None:
            object.__setattr__(self, "pools", tuple(tuple(factors) for factors in self.pools))

    def paths(self) -> tuple[Path, ...]:
        """Return the file."""
        return (self.path,)

    def load(self, device: str = "auto") -> Classifier:
        """Load the network, try it on noise and blank images, and return it ready for use.

        Parameters
        ----------
        device : str
            As for :func:`~napari_quac.networks.device.resolve_device`.

        Raises
        ------
        CheckpointError
            If the file holds no classifier, or what was given does not fit it.
        UnknownNameError
            If there is no such device or architecture.
        """
        target = resolve_device(device)
        size = self.image_size
        given_size = (size, size) if isinstance(size, int) else size
        opened = open_classifier_file(self.path, self.architecture, given_size, self.pools)
        name = self.path.name
        value_range, range_source = self._value_range(opened.metadata)
        said_size = given_size or size_from_text(opened.metadata.get("image_size"))
        follows_from_weights = opened.layout is not None and said_size is None
        trial = self._try(opened, given_size, value_range)
        class_names = checked_class_names(
            self.class_names or names_from_text(opened.metadata), trial.n_outputs, name
        )
        classifier = Classifier(
            add_channel_axis(opened.module) if trial.lacks_channel_axis else opened.module,
            class_names,
            channels=trial.channels,
            image_size=trial.image_size,
            value_range=value_range,
            output=trial.output,
            form=opened.form,
            name=name,
            sha256=file_hash(self.path),
            size_was_guessed=trial.size_was_guessed
            or (follows_from_weights and trial.image_size is not None),
            n_axes=trial.n_axes,
        )
        what = opened.layout.name if opened.layout else KIND_NAMES[opened.form]
        notes = (*(opened.layout.notes if opened.layout else ()), *trial.notes)
        description = describe(classifier, what, range_source, notes, trial)
        return on_device(replace(classifier, description=description), target)

    def _try(
        self, opened: OpenedFile, size: tuple[int, ...] | None, value_range: ValueRange
    ) -> Trial:
        known = opened.channels
        if None not in (known, self.channels) and known != self.channels:
            raise CheckpointError(
                f"'{self.path.name}' was trained for {known} channel{'s' if known != 1 else ''}, "
                f"not for {self.channels}. Leave the channels away, or choose another file."
            )
        fixed = opened.image_size if opened.form == "exported" else None
        if fixed and size and fixed != size:
            raise CheckpointError(
                f"'{self.path.name}' was exported for {extent(fixed)}, not for {extent(size)}. "
                "Leave the image size away, or export it again."
            )
        network: nn.Module = opened.module
        if opened.form == "torchscript":
            # tried on a copy: TorchScript optimises for what it sees first
            network = open_classifier_file(self.path).module
        size = size or opened.image_size or size_from_text(opened.metadata.get("image_size"))
        trial = try_network(
            network,
            self.path.name,
            list(opened.shapes.values()),
            self.channels or known or _whole(opened.metadata.get("channels")),
            size,
            value_range,
        )
        return with_output(trial, self.output, opened.metadata.get("output"), self.path.name)

    def _value_range(self, metadata: Mapping[str, str]) -> tuple[ValueRange, str]:
        if self.value_range is not None:
            return ValueRange(*self.value_range), "as given"
        for key in ("value_range", "range"):
            numbers = numbers_from_text(metadata.get(key))
            if len(numbers) == 2 and numbers[1] > numbers[0]:
                return ValueRange(*numbers), "from the file"
        return ValueRange(), "assumed, as in QuAC"


def _whole(text: str | None) -> int | None:
    numbers = numbers_from_text(text)
    return int(numbers[0]) if len(numbers) == 1 else None
