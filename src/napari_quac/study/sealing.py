"""From a draft to a sealed study: trials are drawn, images copied, the key leaves the folder."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.registry import unknown_name
from napari_quac.stepwise import Progress, stepwise
from napari_quac.study.folder import RATERS, Seal, Study, TrialSlot, create_study
from napari_quac.study.image_differences import measure_differences
from napari_quac.study.images import (
    check_shapes,
    common_limits,
    dither_width,
    images_digest,
    quantize,
    start_images,
    write_images,
)
from napari_quac.study.key import (
    QUERY,
    Key,
    Trial,
    check_key_path,
    default_key_path,
    write_key,
)
from napari_quac.study.protocol import ORIGIN_CHOICES, TESTS, Protocol, Sampling
from napari_quac.study.sources import Candidate, open_source
from napari_quac.study.states import require_state, timestamp
from napari_quac.study.trials import TrialPlan, plan_trials

Images = dict[tuple[int, str], NDArray[np.float32]]


@dataclass(frozen=True)
class SealedStudy:
    """A study after sealing.

    Attributes
    ----------
    study : Study
    key_path : Path
    notes : tuple of str
        Strata with too few candidates, and class names in texts that raters read.
    """

    study: Study
    key_path: Path
    notes: tuple[str, ...]


def draft_study(folder: str | Path, protocol: Protocol, sampling: Sampling) -> Study:
    """Write the draft of a study; answers of ``classify`` and tests that are not set follow.

    Parameters
    ----------
    folder : path
        New, or with an earlier draft.
    protocol : Protocol
        ``paired`` is set by the source for tagging.
    sampling : Sampling
        Source and selection.

    Raises
    ------
    DataError
        If the plan is impossible or the source cannot be read.
    """
    source = open_source(sampling)
    for name in (name for pair in sampling.class_pairs for name in pair):
        if name not in source.classes:
            raise unknown_name("class", name, list(source.classes))
    sources = sorted({candidate.source for candidate in source.candidates})
    if protocol.kind == "measure" and len(sources) != 2:
        raise DataError(
            f"Measurements compare two classes; these images have {len(sources)} "
            f"({', '.join(sources)}). Choose two of them (--pair)."
        )
    paired = source.paired and protocol.kind in ("tag", "compare")
    if sampling.origin and not (source.paired and protocol.kind == "classify"):
        raise DataError("The question for the origin needs explanations and the kind 'classify'.")
    choices = protocol.choices
    if protocol.kind == "classify" and not choices:
        choices = ORIGIN_CHOICES if sampling.origin else source.classes
    tests = protocol.tests or TESTS[protocol.kind]
    return create_study(
        folder, replace(protocol, paired=paired, choices=choices, tests=tests), sampling
    )


def seal_study(study: Study, who: str, key_path: Path | None = None) -> SealedStudy:
    """Seal a study at once; see :func:`seal_steps`."""
    return seal_steps(study, who, key_path).result()


@stepwise
def seal_steps(
    study: Study, who: str, key_path: Path | None = None
) -> Generator[Progress, None, SealedStudy]:
    """Draw the trials, copy the images, write the key, and seal the study.

    A study whose sealing is stopped or fails remains a draft.

    Parameters
    ----------
    study : Study
        A draft.
    who : str
        Leader of the study.
    key_path : Path, optional
        By default beside the folder.

    Raises
    ------
    StateError
        If the study is sealed already.
    DataError
        If something is missing, or the key would lie in the folder.
    """
    require_state(study.state, ("draft",), "be sealed")
    study.protocol.check_complete()
    sampling = study.sampling
    if sampling is None:
        raise DataError(f"'{study.folder}' lacks its sampling. Draft the study again.")
    key_path = default_key_path(study.folder) if key_path is None else key_path
    check_key_path(study.folder, key_path)
    if key_path.exists():
        raise DataError(
            f"'{key_path}' exists already and may be the key of another study. Choose another "
            "name (--key), or remove it."
        )
    source = open_source(sampling)
    plan = plan_trials(source.candidates, study.protocol, sampling)
    raw = yield from _read_all(plan)
    check_shapes(list(raw.values()))
    study.protocol.scale(next(iter(raw.values())).ndim - 1)
    width = dither_width(raw.values())
    rng = np.random.default_rng([sampling.seed, 2])
    images = {place: quantize(image, width, rng) for place, image in raw.items()}
    limits = common_limits(list(images.values()))
    yield from write_trial_images(study.folder, plan, images)

    key = Key(
        sampling,
        plan.trials,
        plan.n_candidates,
        source.classes,
        {"gray_levels": 256, "dither_width": width, "limits": list(limits)},
        tuple(measure_differences(*groups_of(plan.trials, plan.candidates, images))),
        secrets.token_hex(16),
    )
    digest = write_key(key_path, key)
    slots = tuple(TrialSlot(trial.trial_id, trial.kind == "training") for trial in plan.trials)
    seal = Seal(timestamp(), who, digest, images_digest(study.folder), slots, limits)
    sealed = Study(study.folder, study.protocol, None, seal)
    (study.folder / RATERS).mkdir(exist_ok=True)
    sealed.write()
    sealed.change("sealed", who, sealed.digest())
    return SealedStudy(
        sealed, key_path, (*plan.notes, *_class_names_in(study.protocol, source.classes))
    )


def write_trial_images(
    folder: Path, plan: TrialPlan, images: Images
) -> Generator[Progress, None, None]:
    """Write the images of all trials in the order of presentation."""
    start_images(folder)
    for number, (trial, candidate) in enumerate(zip(plan.trials, plan.candidates, strict=True)):
        roles = [role for role in (trial.a, trial.b) if role]
        write_images(folder, number, [images[id(candidate), role] for role in roles])
        n = len(plan.trials)
        yield Progress(n + number + 1, 2 * n, "copying the images")


def groups_of(
    trials: Sequence[Trial], candidates: Sequence[Candidate], images: Images
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Return the images of the counted trials in two groups, each image once.

    The groups are queries and partners; in a study of original images, the first class and the
    others.
    """
    counted = [(t, c) for t, c in zip(trials, candidates, strict=True) if t.is_counted]
    roles = {role for trial, _ in counted for role in (trial.a, trial.b) if role}
    places = {(id(c), role): t for t, c in counted for role in (t.a, t.b) if role}
    first_class = min((trial.source for trial, _ in counted), default="")
    groups: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = [], []
    for place, trial in places.items():
        is_second = place[1] != QUERY if len(roles) > 1 else trial.source != first_class
        groups[is_second].append(images[place])
    return groups


def _read_all(plan: TrialPlan) -> Generator[Progress, None, Images]:
    """Read each image that a trial shows, once."""
    images: Images = {}
    for number, (trial, candidate) in enumerate(zip(plan.trials, plan.candidates, strict=True)):
        yield Progress(number, 2 * len(plan.trials), "reading the images")
        for role in (trial.a, trial.b):
            if role and (id(candidate), role) not in images:
                image = np.asarray(candidate.read(role), dtype=np.float32)
                images[id(candidate), role] = image
    return images


def _class_names_in(protocol: Protocol, classes: Sequence[str]) -> list[str]:
    """Return warnings about class names in texts that raters read."""
    if protocol.kind == "classify":
        return []
    texts = [
        text for f in protocol.features for text in (f.name, f.definition, f.less, f.same, f.more)
    ]
    text = f" {' '.join([*texts, protocol.title]).casefold()} "
    named = [name for name in classes if name and name.casefold() in text]
    return [f"A text that raters read contains the class name '{name}'." for name in named]
