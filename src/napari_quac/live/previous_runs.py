"""Previous runs of trainings: their folders, settings and evaluations."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from napari_quac.errors import QuacError
from napari_quac.explain.percentage import percentage
from napari_quac.generators import GENERATORS
from napari_quac.generators.trainings import trainable_families
from napari_quac.reading import is_folder, is_regular_file, parse_json, read_json, reading_errors
from napari_quac.train.settings import (
    EVALUATION_FILE,
    RESUME_FILE,
    GeneratorTrainingSettings,
    settings_from_json,
)

if TYPE_CHECKING:
    from napari_quac.train.task import EvaluationSummary


@dataclass(frozen=True)
class RunEvaluation:
    """Evaluation of a trained generator.

    Attributes
    ----------
    conversion_rate : float or None
        Share of converted images, judged by an evaluation classifier; None without one.
    n_images : int
        Images per class pair, at most.
    summary : EvaluationSummary or None
        Measures of the generator family.
    """

    conversion_rate: float | None = None
    n_images: int = 0
    summary: EvaluationSummary | None = None


@dataclass(frozen=True)
class PreviousRun:
    """Folder with a trained generator.

    Attributes
    ----------
    folder : Path
    family : str
        Id of the generator family.
    path : Path
        File to open, or folder for a family of several files.
    settings : GeneratorTrainingSettings
        Settings of the run.
    pair : two str, or None
        Classes of a family that is about two.
    minutes : float
        Time of the training.
    steps : int
    image_size : int
        Network resolution, pixels.
    evaluation : RunEvaluation
    can_resume : bool
        True if the state to resume from is in the folder.
    """

    folder: Path
    family: str
    path: Path
    settings: GeneratorTrainingSettings
    pair: tuple[str, str] | None
    minutes: float
    steps: int
    image_size: int
    evaluation: RunEvaluation
    can_resume: bool

    @property
    def short(self) -> str:
        """Family, evaluation and time in a few words."""
        rate, summary = self.evaluation.conversion_rate, self.evaluation.summary
        words = "not evaluated" if rate is None else f"converts {percentage(rate)}"
        words = words if summary is None else summary.short
        return f"{GENERATORS[self.family].title} · {words} · {self.minutes:.0f} min"

    @property
    def sentence(self) -> str:
        """Evaluation and training in sentences, with the classifier that judged."""
        training = (
            f"Trained for {self.steps} steps in {self.minutes:.1f} min at {self.image_size} px"
        )
        training += f" ({' → '.join(self.pair)})" if self.pair else ""
        if not self.evaluation_sentence:
            return f"{training}; stopped before the evaluation."
        return f"{self.evaluation_sentence} {training}."

    @property
    def evaluation_sentence(self) -> str:
        """Evaluation in sentences, with the classifier that judged; empty without one."""
        evaluation = self.evaluation
        parts = [] if evaluation.summary is None else [evaluation.summary.sentence]
        if evaluation.conversion_rate is not None:
            tries, n_images = self.settings.task().TRIES, evaluation.n_images
            parts.append(
                f"Converts {percentage(evaluation.conversion_rate)} of samples{tries}, judged by "
                f"an evaluation classifier (up to {n_images} samples per class pair)."
            )
        return " ".join(parts)


def previous_runs(root: Path) -> tuple[PreviousRun, ...]:
    """Return the runs in the subfolders of a folder, the newest first.

    Folders whose generator cannot be read are skipped.
    """
    try:
        folders = [folder for folder in root.iterdir() if is_folder(folder)]
    except (OSError, ValueError):  # no folder, or a name that is none
        return ()
    runs = [read_run(folder) for folder in folders]
    return tuple(sorted((run for run in runs if run is not None), key=_time, reverse=True))


def read_run(folder: Path) -> PreviousRun | None:
    """Return the run in a folder; None if there is none that can be read."""
    for family, cls in trainable_families().items():
        for file in sorted(folder.glob(cls.FILES))[:1]:
            with suppress(QuacError), reading_errors(file.name):
                return _read(folder, family, cls, file)
    return None


def next_folder(root: Path) -> Path:
    """Return the first free subfolder of ``001``, ``002`` and so on."""
    numbers = [int(path.name) for path in root.glob("*") if re.fullmatch(r"\d+", path.name)]
    return root / f"{max(numbers, default=0) + 1:03d}"


def read_evaluation(path: Path, cls: type[GeneratorTrainingSettings]) -> RunEvaluation:
    """Return the evaluation in a file; an empty one if it is missing or damaged."""
    with suppress(QuacError), reading_errors(path.name):
        document = read_json(path)
        rate = document.get("conversion_rate")
        n_images = max((int(pair["n_images"]) for pair in document.get("pairs", ())), default=0)
        task = cls.task()
        measures = document.get(task.EVALUATION_KEY)
        summary = None if measures is None else task.summarize(measures)
        return RunEvaluation(None if rate is None else float(rate), n_images, summary)
    return RunEvaluation()


def _read(
    folder: Path, family: str, cls: type[GeneratorTrainingSettings], file: Path
) -> PreviousRun:
    metadata = _metadata(file)
    training = parse_json(metadata["training"])
    if training.get("task", cls.TASK) != cls.TASK:
        raise ValueError(f"'{file}' is of another family")
    settings = settings_from_json(cls, training["settings"])
    size = getattr(settings, "image_size", None) or parse_json(metadata["image_size"])[0]
    return PreviousRun(
        folder,
        family,
        folder if cls.OPENS_FOLDER else file,
        settings,
        _pair(metadata, training) if cls.NEEDS_CLASS_PAIR else None,
        float(training["minutes"]),
        int(training["steps"]),
        int(size),
        read_evaluation(folder / EVALUATION_FILE, cls),
        is_regular_file(folder / RESUME_FILE),
    )


def _time(run: PreviousRun) -> float:
    with suppress(OSError, ValueError):  # another process may remove the files
        return max(file.stat().st_mtime for file in run.folder.glob(run.settings.FILES))
    return 0.0


def _metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, without reading its tensors."""
    with safe_open(path, "numpy") as file:
        return dict(file.metadata() or {})


def _pair(metadata: dict[str, str], training: dict[str, Any]) -> tuple[str, str]:
    """Return the two classes in the order of the training; earlier files store them elsewhere."""
    classes = training.get("classes")
    if not classes and "source" in metadata:
        classes = metadata["source"], metadata["target"]
    first, second = classes or parse_json(metadata["class_names"])
    return str(first), str(second)
