"""CycleGAN and pix2pix as a generator: one network for each pair of source and target."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from napari_quac.errors import NotFiniteError, ShapeError, UnknownNameError
from napari_quac.generators.cyclegan.file import (
    TranslationFile,
)
from napari_quac.networks.device import in_batches
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals
from napari_quac.networks.resizing import resize


class CycleGANGenerator(Generator):
    """A live CycleGAN; see :class:`~napari_quac.networks.generator.Generator`.

    There is no style and nothing random: proposal 0 is all there is.

    Parameters
    ----------
    files : mapping of (source, target) to TranslationFile
        One network for each pair of classes.
    names : mapping of (source, target) to str
        Names of their files.
    device : torch.device, optional
        The CPU by default.
    nameless : tuple of str
        Files of which nobody has said what they turn into what.
    name : str
        Shown to the user.
    """

    def __init__(
        self,
        files: Mapping[tuple[str, str], TranslationFile],
        names: Mapping[tuple[str, str], str],
        device: torch.device | None = None,
        nameless: tuple[str, ...] = (),
        name: str = "CycleGAN",
    ) -> None:
        self.device = device or torch.device("cpu")
        self.files, self.file_names, self.nameless = dict(files), dict(names), nameless
        for file in self.files.values():
            file.module.to(self.device)
        self.name = name
        self.description: Mapping[str, str] = self._described()

    @property
    def pairs(self) -> list[str]:
        """The pairs that there are, such as ``"synapse → cytosol"``."""
        return [f"{source} → {target}" for source, target in self.files]

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return the only proposal there is, number 0.

        Raises
        ------
        UnknownNameError
            If there is no network for this source and target.
        ShapeError
            If the query has other channels, or a size that the network cannot halve.
        NotFiniteError
            If the network returns NaN or infinity.
        """
        file, file_name = self._network_for(request)
        if first > 0 or n < 1:
            return Proposals(request.query.new_empty((0, *request.query.shape)), ())
        _check(tuple(request.query.shape), file, file_name)

        def step(batch: Tensor) -> Tensor:
            with torch.inference_mode():
                return translate(file, batch.to(self.device)).cpu()

        image = in_batches(step, request.query[None], 1, f"generator {file_name}").clone()
        if not torch.isfinite(image).all():
            raise NotFiniteError(
                f"The network '{file_name}' returned NaN or infinity. Check its weights."
            )
        origin = {"generator": self.name, "network": file_name, "proposal": 0}
        return Proposals(image, (origin,))

    def _network_for(self, request: ConversionRequest) -> tuple[TranslationFile, str]:
        names = request.classifier.class_names
        pair = (names[request.source], names[request.target])
        if pair in self.files:
            return self.files[pair], self.file_names[pair]
        there = ", ".join(self.pairs) or "none"
        more = ""
        if self.nameless:
            files = " and ".join(f"'{file}'" for file in self.nameless)
            more = f" Of {files} it is not known what it turns into what: say so."
        raise UnknownNameError(
            f"There is no network that turns {pair[0]} into {pair[1]}. There are: {there}.{more} "
            "Choose another target, or add the network for this pair."
        )

    def _described(self) -> dict[str, str]:
        layouts = {_network_text(file) for file in self.files.values()}
        channels = {file.layout.channels for file in self.files.values()}
        multiples = {file.layout.multiple for file in self.files.values()}
        told = {
            "Kind": "CycleGAN / pix2pix",
            "Translates": ", ".join(self.pairs) or "not known yet",
            "Network": "; ".join(sorted(layouts)),
            "Channels": ", ".join(map(str, sorted(channels))),
            "Image size": f"any multiple of {max(multiples)} px" if multiples else "",
            "Proposals": "one for each query: there is no style and nothing random",
        }
        if any(file.layout.name.startswith("U-Net") for file in self.files.values()):
            told["Dropout"] = "off, though pix2pix keeps it on when it is applied"
        if self.nameless:
            told["Direction missing"] = ", ".join(self.nameless)
        return {key: value for key, value in told.items() if value}


def _network_text(file: TranslationFile) -> str:
    name, norm = file.layout.name, file.layout.norm
    if name == "program":
        return name
    return f"{name}, {'no' if norm == 'none' else norm} norm"


def translate(file: TranslationFile, queries: Tensor) -> Tensor:
    """Return translated images (N, C, S, S) in [0, 1], with the gradient of the network.

    Parameters
    ----------
    file : TranslationFile
        The network.
    queries : (N, C, S, S) Tensor in [0, 1]
        On the network's device.
    """
    inputs = file.value_range.to_network(queries)
    if not file.residual:
        made: Tensor = file.module(inputs)
        return file.value_range.from_network(made).clamp(0, 1)
    small = resize(inputs, file.image_size or inputs.shape[-1])
    # the network predicts the change on our range of 1, from none to the whole of it
    return (queries + resize(file.module(small), queries.shape[-1])).clamp(0, 1)


def _check(shape: tuple[int, ...], file: TranslationFile, name: str) -> None:
    channels, multiple = file.layout.channels, file.layout.multiple
    if len(shape) != 3 or shape[0] != channels:
        raise ShapeError(
            f"The query has shape {shape}, but the network '{name}' was trained on images of "
            f"{channels} channel{'s' if channels != 1 else ''}. Choose other images, or another "
            "network."
        )
    if file.residual and shape[1] != shape[2]:
        raise ShapeError(
            f"The query has {shape[1]} × {shape[2]} pixels; the network '{name}' works on squares. "
            "Crop the images."
        )
    if file.image_size is None and any(size % multiple for size in shape[1:]):
        raise ShapeError(
            f"The query has {shape[1]} × {shape[2]} pixels; the network '{name}' "
            f"({file.layout.name}) needs multiples of {multiple}. Crop or resize the images."
        )
