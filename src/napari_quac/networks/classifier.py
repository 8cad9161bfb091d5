"""The classifier under study: logits for attribution, probabilities for everything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from napari_quac.data.assumptions import Assumption
from napari_quac.data.name_match import are_numbered
from napari_quac.data.place import extent, short_extent
from napari_quac.data.preprocessing import DEFAULT, Preprocessing
from napari_quac.errors import NotFiniteError, QuacError, ShapeError, UnknownNameError
from napari_quac.networks.device import in_batches
from napari_quac.networks.fast_inference import fast_version
from napari_quac.networks.network_input import image_shape_for, plural_channels
from napari_quac.networks.outputs import Output, binary_logit, to_logits, to_probabilities
from napari_quac.networks.run_errors import network_errors, read_run_error, short_text
from napari_quac.registry import unknown_name

NetworkForm = Literal["eager", "torchscript", "exported", "callable"]
CPU_BATCH = 8  # measured: batches of 8 are fastest on the CPU, 200 at once is page-fault bound
GPU_BATCH = 64
VOXELS_PER_BATCH = {"cpu": 2**19, "gpu": 2**23}  # volumes: a few tenths of a second, some 2 GB
MOST_PRECISE_WEIGHTS = 10**8  # a copy of more in float64 would take over 0.8 GB
MAX_FAST_SIZES = 4  # each image size has its own fast version, with a copy of the weights


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier.

    Attributes
    ----------
    module : torch module or callable
        Takes preprocessed images (N, C', *S') and returns (N, K); in eval mode, without parameter
        gradients.
    class_names : tuple of str
        One name for each of the K outputs.
    channels : int
        Number of channels of the images. Gray images are repeated in the 3 channels of a network
        for RGB images.
    image_size : tuple of int or None
        Spatial size ``*S`` of the images; None for any.
    preprocessing : Preprocessing
        Steps from images in [0, 1] to the input of ``module``.
    output : str
        The output of ``module``, which is converted to logits.
    form : str
        Form of the network, which determines the computations that are possible.
    device : torch.device
    name, sha256 : str
        File name and hash; empty for a network without a file.
    description : Mapping[str, str]
        Label and text of each line of the card.
    size_was_guessed : bool
        ``image_size`` worked in a trial or follows from the weights, but neither the file nor the
        user confirms it; the first images replace it, if the network takes them.
    n_axes : int or None
        2 for images and 3 for volumes; None if neither size nor trial determines it.
    network_channels : int
    network_size : tuple of int or None
        Channels C' and spatial size ``*S'`` of the input of ``module``; by default those of the
        images.
    assumptions : tuple of Assumption
        Properties that neither the file nor the user states.
    variants : Mapping[str, tuple of str]
        Choices for each part that a state dict does not hold, the published one first.
    """

    module: nn.Module
    class_names: tuple[str, ...]
    channels: int = 1
    image_size: tuple[int, ...] | None = None
    preprocessing: Preprocessing = DEFAULT
    output: Output = "logits"
    form: NetworkForm = "eager"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    name: str = ""
    sha256: str = ""
    description: Mapping[str, str] = field(default_factory=dict)
    size_was_guessed: bool = False
    n_axes: int | None = None
    network_channels: int = 0
    network_size: tuple[int, ...] | None = None
    assumptions: tuple[Assumption, ...] = ()
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _fast: dict[torch.Size, Callable[[Tensor], Tensor]] = field(init=False, repr=False)
    _precise: list[nn.Module] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.image_size is not None:
            object.__setattr__(self, "n_axes", len(self.image_size))
        if not self.network_channels:
            object.__setattr__(self, "network_channels", self.channels)
            object.__setattr__(self, "network_size", self.image_size)
        object.__setattr__(self, "_fast", {})
        object.__setattr__(self, "_precise", [])

    def with_class_names(self, class_names: Sequence[str]) -> Classifier:
        """Return the same network with other class names.

        Parameters
        ----------
        class_names : sequence of str
            One name for each output.

        Raises
        ------
        QuacError
            If their number is not that of the outputs.
        """
        if len(class_names) != self.n_classes:
            raise QuacError(
                f"{self.n_classes} outputs, but {len(class_names)} class names: give one for each."
            )
        description = dict(self.description)
        if "Classes" in description:
            description["Classes"] = ", ".join(class_names)
        return replace(self, class_names=tuple(class_names), description=description)

    def with_preprocessing(self, preprocessing: Preprocessing) -> Classifier:
        """Return the same network with another preprocessing.

        Raises
        ------
        ShapeError
            If its output does not fit the input of the network.
        """
        channels, size = image_shape_for(preprocessing, self.network_channels, self.network_size)
        changed = replace(
            self, preprocessing=preprocessing, channels=channels, image_size=size, n_axes=None
        )
        object.__setattr__(changed, "n_axes", self.n_axes)
        return changed

    @property
    def n_classes(self) -> int:
        """Number of classes, K."""
        return len(self.class_names)

    @property
    def is_independent(self) -> bool:
        """True if each class has a probability of its own, which need not sum to 1."""
        return self.output.startswith("independent")

    @property
    def is_nameless(self) -> bool:
        """True if neither the file nor the user names the classes."""
        return are_numbered(self.class_names)

    def class_index(self, name: str | int) -> int:
        """Return the index of a class, from its name or index.

        Raises
        ------
        UnknownNameError
            If there is no such class.
        """
        if isinstance(name, str) and name in self.class_names:
            return self.class_names.index(name)
        text = str(name).strip()
        if text.isdigit() and int(text) < self.n_classes:
            return int(text)
        error = unknown_name("class", text, list(self.class_names))
        if self.is_nameless:
            raise UnknownNameError(f"{error} Name the classes (--classes), or give a number.")
        raise error

    def check_image(self, shape: Sequence[int], image_name: str = "The image") -> None:
        """Refuse an image of shape ``(C, *S)`` that does not match the input.

        Raises
        ------
        ShapeError
            With both shapes in its text.
        """
        n_channels, size = (shape[0], tuple(shape[1:])) if len(shape) >= 3 else (None, ())
        if self.n_axes is not None and len(size) != self.n_axes and len(shape) in (3, 4):
            raise ShapeError(self._axes_message(shape, image_name))
        wrong_size = self.image_size is not None and size != self.image_size
        if wrong_size and self.size_was_guessed and self.takes_channels(n_channels or 0):
            wrong_size = not self._adopts_size(size)
        if n_channels is not None and self.takes_channels(n_channels) and not wrong_size:
            return
        network_input = plural_channels(self.channels)
        if self.image_size is not None:
            network_input += f" of {extent(self.image_size)}"
        if n_channels is None:
            image = f"shape {tuple(shape)}"
        else:
            image = f"{plural_channels(n_channels)} of {extent(size)}"
        verb = "seems to be trained" if self.size_was_guessed else "was trained"
        advice = self._advice(n_channels, wrong_size)
        raise ShapeError(
            f"{image_name} has {image}, but the {self._title} {verb} for {network_input}. {advice}",
            tuple(shape),
            (self.channels, self.image_size),
        )

    def _advice(self, n_channels: int | None, wrong_size: bool) -> str:
        """Return what to do about an image of another shape."""
        if n_channels is not None and not self.takes_channels(n_channels):
            if self.channels == 1:
                return "Reduce their channels (--rgb-to-gray), or choose another classifier."
            form = {3: "RGB"}.get(self.channels, f"{self.channels} channels")
            return f"Save the images in {form}, or choose another classifier."
        if wrong_size and self.size_was_guessed:
            return "Enter its image size (--image-size), or choose other images."
        return "Resize or crop them for the classifier (--resize, --crop), or choose others."

    def takes_channels(self, n_channels: int) -> bool:
        """Tell whether it accepts images with a number of channels."""
        if self.preprocessing.channels == "luminance":
            return n_channels == 3
        if self.preprocessing.channels == "average":
            return n_channels > 1
        if isinstance(self.preprocessing.channels, int):
            return n_channels > self.preprocessing.channels
        return n_channels == self.channels or (n_channels == 1 and self.channels == 3)

    @property
    def _title(self) -> str:
        return f"classifier {self.name}".strip()

    def _axes_message(self, shape: Sequence[int], image_name: str) -> str:
        volumes = self.n_axes == 3
        image = f"{'an image' if volumes else 'a volume'} of {extent(shape[1:])}"
        size = f" of {extent(self.image_size)}" if self.image_size is not None else ""
        advice = (
            "Choose volumes (Z, Y, X), in npy files or tif stacks"
            if volumes
            else "Choose images, such as one section of each volume"
        )
        return (
            f"{image_name} is {image}, but the {self._title} takes "
            f"{'volumes' if volumes else 'images'}{size}. {advice}, or another classifier."
        )

    def batch_for(self, size: Sequence[int]) -> int:
        """Return the batch size for images of a spatial size."""
        on_cpu = self.device.type == "cpu"
        usual = CPU_BATCH if on_cpu else GPU_BATCH
        if len(size) < 3:
            return usual
        limit = VOXELS_PER_BATCH["cpu" if on_cpu else "gpu"]
        return max(1, min(usual, limit // math.prod(size)))

    def can_be_precise(self) -> bool:
        """Tell whether a copy of the network in float64 is possible and small enough."""
        if self.form != "eager" or self.device.type == "mps":
            return False
        return sum(p.numel() for p in self.module.parameters()) <= MOST_PRECISE_WEIGHTS

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits, differentiably.

        Parameters
        ----------
        images : (N, C, *S) Tensor, float32 in [0, 1], on ``device``
            Images to classify.

        Returns
        -------
        logits : (N, K) Tensor
        """
        return to_logits(self.outputs(self.to_network(images)), self.output)

    def to_network(self, images: Tensor) -> Tensor:
        """Preprocess images (N, C, *S) in [0, 1] for ``module``, differentiably."""
        return self.preprocessing.to_network(self.repeat_gray(images))

    def repeat_gray(self, images: Tensor) -> Tensor:
        """Repeat gray images (N, 1, *S) in the 3 channels of a network for RGB images."""
        is_chosen = self.preprocessing.channels is not None
        if is_chosen or images.shape[1] != 1 or self.network_channels != 3:
            return images
        return images.expand(-1, 3, *(-1,) * (images.ndim - 2))

    def attribution_inputs(self, images: Tensor) -> Tensor:
        """Return images in the space in which their pixels are attributed.

        A preprocessing that only maps black and white to other values keeps the pixels: paths
        then run in the network's own range, where other tools round in the same way. Before any
        other preprocessing, pixels are attributed in the images themselves.

        Parameters
        ----------
        images : (N, C, *S) Tensor in [0, 1]
            Images to attribute.
        """
        return self._outer.to_network(images)

    @property
    def pixel_range(self) -> tuple[float, float]:
        """Values of black and white in :meth:`attribution_inputs`."""
        return self._outer.value_range or (0.0, 1.0)

    @property
    def _outer(self) -> Preprocessing:
        """Steps before :meth:`attribution_inputs`; the other ones belong to the evidence."""
        return self.preprocessing if self.preprocessing.is_range_only else _NO_CHANGE

    def evidence_inputs(self, inputs: Tensor) -> Tensor:
        """Return the input of ``module`` for :meth:`attribution_inputs`, differentiably."""
        inputs = self.repeat_gray(inputs)
        is_done = self.preprocessing.is_range_only
        return inputs if is_done else self.preprocessing.to_network(inputs)

    def class_evidence(self, inputs: Tensor, precise: bool = False) -> Tensor:
        """Return the evidence that attributions distribute over pixels: the logit of each class.

        Parameters
        ----------
        inputs : (N, C, *S) Tensor, on ``device``
            As returned by :meth:`attribution_inputs`.
        precise : bool
            Compute with a copy of the network in float64, for ``inputs`` in float64.

        Returns
        -------
        evidence : (N, K) Tensor

        Notes
        -----
        The logits of a network with one output g are (0, g): that of the first class does not
        depend on the image. Its log-odds -g replace it, so that the class can be the source.
        """
        return self.network_evidence(self.evidence_inputs(inputs), precise)

    def network_evidence(self, inputs: Tensor, precise: bool = False) -> Tensor:
        """Return :meth:`class_evidence` for preprocessed images (N, C', *S')."""
        outputs = self.outputs(inputs, precise)
        if self.output not in ("binary logit", "binary probability"):
            return to_logits(outputs, self.output)
        yes = binary_logit(outputs, self.output)
        return torch.cat([-yes, yes], dim=1)

    def outputs(self, inputs: Tensor, precise: bool = False) -> Tensor:
        """Return the outputs of ``module``, or of its copy in float64."""
        with network_errors(f"The {self._title}"):
            if not precise:
                return self.module(inputs)  # type: ignore[no-any-return]
            if not self._precise:
                self._precise.append(deepcopy(self.module).double())
            return self._precise[0](inputs)  # type: ignore[no-any-return]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Convert logits (N, K) to probabilities, differentiably."""
        return to_probabilities(logits, self.output)

    def predict(self, images: Tensor, batch_size: int | None = None) -> Tensor:
        """Return the class probabilities.

        Parameters
        ----------
        images : (N, C, *S) Tensor, float32 in [0, 1], on any device
            Images to classify.
        batch_size : int, optional
            Images at a time; by default the fastest number for the device. It is halved when
            memory runs out.

        Returns
        -------
        probabilities : (N, K) Tensor, float32 in [0, 1], on the CPU
            Each row sums to 1, except those of independent outputs.

        Raises
        ------
        NetworkError, NotFiniteError
            If the network fails, or returns NaN or infinity.
        """
        if batch_size is None:
            batch_size = self.batch_for(images.shape[2:])
        size = images.shape[2:]
        if size not in self._fast and len(self._fast) < MAX_FAST_SIZES:
            self._fast[size] = fast_version(self.module, self.form, self._probe(size))
        fast = self._fast.get(size, self.module)

        def step(batch: Tensor) -> Tensor:
            with torch.inference_mode():
                inputs = self.to_network(batch.to(self.device))
                return self.probabilities(to_logits(fast(inputs), self.output)).float().cpu()

        with network_errors(f"The {self._title}"):
            try:
                probabilities = in_batches(step, images, batch_size, self._title)
            except RuntimeError as error:
                self._refuse_size(images, error)
                raise
        if not torch.isfinite(probabilities).all():
            raise NotFiniteError(
                f"The {self._title} returned NaN or infinity. Check its preprocessing "
                f"({self.preprocessing.value_words})."
            )
        # outside of inference mode, so that callers can use the probabilities in autograd
        return probabilities.clone()

    def _refuse_size(self, images: Tensor, error: RuntimeError) -> None:
        """Raise an error in words if the network takes no images of this size."""
        run_error = read_run_error(error)
        if run_error.cause == "size":
            raise ShapeError(
                f"The {self._title} cannot run on images of {extent(images.shape[2:])} with its "
                f"preprocessing ({short_text(run_error.text)}). Correct its resize, crop or image "
                "size."
            ) from error

    def _adopts_size(self, size: tuple[int, ...]) -> bool:
        """Replace the guessed size by ``size``, if the network works with it."""
        try:
            with torch.no_grad():
                outputs = self.logits(torch.zeros((2, self.channels, *size), device=self.device))
        except (RuntimeError, ValueError, LookupError, QuacError):
            return False
        if outputs.shape != (2, self.n_classes):
            return False
        # the one change after loading: the first image confirms or corrects a guess
        description = {**self.description, "Image size": short_extent(size)}
        changes = {"image_size": size, "size_was_guessed": False, "n_axes": len(size)}
        changes["network_size"] = size
        assumptions = tuple(entry for entry in self.assumptions if entry.kind != "image size")
        object.__setattr__(self, "assumptions", assumptions)
        for name, entry in {**changes, "description": description}.items():
            object.__setattr__(self, name, entry)
        return True

    def _probe(self, size: torch.Size) -> Tensor:
        """Return images on which the fast version has to agree with the original."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand((3, self.channels, *size), generator=generator)
        return self.to_network(noise).to(self.device)


_NO_CHANGE = Preprocessing()
