"""CycleGAN and pix2pix: the files of a training, and the generator of its networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.errors import CheckpointError, ShapeError, UnknownNameError
from napari_quac.generators.forward import convert_images, require_finite, stored_range
from napari_quac.networks.architectures.stargan_v2_shapes import read_metadata, read_size
from napari_quac.networks.architectures.translation import (
    TranslationLayout,
    is_translation,
    load_translation,
)
from napari_quac.networks.checkpoint_file import flatten_state, read_tensors
from napari_quac.networks.consent import is_program
from napari_quac.networks.device import in_batches
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals
from napari_quac.networks.program_text import program_metadata
from napari_quac.networks.programs import load_program
from napari_quac.networks.value_range import ValueRange

ARCHITECTURE = "cyclegan"
SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
CHANNELS_TRIED = (1, 3, 2, 4)
SIZES_TRIED = ((128, 128), (256, 256), (64, 64))


@dataclass(frozen=True, eq=False)
class TranslationFile:
    """Network of one direction.

    Attributes
    ----------
    module : torch module
        In eval mode, on the CPU.
    layout : TranslationLayout
    source, target : str
        Classes of the file; empty if it names none.
    residual : bool
        The network predicts half the change on a range of [-1, 1], and not the whole image.
    image_size : int or None
        Height and width, pixels, at which it works; None for that of the query.
    value_range : ValueRange
    """

    module: nn.Module
    layout: TranslationLayout
    source: str = ""
    target: str = ""
    residual: bool = False
    image_size: int | None = None
    value_range: ValueRange = field(default_factory=ValueRange)


def read_translation(path: Path) -> TranslationFile:
    """Read one network.

    Parameters
    ----------
    path : Path
        ``EPOCH_net_G_A.pth`` or the like, a safetensors file of ours, or a TorchScript or .pt2
        program that returns images of the shape that it is given, both from -1 to 1.

    Raises
    ------
    CheckpointError
        If it holds something else, or makes images of other channels than it is given.
    """
    if is_program(path):
        return _read_program(path)
    state, metadata = read_tensors(path)
    tensors = flatten_state(state)
    if not is_translation(tensors):
        raise CheckpointError(
            f"'{path.name}' holds no generator of CycleGAN or pix2pix. Choose EPOCH_net_G_A.pth."
        )
    layout, module = load_translation(tensors, path.name)
    if layout.channels != layout.out_channels:
        raise CheckpointError(
            f"'{path.name}' turns images of {layout.channels} channels into ones of "
            f"{layout.out_channels}. Choose a network between images of one kind."
        )
    return TranslationFile(
        module,
        layout,
        metadata.get("source", ""),
        metadata.get("target", ""),
        read_metadata(metadata, "residual") is True,
        read_size(metadata, "network_size"),
        stored_range(metadata),
    )


def _read_program(path: Path) -> TranslationFile:
    """Try a program on noise, until it returns an image of the same shape."""
    module, metadata, problem = load_program(path), program_metadata(path), ""
    size, n_channels = (getattr(module, name, None) for name in ("image_size", "channels"))
    for channels in (n_channels,) if n_channels else CHANNELS_TRIED:
        for shape in (size,) if size else SIZES_TRIED:
            image = torch.rand((1, channels, *shape), generator=torch.Generator().manual_seed(0))
            try:
                with torch.no_grad():
                    output = module(2 * image - 1)
            except (RuntimeError, ValueError, AssertionError) as error:
                problem = problem or str(error).strip().splitlines()[-1]
                continue
            if isinstance(output, Tensor) and output.shape == image.shape:
                layout = TranslationLayout("program", "none", channels, channels, 1, lambda: module)
                return TranslationFile(
                    module, layout, metadata.get("source", ""), metadata.get("target", "")
                )
            content = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            problem = f"it returns {content} for an image of {tuple(image.shape)}"
            if isinstance(output, Tensor) and output.ndim == 2:
                problem += ", so it is a classifier; open it as that"
                break
    raise CheckpointError(
        f"'{path.name}' does not turn images into images of the same shape: {problem}. Choose "
        "another file."
    )


def translation_metadata(
    source: str,
    target: str,
    network_size: int,
    value_range: ValueRange,
    training: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the metadata of a safetensors file."""
    return {
        "architecture": ARCHITECTURE,
        "source": source,
        "target": target,
        "network_size": network_size,
        "range": [value_range.low, value_range.high],
        "residual": True,
        "training": dict(training),
    }


def stored_direction(path: Path) -> tuple[str, str]:
    """Return source and target class in the metadata of a file; two empty texts without."""
    metadata = program_metadata(path) if is_program(path) else read_tensors(path)[1]
    return metadata.get("source", ""), metadata.get("target", "")


def network_files(directory: Path) -> list[Path]:
    """Return the networks in a folder, those of one epoch: ``latest``, else the highest number.

    Parameters
    ----------
    directory : Path
        That of one training, with ``EPOCH_net_G….pth``, or with safetensors files of ours.
    """
    epochs: dict[str, list[Path]] = {}
    for path in sorted(directory.glob("*")):
        epoch, _, rest = path.stem.partition("_net_")
        if path.suffix in SUFFIXES and rest in ("G", "G_A", "G_B"):
            epochs.setdefault(epoch, []).append(path)
    if epochs:
        return epochs[max(epochs, key=lambda epoch: (epoch == "latest", _number(epoch)))]
    paths = sorted(directory.glob("*_to_*.safetensors"))
    return [path for path in paths if all(stored_direction(path))]


def _number(text: str) -> int:
    return int(text) if text.isdigit() else -1


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
        Files whose source and target are unknown.
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
        self.class_names = tuple(dict.fromkeys(name for pair in self.files for name in pair))
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
                queries = batch.to(self.device)
                layout = file.value_range, file.residual, file.image_size
                return convert_images(file.module, queries, *layout).cpu()

        image = in_batches(step, request.query[None], 1, f"generator {file_name}").clone()
        require_finite(f"The network '{file_name}'", image)
        origin = {"generator": self.name, "network": file_name, "proposal": 0}
        return Proposals(image, (origin,))

    def _network_for(self, request: ConversionRequest) -> tuple[TranslationFile, str]:
        names = request.classifier.class_names
        pair = (names[request.source], names[request.target])
        if pair in self.files:
            return self.files[pair], self.file_names[pair]
        hint = ""
        if self.nameless:
            files = " and ".join(f"'{file}'" for file in self.nameless)
            hint = f" The source and target of {files} are unknown: enter them."
        raise UnknownNameError(
            f"There is no network that turns {pair[0]} into {pair[1]}, but for "
            f"{', '.join(self.pairs) or 'none'}.{hint} Choose another target, or add the network."
        )

    def _described(self) -> dict[str, str]:
        layouts = {_network_text(file) for file in self.files.values()}
        channels = {file.layout.channels for file in self.files.values()}
        multiples = {file.layout.multiple for file in self.files.values()}
        facts = {
            "Kind": "CycleGAN / pix2pix",
            "Translates": ", ".join(self.pairs) or "not known yet",
            "Network": "; ".join(sorted(layouts)),
            "Channels": ", ".join(map(str, sorted(channels))),
            "Image size": f"any multiple of {max(multiples)} px" if multiples else "",
            "Proposals": "one for each query: there is no style and nothing random",
        }
        if any(file.layout.name.startswith("U-Net") for file in self.files.values()):
            facts["Dropout"] = "off, though pix2pix keeps it on when it is applied"
        if self.nameless:
            facts["Direction missing"] = ", ".join(self.nameless)
        return {key: fact for key, fact in facts.items() if fact}


def _network_text(file: TranslationFile) -> str:
    name, norm = file.layout.name, file.layout.norm
    if name == "program":
        return name
    return f"{name}, {'no' if norm == 'none' else norm} norm"


def _check(shape: tuple[int, ...], file: TranslationFile, name: str) -> None:
    channels, multiple = file.layout.channels, file.layout.multiple
    if len(shape) != 3 or shape[0] != channels:
        raise ShapeError(
            f"The query has shape {shape}, but the network '{name}' was trained on images of "
            f"{channels} channel(s). Choose other images, or another network."
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
