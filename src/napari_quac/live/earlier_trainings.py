"""Generators that were trained before: where they lie and how good they are."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GENERATOR_FILE = "generator.safetensors"
EVALUATION_FILE = "evaluation.json"
RESUME_FILE = "resume.pt"


@dataclass(frozen=True)
class EarlierTraining:
    """A folder that holds a trained generator.

    Attributes
    ----------
    folder : Path
    minutes : float
        How long it learnt.
    steps : int
    image_size : int
        Pixels at which it works.
    conversion_rate : float or None
        Share of images converted, judged by a second classifier; None if it was not judged.
    n_images : int
        Images per class pair that were judged, at most.
    can_go_on : bool
        Whether the state to resume from is there.
    """

    folder: Path
    minutes: float
    steps: int
    image_size: int
    conversion_rate: float | None
    n_images: int
    can_go_on: bool

    @property
    def path(self) -> Path:
        """The generator's file."""
        return self.folder / GENERATOR_FILE


def earlier_trainings(root: Path) -> tuple[EarlierTraining, ...]:
    """Return the trainings in the subfolders of a folder, the newest first.

    A folder whose generator cannot be read is left out.
    """
    if not root.is_dir():
        return ()
    files = [folder / GENERATOR_FILE for folder in root.iterdir() if folder.is_dir()]
    present = [file for file in files if file.is_file()]
    present.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    found = (read_training(file.parent) for file in present)
    return tuple(training for training in found if training is not None)


def read_training(folder: Path) -> EarlierTraining | None:
    """Return what a folder says about its training; None if it holds none."""
    try:
        training = _metadata(folder / GENERATOR_FILE)
        rate, n_images = _evaluation(folder / EVALUATION_FILE)
        return EarlierTraining(
            folder,
            float(training["minutes"]),
            int(training["steps"]),
            int(training["settings"]["image_size"]),
            rate,
            n_images,
            (folder / RESUME_FILE).is_file(),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def next_folder(root: Path) -> Path:
    """Return the first free subfolder of ``001``, ``002`` and so on."""
    taken = [int(path.name) for path in root.glob("*") if re.fullmatch(r"\d+", path.name)]
    return root / f"{max(taken, default=0) + 1:03d}"


def _metadata(path: Path) -> dict[str, Any]:
    """Return what a safetensors file says of its training, without reading its tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(length, 2**24)))
    training: dict[str, Any] = json.loads(header["__metadata__"]["training"])
    return training


def _evaluation(path: Path) -> tuple[float | None, int]:
    if not path.is_file():
        return None, 0
    document = json.loads(path.read_text())
    n_images = max((int(pair["n_images"]) for pair in document["pairs"]), default=0)
    return float(document["conversion_rate"]), n_images
