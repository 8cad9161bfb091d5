"""The classifier under study: logits for attribution, probabilities for everything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from napari_quac.data.place import extent, short_extent
from napari_quac.errors import NotFiniteError, QuacError, ShapeError, UnknownNameError
from napari_quac.networks.fast_inference import fast_version
from napari_quac.networks.memory import in_batches
from napari_quac.networks.value_range import ValueRange
from napari_quac.registry import unknown_name

Kind = Literal["eager", "torchscript", "exported", "callable"]
Output = Literal[
    "logits", "probabilities", "log-probabilities", "binary logit", "binary probability"
]

CPU_BATCH = 8  # measured: batches of 8 are fastest on the CPU, 200 at once is page-fault bound
GPU_BATCH = 64
VOXELS_PER_BATCH = {"cpu": 2**19, "gpu": 2**23}  # volumes: a few tenths of a second, some 2 GB
MOST_PRECISE_WEIGHTS = 10**8  # a copy of more in float64 would take over 0.8 GB
MAX_FAST_SIZES = 4  # each image size has its own fast version, with a copy of the weights


@dataclass(eq=False)
class Classifier:
    """A trained classifier, ready to be asked.

    Attributes
    ----------
    module : torch module or callable
        Takes (N, C, *S) in ``value_range`` and returns (N, K); in eval mode, without parameter
        gradients.
    class_names : tuple of str
        One name for each of the K outputs.
    channels : int
        Number of channels of its input.
    image_size : tuple of int or None
        Spatial size ``*S`` that it needs; None if any will do.
    value_range : ValueRange
        What it was trained on.
    output : str
        What ``module`` returns; everything is brought to logits.
    kind : str
        How the network is given, which decides what can be computed with it.
    device : torch.device
    name, sha256 : str
        File name and hash; empty for a network that is not from a file.
    description : Mapping[str, str]
        Label to value, for the card.
    size_was_guessed : bool
        ``image_size`` worked in a trial or follows from the weights, but neither the file nor the
        user says that it is the right one; the first images decide, if the network takes them.
    n_axes : int or None
        2 for images and 3 for volumes; None where neither size nor trial tells.
    """

    module: nn.Module
    class_names: tuple[str, ...]
    channels: int = 1
    image_size: tuple[int, ...] | None = None
    value_range: ValueRange = field(default_factory=ValueRange)
    output: Output = "logits"
    kind: Kind = "eager"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    name: str = ""
    sha256: str = ""
    description: Mapping[str, str] = field(default_factory=dict)
    size_was_guessed: bool = False
    n_axes: int | None = None

    def __post_init__(self) -> None:
        if self.image_size is not None:
            self.n_axes = len(self.image_size)
        self._fast: dict[torch.Size, Callable[[Tensor], Tensor]] = {}
        self._precise: nn.Module | None = None

    @property
    def n_classes(self) -> int:
        """Number of classes, K."""
        return len(self.class_names)

    @property
    def is_nameless(self) -> bool:
        """Whether nobody said what the classes are called."""
        return self.class_names == tuple(f"class {index}" for index in range(self.n_classes))

    def class_index(self, name: str | int) -> int:
        """Return the index of a class that is given by name or index.

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
            raise UnknownNameError(
                f"{error} Name the classes in the order of the outputs (as a command, --classes), "
                "or give the number."
            )
        raise error

    def check_image(self, shape: Sequence[int], what: str = "The image") -> None:
        """Refuse an image of shape ``(C, *S)`` that does not fit.

        Raises
        ------
        ShapeError
            With both shapes in its text.
        """
        wanted = f"{self.channels} channel{'s' if self.channels != 1 else ''}"
        if self.image_size is not None:
            wanted += " of " + extent(self.image_size)
        if self.n_axes is not None and len(shape) - 1 != self.n_axes and len(shape) in (3, 4):
            raise ShapeError(self._about_axes(shape, what))
        wrong_size = self.image_size is not None and tuple(shape[1:]) != self.image_size
        if wrong_size and self.size_was_guessed and shape[0] == self.channels:
            wrong_size = not self._adopts_size(tuple(shape[1:]))
        if len(shape) < 3 or shape[0] != self.channels or wrong_size:
            found = (
                f"{shape[0]} channel{'s' if shape[0] != 1 else ''} of " + extent(shape[1:])
                if len(shape) >= 3
                else f"shape {tuple(shape)}"
            )
            which = f"classifier {self.name}" if self.name else "classifier"
            verb = "seems to be trained" if self.size_was_guessed else "was trained"
            raise ShapeError(
                f"{what} has {found}, but the {which} {verb} for {wanted}. "
                + self._way_out(shape, wrong_size),
                tuple(shape),
                (self.channels, self.image_size),
            )

    def _way_out(self, shape: Sequence[int], wrong_size: bool) -> str:
        """Return what can be done about an image that does not fit."""
        if len(shape) >= 3 and shape[0] != self.channels:
            form = {1: "grey", 3: "RGB"}.get(self.channels, f"{self.channels} channels")
            return f"Save the images in {form}, or choose another classifier."
        if wrong_size and self.size_was_guessed:
            return (
                "If it was trained on images of this size, give its image size (Details of its "
                "card; as a command, --image-size). Otherwise choose other images."
            )
        return "Choose other images, another classifier, or crop the images to that size."

    def _about_axes(self, shape: Sequence[int], what: str) -> str:
        volumes = self.n_axes == 3
        found = f"{'an image' if volumes else 'a volume'} of {extent(shape[1:])}"
        which = f"classifier {self.name}" if self.name else "classifier"
        size = f" of {extent(self.image_size)}" if self.image_size is not None else ""
        way_out = (
            "Choose volumes (Z, Y, X), in npy files or tif stacks"
            if volumes
            else "Choose images, such as one section of each volume"
        )
        return (
            f"{what} is {found}, but the {which} takes {'volumes' if volumes else 'images'}{size}. "
            f"{way_out}, or another classifier."
        )

    def batch_for(self, size: Sequence[int]) -> int:
        """Return how many images of a spatial size are asked about at a time."""
        on_cpu = self.device.type == "cpu"
        usual = CPU_BATCH if on_cpu else GPU_BATCH
        if len(size) < 3:
            return usual
        limit = VOXELS_PER_BATCH["cpu" if on_cpu else "gpu"]
        return max(1, min(usual, limit // math.prod(size)))

    def can_be_precise(self) -> bool:
        """Whether there is a network to copy into float64, and room for it."""
        if self.kind != "eager" or self.device.type == "mps":
            return False
        return sum(p.numel() for p in self.module.parameters()) <= MOST_PRECISE_WEIGHTS

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits, differentiably.

        Parameters
        ----------
        images : (N, C, *S) Tensor, float32 in [0, 1], on ``device``
            What to classify.

        Returns
        -------
        logits : (N, K) Tensor
        """
        return self.network_logits(self.value_range.to_network(images))

    def network_logits(self, inputs: Tensor, precise: bool = False) -> Tensor:
        """Return the logits of inputs in the network's own range, differentiably.

        Parameters
        ----------
        inputs : (N, C, *S) Tensor in ``value_range``, on ``device``
            What to classify.
        precise : bool
            Compute with a copy of the network in float64; ``inputs`` are float64 then.
        """
        return to_logits(self._outputs(inputs, precise), self.output)

    def class_evidence(self, inputs: Tensor, precise: bool = False) -> Tensor:
        """Return what attributions share out among the pixels: the logit of each class.

        Parameters
        ----------
        inputs, precise
            As for :meth:`network_logits`.

        Returns
        -------
        evidence : (N, K) Tensor

        Notes
        -----
        The logits of a network with one output g are (0, g): the first class has none to share
        out, whatever the image. Its log-odds -g stand in for it, so that it can be the source.
        """
        outputs = self._outputs(inputs, precise)
        if self.output not in ("binary logit", "binary probability"):
            return to_logits(outputs, self.output)
        yes = _binary_logit(outputs, self.output)
        return torch.cat([-yes, yes], dim=1)

    def _outputs(self, inputs: Tensor, precise: bool) -> Tensor:
        if not precise:
            return self.module(inputs)  # type: ignore[no-any-return]
        if self._precise is None:
            self._precise = deepcopy(self.module).double()
        return self._precise(inputs)  # type: ignore[no-any-return]

    def predict(self, images: Tensor, batch_size: int | None = None) -> Tensor:
        """Return the class probabilities.

        Parameters
        ----------
        images : (N, C, *S) Tensor, float32 in [0, 1], on any device
            What to classify.
        batch_size : int, optional
            Images at a time; by default what is fastest on the device. It is halved when memory
            runs out.

        Returns
        -------
        probabilities : (N, K) Tensor, float32 in [0, 1], on the CPU

        Raises
        ------
        NotFiniteError
            If the network returns NaN or infinity.
        """
        if batch_size is None:
            batch_size = self.batch_for(images.shape[2:])
        size = images.shape[2:]
        if size not in self._fast and len(self._fast) < MAX_FAST_SIZES:
            self._fast[size] = fast_version(self.module, self.kind, self._probe(size))
        fast = self._fast.get(size, self.module)

        def step(batch: Tensor) -> Tensor:
            with torch.inference_mode():
                inputs = self.value_range.to_network(batch.to(self.device))
                return to_logits(fast(inputs), self.output).softmax(dim=1).float().cpu()

        probabilities = in_batches(step, images, batch_size, f"classifier {self.name}".strip())
        if not torch.isfinite(probabilities).all():
            raise NotFiniteError(
                f"The classifier {self.name} returned NaN or infinity. Check its value range "
                f"(now {self.value_range}) and its weights."
            )
        # leaving inference mode, so that others may use the result in autograd
        return probabilities.clone()

    def _adopts_size(self, size: tuple[int, ...]) -> bool:
        """Take ``size`` in place of the guessed one, if the network works with it."""
        try:
            with torch.no_grad():
                outputs = self.logits(torch.zeros((2, self.channels, *size), device=self.device))
        except (RuntimeError, ValueError, LookupError, QuacError):
            return False
        if outputs.shape != (2, self.n_classes):
            return False
        self.image_size, self.size_was_guessed = size, False
        self.n_axes = len(size)
        self.description = {**self.description, "Image size": short_extent(size)}
        return True

    def _probe(self, size: torch.Size) -> Tensor:
        """Images on which the fast version has to agree with the original."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand((3, self.channels, *size), generator=generator)
        return self.value_range.to_network(noise).to(self.device)


def to_logits(outputs: Tensor, output: Output) -> Tensor:
    """Bring what a network returns to logits (N, K)."""
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise QuacError(
            f"A classifier has to return one row of class values per image, this one returned "
            f"{found}."
        )
    if output == "logits" or output == "log-probabilities":
        return outputs
    if output == "probabilities":
        return outputs.clamp_min(1e-12).log()
    outputs = _binary_logit(outputs, output)
    return torch.cat([torch.zeros_like(outputs), outputs], dim=1)


def _binary_logit(outputs: Tensor, output: Output) -> Tensor:
    """Return the log-odds (N, 1) of the second of two classes."""
    return outputs.clamp(1e-12, 1 - 1e-7).logit() if output == "binary probability" else outputs
