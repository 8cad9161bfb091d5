"""Recipes of classifiers, to be stored, compared and written into a report, and their cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from napari_quac.data.assumptions import Assumption
from napari_quac.data.place import extent
from napari_quac.data.preprocessing import (
    DEFAULT,
    PRESETS,
    Preprocessing,
    combine,
    preprocessing_from_metadata,
)
from napari_quac.errors import (
    CheckpointError,
    NetworkError,
    NotFiniteError,
    OutOfMemoryError,
    QuacError,
)
from napari_quac.networks.adapters import adapt
from napari_quac.networks.checkpoint_facts import class_names_in
from napari_quac.networks.classifier import (
    Classifier,
    NetworkForm,
)
from napari_quac.networks.classifier_card import (
    KIND_NAMES,
    assumptions_about,
    describe,
    input_range_assumption,
)
from napari_quac.networks.classifier_file import (
    OpenedFile,
    open_classifier_file,
    size_from_text,
    whole_number,
)
from napari_quac.networks.device import memory_errors, resolve_device
from napari_quac.networks.facts_beside import choose_class_names
from napari_quac.networks.formats.containers import network_hash, weights_path
from napari_quac.networks.layout_trial import try_layout
from napari_quac.networks.network_input import image_shape_for, plural_channels
from napari_quac.networks.onnx.comparison import describe_comparison
from napari_quac.networks.outputs import Output
from napari_quac.networks.program_trial import probed_input
from napari_quac.networks.programs import move_constants, prepare_for_inference
from napari_quac.networks.trial import Trial, try_network
from napari_quac.networks.variants import choices_text, variants_of
from napari_quac.reading import reading_errors
from napari_quac.registry import unknown_name

OutputChoice = Literal["auto"] | Output
OUTPUTS: tuple[Output, ...] = get_args(Output)


def with_output(trial: Trial, choice: str, in_file: str | None, name: str) -> Trial:
    """Replace the guessed output by the choice, or else by that of the file.

    Raises
    ------
    CheckpointError
        If the network cannot return it.
    """
    output = in_file if choice == "auto" else choice

    if output is None or (choice == "auto" and output not in OUTPUTS):
        return trial
    if output not in OUTPUTS:
        raise CheckpointError(
            f"'{name}' cannot return '{output}'. Choose one of: auto, {', '.join(OUTPUTS)}."
        )
    one_output = trial.output.startswith("binary")
    if one_output != output.startswith("binary"):
        count = "one output" if one_output else f"{trial.n_outputs} outputs"
        fitting = [word for word in OUTPUTS if word.startswith("binary") == one_output]
        raise CheckpointError(
            f"'{name}' has {count}, so they cannot be '{output}'. Choose {' or '.join(fitting)}."
        )
    others = tuple(entry for entry in trial.assumptions if entry.kind != "output")
    return replace(trial, output=output, assumptions=others)


def checked_class_names(names: Sequence[str], n_outputs: int, name: str) -> tuple[str, ...]:
    """Return the class names, or ``class 0``, ``class 1``, ... where there are none.

    Raises
    ------
    CheckpointError
        If there are not as many as outputs, or two are equal.
    """
    names = tuple(names)
    if not names:
        return tuple(f"class {index}" for index in range(n_outputs))
    if len(names) != n_outputs:
        raise CheckpointError(
            f"'{name}' has {n_outputs} outputs, but {len(names)} class names. Give one for each."
        )
    if len(set(names)) < len(names):
        raise CheckpointError(
            f"Two classes of '{name}' have the same name ({', '.join(names)}). Give each its own."
        )
    return names


def names_from_text(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the class names that a file's metadata hold, in JSON or between commas."""
    names = class_names_in(metadata)
    return () if names is None else names.names


def classifier_from_module(
    module: nn.Module | Callable[[Tensor], Tensor],
    class_names: Sequence[str],
    channels: int = 1,
    image_size: int | Sequence[int] | None = None,
    value_range: tuple[float, float] | None = None,
    preprocessing: Preprocessing | str | None = None,
    output: OutputChoice = "auto",
    device: str = "cpu",
    name: str = "classifier",
) -> Classifier:
    """Make a classifier of a torch module, or of any function on tensors, as in a notebook.

    Parameters
    ----------
    module : torch module or callable
        Preprocessed images (N, C, *S) to (N, K) Tensor. A module is put into eval mode and its
        parameters need no gradients any more.
    class_names : sequence of str
        In the order of the outputs.
    channels : int
        Channels of its input.
    image_size : int or sequence of int, optional
        Spatial size of its input; None if any will do.
    value_range : (low, high), optional
        Its input range, -1 to 1 by default; short for a preprocessing of that range.
    preprocessing : Preprocessing or str, optional
        From images in [0, 1] to its input; or the id of a preset.
    output : str
        Its output; ``auto`` guesses it.
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
    chosen = choose_preprocessing(preprocessing, value_range)
    used = chosen or DEFAULT
    shapes = [tuple(p.shape) for p in module.parameters()] if isinstance(module, nn.Module) else []
    network_channels = 3 if used.channels == "repeat" else channels
    fixed = tuple(size) if size is not None else used.fixed_size
    trial = try_network(network, name, shapes, network_channels, fixed, used)
    trial = with_output(trial, output, None, name)
    classifier = Classifier(
        adapt(network, trial.adapters),  # type: ignore[arg-type]  # any callable works
        checked_class_names(tuple(class_names), trial.n_outputs, name),
        *image_shape_for(used, network_channels, trial.image_size),
        used,
        trial.output,
        form,
        name=name,
        n_axes=trial.n_axes,
        network_channels=network_channels,
        network_size=trial.image_size,
        assumptions=(*(() if chosen else (input_range_assumption(),)), *trial.assumptions),
    )
    source = "as given" if chosen else "assumed, as in QuAC"
    description = describe(classifier, KIND_NAMES[form], source, trial.notes, trial)
    return on_device(replace(classifier, description=description), resolve_device(device))


def choose_preprocessing(
    preprocessing: Preprocessing | str | None, value_range: tuple[float, float] | None
) -> Preprocessing | None:
    """Return the preprocessing that is given as a value, as the id of a preset or as a range.

    Raises
    ------
    CheckpointError
        If both are given.
    UnknownNameError
        If there is no such preset.
    """
    if value_range is not None:
        if preprocessing is not None:
            raise CheckpointError(
                "Both 'preprocessing' and 'value_range' are given. Omit one of them."
            )
        return Preprocessing(value_range=(value_range[0], value_range[1]))
    if not isinstance(preprocessing, str):
        return preprocessing
    if preprocessing not in PRESETS:
        raise unknown_name("preprocessing", preprocessing, list(PRESETS))
    return PRESETS[preprocessing]


def on_device(classifier: Classifier, device: torch.device) -> Classifier:
    """Move a classifier, and run it once: its first, slow runs take place here."""
    try:
        if device.type != "cpu" and isinstance(classifier.module, nn.Module):
            classifier.module.to(device)
            move_constants(classifier.module, device)
        classifier = replace(classifier, device=device)
        if classifier.image_size is not None:
            # noise, since a network may be undefined on blank images
            generator = torch.Generator().manual_seed(0)
            shape = (1, classifier.channels, *classifier.image_size)
            classifier.predict(torch.rand(shape, generator=generator))
    except (RuntimeError, NotImplementedError, NetworkError) as error:
        if isinstance(error, OutOfMemoryError | NotFiniteError) or device.type == "cpu":
            raise
        raise NetworkError(f"'{classifier.name}' fails on '{device}'. Choose 'cpu'.") from error
    return classifier


@dataclass(frozen=True)
class ClassifierRecipe:
    """A classifier file, with the properties that the file does not state.

    A property that is None is read from the file if it states it, and found by a trial otherwise.

    Attributes
    ----------
    path : Path
        TorchScript, safetensors, a state dict of a known architecture, or a .pt2 program; or a
        folder of Hugging Face or timm, a bundle of MONAI, or a package of bioimage.io.
    architecture : str, optional
        Name of the architecture of a state dict.
    class_names : tuple of str, optional
        In the order of the outputs; ``class 0``, ``class 1``, ... if unknown.
    preprocessing : Preprocessing, optional
        From images in [0, 1] to the input of the network; -1 to 1 if unknown, as in QuAC.
    image_size : int or tuple of int, optional
        Spatial size of its input in pixels; one number for a square.
    channels : int, optional
        Channels of its input.
    output : str
        Its output; ``auto`` guesses it from values between 0 and 1 that sum to 1.
    pools : tuple of tuple of int, optional
        Pooling factors of each level of a VGG, which its state dict does not hold; those that fit
        its size if unknown.
    variant : Mapping[str, str], optional
        Parts that a state dict does not hold, such as ``{"pooling": "average"}``; those of the
        published architecture if unknown. See :mod:`~napari_quac.networks.variants`.
    """

    path: Path
    architecture: str | None = None
    class_names: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    image_size: int | tuple[int, ...] | None = None
    channels: int | None = None
    output: OutputChoice = "auto"
    pools: tuple[tuple[int, ...], ...] | None = None
    variant: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        # values from JSON or a form are converted to the types above
        object.__setattr__(self, "path", Path(self.path))
        for name in ("class_names", "image_size"):
            if isinstance(getattr(self, name), Sequence):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.pools is not None:
            object.__setattr__(self, "pools", tuple(tuple(factors) for factors in self.pools))
        if self.variant is not None:
            texts = {name: str(choice) for name, choice in self.variant.items()}
            object.__setattr__(self, "variant", texts or None)

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
            If the file holds no classifier, or the properties do not fit it.
        OutOfMemoryError
            If memory runs out while it is tried on an image.
        UnknownNameError
            If there is no such device or architecture.
        """
        with reading_errors(self.path.name, "Copy or export it again.", CheckpointError):
            return self._load(device)

    def _load(self, device: str) -> Classifier:
        target = resolve_device(device)
        size = self.image_size
        size = (size, size) if isinstance(size, int) else size
        opened = open_classifier_file(self.path, self.architecture, size, self.pools, self.variant)
        name = self.path.name
        preprocessing, source = self._preprocessing(opened.metadata)
        size = size or preprocessing.fixed_size
        stated_size = size or size_from_text(opened.metadata.get("image_size"))
        layout = opened.layout
        follows_from_weights = layout is not None and stated_size is None
        follows_from_weights &= layout is None or not layout.size_is_exact
        with memory_errors(name):
            trial = self._try(opened, size, preprocessing)
        file_names, names_assumptions = self._class_names(opened, trial.n_outputs)
        class_names = checked_class_names(file_names, trial.n_outputs, name)
        channels, image_size = image_shape_for(preprocessing, trial.channels, trial.image_size)
        size_was_guessed = trial.size_was_guessed or (
            follows_from_weights and trial.image_size is not None
        )
        classifier = Classifier(
            adapt(opened.module, trial.adapters),  # type: ignore[arg-type]  # modules stay modules
            class_names,
            channels=channels,
            image_size=image_size,
            preprocessing=preprocessing,
            output=trial.output,
            form=opened.form,
            name=name,
            sha256=network_hash(self.path),
            size_was_guessed=size_was_guessed and image_size is not None,
            n_axes=trial.n_axes,
            network_channels=trial.channels,
            network_size=trial.image_size,
        )
        is_automatic = self.output == "auto" and opened.metadata.get("output") not in OUTPUTS
        is_automatic &= all(entry.kind != "output" for entry in trial.assumptions)
        assumptions = (
            *opened.assumptions,
            *trial.assumptions,
            *names_assumptions,
            *assumptions_about(classifier, source, bool(file_names), is_automatic),
        )
        comparison, unchecked = describe_comparison(opened.compare, classifier)
        assumptions += unchecked
        classifier = replace(classifier, assumptions=assumptions)
        kind = layout.name if layout else opened.kind or KIND_NAMES[opened.form]
        kind += f" ({opened.container})" if opened.container else ""
        notes = (*opened.notes, *(layout.notes if layout else ()), *trial.notes)
        description = describe(classifier, kind, source, notes, trial)
        if comparison:
            description["Compared"] = comparison
        variants = variants_of(opened.layout) if opened.layout is not None else {}
        if variants:
            description["Variants"] = choices_text(variants)
            classifier = replace(classifier, variants=variants)
        return on_device(replace(classifier, description=description), target)

    def _class_names(
        self, opened: OpenedFile, n_outputs: int
    ) -> tuple[tuple[str, ...], tuple[Assumption, ...]]:
        if self.class_names:
            return self.class_names, ()
        return choose_class_names(opened.metadata, n_outputs, self.path.name)

    def _try(
        self, opened: OpenedFile, size: tuple[int, ...] | None, preprocessing: Preprocessing
    ) -> Trial:
        channels = opened.channels
        if channels is not None and self.channels not in (None, channels):
            trained = plural_channels(channels)
            raise CheckpointError(
                f"'{self.path.name}' was trained for {trained}, not for {self.channels}. Omit them."
            )
        fixed = opened.image_size if opened.form == "exported" else None
        if fixed and size and fixed != size:
            raise CheckpointError(
                f"'{self.path.name}' takes {extent(fixed)}, not {extent(size)}. Omit the size."
            )
        size = size or opened.image_size or size_from_text(opened.metadata.get("image_size"))
        if opened.layout is not None:
            trial = try_layout(opened.module, opened.layout, self.path.name, size)
            return with_output(trial, self.output, opened.metadata.get("output"), self.path.name)
        network: nn.Module = opened.module
        if opened.form == "torchscript":
            # tried on a copy: TorchScript optimizes for its first inputs
            network = open_classifier_file(self.path).module
        shapes = list(opened.shapes.values())
        channels = self.channels or channels or whole_number(opened.metadata.get("channels"))
        if self.channels is None and preprocessing.channels == "repeat":
            channels = 3
        network_input = None
        if self.image_size is None and opened.form in ("torchscript", "exported"):
            network_input = probed_input(weights_path(self.path), network, channels, size)
        trial = try_network(
            network, self.path.name, shapes, channels, size, preprocessing, network_input
        )
        return with_output(trial, self.output, opened.metadata.get("output"), self.path.name)

    def _preprocessing(self, metadata: Mapping[str, str]) -> tuple[Preprocessing, str]:
        """Return the preprocessing, and where it comes from.

        Channels and size that are given alone leave the values as the file states them.
        """
        given = self.preprocessing
        if given is not None and given.changes_values:
            return given, "as given"
        try:
            stated = preprocessing_from_metadata(metadata)
        except (ValueError, QuacError) as error:
            raise CheckpointError(
                f"'{self.path.name}' states an impossible preprocessing: {error} Give another one."
            ) from error
        source = "assumed, as in QuAC" if stated is None else "from the file"
        stated = DEFAULT if stated is None else stated
        return (stated if given is None else combine(stated, given)), source
