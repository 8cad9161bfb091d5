"""Generators that were trained before: where they lie, of which kind and how good they are."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_quac.live.training_kinds import KINDS, KindName

EVALUATION_FILE = "evaluation.json"
RESUME_FILE = "resume.pt"


@dataclass(frozen=True)
class Judgement:
    """What is known of how good a generator is.

    Attributes
    ----------
    conversion_rate : float or None
        Share of images converted, judged by a second classifier; None if it was not judged so.
    n_images : int
        Images per class pair that were judged, at most.
    own : str
        The number of the kind itself, in few words; empty where there is none.
    own_in_words : str
        The same in a sentence that says what it is of, and who judged.
    """

    conversion_rate: float | None = None
    n_images: int = 0
    own: str = ""
    own_in_words: str = ""


@dataclass(frozen=True)
class EarlierTraining:
    """A folder that holds a trained generator.

    Attributes
    ----------
    folder : Path
    kind : str
        See :data:`~napari_quac.live.training_kinds.KINDS`.
    path : Path
        What is opened to use it: its file, or the folder of a CycleGAN.
    pair : two str, or None
        The classes, for a kind that is about two.
    minutes : float
        How long it learnt.
    steps : int
    image_size : int
        Pixels at which it works.
    judgement : Judgement
        How good it is.
    can_go_on : bool
        Whether the state to resume from is there.
    """

    folder: Path
    kind: KindName
    path: Path
    pair: tuple[str, str] | None
    minutes: float
    steps: int
    image_size: int
    judgement: Judgement
    can_go_on: bool

    @property
    def conversion_rate(self) -> float | None:
        """Share of images converted, judged by a second classifier."""
        return self.judgement.conversion_rate


def earlier_trainings(root: Path) -> tuple[EarlierTraining, ...]:
    """Return the trainings in the subfolders of a folder, the newest first.

    A folder whose generator cannot be read is left out.
    """
    if not root.is_dir():
        return ()
    found = [read_training(folder) for folder in root.iterdir() if folder.is_dir()]
    present = [training for training in found if training is not None]
    present.sort(key=lambda training: _file_of(training.folder)[1].stat().st_mtime, reverse=True)
    return tuple(present)


def read_training(folder: Path) -> EarlierTraining | None:
    """Return what a folder says about its training; None if it holds none."""
    try:
        kind, file = _file_of(folder)
        metadata = _metadata(file)
        training = json.loads(metadata["training"])
        settings = training["settings"]
        size = settings.get("image_size") or json.loads(metadata["image_size"])[0]
        return EarlierTraining(
            folder,
            kind,
            folder if kind == "cyclegan" else file,
            _pair(kind, metadata, training),
            float(training["minutes"]),
            int(training["steps"]),
            int(size),
            judgement(folder / EVALUATION_FILE),
            (folder / RESUME_FILE).is_file(),
        )
    except (OSError, ValueError, KeyError, TypeError, LookupError):
        return None


def next_folder(root: Path) -> Path:
    """Return the first free subfolder of ``001``, ``002`` and so on."""
    taken = [int(path.name) for path in root.glob("*") if re.fullmatch(r"\d+", path.name)]
    return root / f"{max(taken, default=0) + 1:03d}"


def _file_of(folder: Path) -> tuple[KindName, Path]:
    """Return the kind of a training and one of its files, by the names in its folder."""
    for kind in KINDS.values():
        files = sorted(folder.glob(kind.file))
        if files:
            return kind.name, files[0]
    raise FileNotFoundError(folder)


def _metadata(path: Path) -> dict[str, str]:
    """Return what a safetensors file says about itself, without reading its tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(length, 2**24)))
    metadata: dict[str, str] = header["__metadata__"]
    return metadata


def _pair(
    kind: KindName, metadata: dict[str, str], training: dict[str, Any]
) -> tuple[str, str] | None:
    """Return the two classes, in the order in which they were asked for."""
    if not KINDS[kind].of_pair:
        return None
    if kind == "cyclegan":
        first, second = training.get("classes") or (metadata["source"], metadata["target"])
    else:
        first, second = json.loads(metadata["class_names"])
    return str(first), str(second)


def judgement(path: Path) -> Judgement:
    """Return what an evaluation says; empty if there is none."""
    if not path.is_file():
        return Judgement()
    document: dict[str, Any] = json.loads(path.read_text())
    rate = document.get("conversion_rate")
    n_images = max((int(pair["n_images"]) for pair in document.get("pairs", ())), default=0)
    own, in_words = "", ""
    if "bins" in document:
        bins = document["bins"]
        own = f"Spearman {bins['rank_correlation']:.2f}"
        in_words = (
            f"Spearman's correlation of wanted and achieved probability is "
            f"{bins['rank_correlation']:.2f} in the median of {bins['n_images']} samples kept "
            f"back, and {bins['flipped']:.0%} reach the other class, by your classifier's own word."
        )
    if "warp" in document:
        warp = document["warp"]
        own = f"switches {warp['switched']:.0%}"
        in_words = (
            f"The logit moves the right way in {warp['sign_agreement']:.0%} of {warp['n_images']} "
            f"samples kept back, and {warp['switched']:.0%} are called the other class, by your "
            f"classifier's own word; {warp['folded']:.1%} of the field folds."
        )
    return Judgement(None if rate is None else float(rate), n_images, own, in_words)
