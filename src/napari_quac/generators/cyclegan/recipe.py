"""The recipe of a CycleGAN or pix2pix: one network for each pair of source and target."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from napari_quac.errors import CheckpointError
from napari_quac.generators.family import GeneratorFamily
from napari_quac.reading import is_folder, is_regular_file, path_exists

if TYPE_CHECKING:
    import torch

    from napari_quac.generators.cyclegan.generator import CycleGANGenerator
    from napari_quac.networks.checkpoint import Inspection


@dataclass(frozen=True)
class Translation:
    """One network with the class that it takes and the class that it returns.

    Attributes
    ----------
    path : Path
        ``EPOCH_net_G_A.pth``, ``EPOCH_net_G.pth``, or a safetensors file of ours.
    source, target : str
        Names of the classes; empty for those in the file. The files of the authors hold none: A
        and B were two folders when the network was trained.
    """

    path: Path
    source: str = ""
    target: str = ""


@dataclass(frozen=True)
class CycleGANRecipe(GeneratorFamily):
    """The networks of a CycleGAN or pix2pix.

    Attributes
    ----------
    translations : tuple of Translation
        One for each pair of classes.
    """

    id = "cyclegan"
    title = "CycleGAN or pix2pix"
    summary = "One network for each pair of source and target class."
    training = "napari_quac.generators.cyclegan.training_settings:CycleGANTrainingSettings"
    files = ()
    former_fields: ClassVar[Mapping[str, str]] = {"checkpoint": "path"}

    translations: tuple[Translation, ...]

    @property
    def is_complete(self) -> bool:
        """True if source and target of each network are known."""
        return all(entry.source and entry.target for entry in self.translations)

    def paths(self) -> tuple[Path, ...]:
        """Return the files of all networks."""
        return tuple(entry.path for entry in self.translations)

    @classmethod
    def from_file(cls, inspection: Inspection) -> CycleGANRecipe | None:
        """Return the recipe for a network, with that for the way back if it lies beside it.

        Also for the folder of a training, and for a program that returns images.
        """
        from napari_quac.networks.architectures.translation import is_translation

        path = inspection.path
        if inspection.kind == "folder":
            return cls(tuple(_in_folder(path))) if holds_networks(path) else None
        if not (is_translation(inspection.tensors) or inspection.returns_images):
            return None
        source, target = (inspection.metadata.get(key, "") for key in ("source", "target"))
        partner = _partner_of(path)
        back = () if partner is None else (Translation(partner, target, source),)
        return cls((Translation(path, source, target), *back))

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> CycleGANRecipe | None:
        """Return the recipe for ``SOURCE:TARGET=FILE``, or for several files.

        Parameters
        ----------
        texts : sequence of str
            ``SOURCE:TARGET=FILE`` is one network, ``SOURCE:TARGET=FOLDER`` are those of a training
            in which SOURCE was A; see :func:`split_direction`. Files without ``SOURCE:TARGET=``
            have to hold both names.

        Raises
        ------
        CheckpointError
            If a text has another form, a file is missing, or a folder holds no networks.

        Examples
        --------
        >>> CycleGANRecipe.from_texts(["left:right=a.pth"]).is_complete  # doctest: +SKIP
        True
        """
        from napari_quac.generators.cyclegan.generator import stored_direction

        directions = [split_direction(text) for text in texts]
        if len(texts) == 1 and not directions[0][0]:
            return None
        translations: list[Translation] = []
        for source, target, path in directions:
            if is_folder(path):
                translations += _in_folder(path, source, target)
                continue
            if not is_regular_file(path):
                raise CheckpointError(f"'{path}' does not exist. Check the name and the folder.")
            if not source:
                source, target = stored_direction(path)
            translations.append(Translation(path, source, target))
        return cls(tuple(translations))

    def describe_file(self, inspection: Inspection) -> Inspection:
        """Return the inspection with architecture, channels and direction."""
        from napari_quac.networks.architectures.translation import load_translation
        from napari_quac.networks.checkpoint_file import flatten_state

        if inspection.returns_images:
            finding = "It returns images, so it is a generator. Choose its source and target class."
            return replace(inspection, findings=(*inspection.findings, finding))
        if inspection.kind == "folder":
            return inspection
        layout = load_translation(flatten_state(inspection.read_state()), inspection.path.name)[0]
        first, direction = self.translations[0], "without the classes that it translates"
        if first.source:
            direction = f"turns {first.source} into {first.target}"
        name = f"{layout.name}, {'no' if layout.norm == 'none' else layout.norm} norm"
        findings = (f"CycleGAN or pix2pix generator ({name}), {direction}.",)
        parameters, channels = layout.parameters, layout.channels
        return replace(inspection, parameters=parameters, channels=channels, findings=findings)

    def load(self, device: str | torch.device = "auto") -> CycleGANGenerator:
        """Read the files and return the live generator.

        Raises
        ------
        CheckpointError
            If a file is no such network, or two are for the same pair.
        """
        from napari_quac.generators.cyclegan.generator import (
            CycleGANGenerator,
            TranslationFile,
            read_translation,
        )
        from napari_quac.networks.device import resolve_device

        if not self.translations:
            raise CheckpointError("A CycleGAN needs at least one network. Choose its file.")
        files: dict[tuple[str, str], TranslationFile] = {}
        names: dict[tuple[str, str], str] = {}
        nameless: list[str] = []
        for entry in self.translations:
            path = Path(entry.path)
            file = read_translation(path)
            pair = (entry.source or file.source, entry.target or file.target)
            if not all(pair):
                nameless.append(path.name)
                continue
            if pair in files:
                raise CheckpointError(
                    f"'{names[pair]}' and '{path.name}' are both assigned to {pair[0]} → "
                    f"{pair[1]}. Correct source and target of one of them."
                )
            files[pair], names[pair] = file, path.name
        device = resolve_device(device) if isinstance(device, str) else device
        return CycleGANGenerator(files, names, device, tuple(nameless), self.paths()[0].name)


_QUOTED = re.compile(
    r"""\s*(?:"(?P<source>(?:[^"]|"")+)"|(?P<plain_source>[^:="]+?))\s*:
        \s*(?:"(?P<target>(?:[^"]|"")+)"|(?P<plain_target>[^:="]+?))\s*=(?P<path>.+)""",
    re.VERBOSE | re.DOTALL,
)


def split_direction(text: str, class_names: Sequence[str] = ()) -> tuple[str, str, Path]:
    """Split ``SOURCE:TARGET=PATH``; both names are empty for a path alone.

    Parameters
    ----------
    text : str
        Names with a colon or an equals sign stand in double quotes, ``"a:b":"c=d"=PATH``; a
        double quote in a name is doubled. Without quotes, that reading counts whose file exists
        and whose names are classes.
    class_names : sequence of str
        Class names, where they are known.

    Raises
    ------
    CheckpointError
        If it does not name two classes, or can be read in several ways.
    """
    if "=" not in text or path_exists(text):
        return "", "", Path(text)
    match = _QUOTED.fullmatch(text)
    if match and ('"' in text or path_exists(match["path"])):
        names = (
            (match[role] or "").replace('""', '"') or match[f"plain_{role}"].strip()
            for role in ("source", "target")
        )
        return next(names), next(names), Path(match["path"])
    readings = _readings(text, class_names)
    if len(readings) == 1 or (match and not path_exists(readings[0][2])):
        return readings[0]
    if not readings:
        raise CheckpointError(
            f"'{text}' does not name source and target class. Write SOURCE:TARGET=FILE."
        )
    raise CheckpointError(
        f"'{text}' can be read as SOURCE:TARGET=FILE in {len(readings)} ways. Write "
        'names with a colon or an equals sign in double quotes: "SOURCE":"TARGET"=FILE.'
    )


def _readings(text: str, class_names: Sequence[str]) -> list[tuple[str, str, Path]]:
    """Return the likely ways to read names without quotes."""
    readings = [
        (text[:colon].strip(), text[colon + 1 : equals].strip(), Path(text[equals + 1 :]))
        for equals, character in enumerate(text)
        if character == "="
        for colon in range(equals)
        if text[colon] == ":"
    ]
    readings = [reading for reading in readings if reading[0] and reading[1]]
    readings = [reading for reading in readings if path_exists(reading[2])] or readings
    return [r for r in readings if {*r[:2]} <= {*class_names}] or readings


def quote_direction(text: str, class_names: Sequence[str]) -> str:
    """Return ``SOURCE:TARGET=PATH`` with quoted names, so that it has a single reading.

    Parameters
    ----------
    text : str
        Other texts, such as a path, are unchanged.
    class_names : sequence of str
        Known class names.

    Raises
    ------
    CheckpointError
        As :func:`split_direction`.
    """
    source, target, path = split_direction(text, class_names)
    if not source:
        return text
    quoted = [name.replace('"', '""') for name in (source, target)]
    return f'"{quoted[0]}":"{quoted[1]}"={path}'


def holds_networks(directory: Path) -> bool:
    """Tell the folder of a training by the names of the files in it."""
    return any(directory.glob("*_net_G*.pth")) or any(directory.glob("*_to_*.safetensors"))


def _in_folder(directory: Path, source: str = "", target: str = "") -> list[Translation]:
    from napari_quac.generators.cyclegan.generator import network_files, stored_direction

    paths = network_files(directory)
    if not paths:
        raise CheckpointError(
            f"'{directory}' holds no network of a CycleGAN, EPOCH_net_G_A.pth. Choose another one."
        )
    translations = []
    for path in paths:
        direction = stored_direction(path)
        if source and not direction[0]:
            direction = (target, source) if path.stem.endswith("_G_B") else (source, target)
        translations.append(Translation(path, *direction))
    return translations


def _partner_of(path: Path) -> Path | None:
    """Return the network for the way back, ``…_G_B`` for ``…_G_A``, if it lies beside."""
    for ending, other in (("_G_A", "_G_B"), ("_G_B", "_G_A")):
        if path.stem.endswith(ending):
            partner = path.with_name(path.stem.removesuffix(ending) + other + path.suffix)
            return partner if is_regular_file(partner) else None
    return None
