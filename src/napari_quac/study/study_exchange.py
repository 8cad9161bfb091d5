"""Ratings of a study in the forms of the QuAC authors' tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_quac.errors import DataError
from napari_quac.study.answers import INVALID, AnswerValue
from napari_quac.study.exchange import (
    INVALID_CODE,
    NOT_ASSIGNED,
    FunkeRatings,
    WebRatings,
    write_funke_folder,
    write_web_ratings,
)
from napari_quac.study.folder import Study
from napari_quac.study.images import picture_bytes, read_images
from napari_quac.study.key import Key
from napari_quac.study.ratings import Rating, read_ratings
from napari_quac.study.states import require_state


def export_funke(study: Study, rater: str, folder: Path) -> None:
    """Write pictures and ratings of one rater as a folder of FunkeAnnotation, without the key.

    Answers ``"cannot tell"`` are written as not assigned. There are no masks (``M/``): they would
    tell where an image was changed.

    Raises
    ------
    StateError
        If raters still work.
    DataError
        If the study does not compare pairs.
    """
    require_state(study.state, ("ended", "unblinded"), "be exported")
    if study.protocol.kind != "compare":
        raise DataError("FunkeAnnotation compares pairs; this study does not. Export CSV instead.")
    study.rater(rater)
    ids = [slot.trial_id for slot in study.trials]
    images = tuple(map(str, range(len(ids))))
    answers = _answers_of(read_ratings(study), rater)
    codes = {
        name: tuple(
            funke_code(answers.get((trial_id, feature.name))) for feature in study.protocol.features
        )
        for name, trial_id in zip(images, ids, strict=True)
    }
    pictures: dict[str, dict[str, bytes]] = {"A": {}, "B": {}}
    for number, name in enumerate(images):
        for side, image in zip("AB", read_images(study.folder, number, paired=True), strict=True):
            pictures[side][name] = picture_bytes(image)
    write_funke_folder(folder, FunkeRatings(study.protocol.features, images, codes), pictures)


def export_web(study: Study, key: Key, rater: str, folder: Path) -> None:
    """Write the tags of one rater as the authors' web app does, by the names of the samples.

    Raises
    ------
    StateError
        If the study is blinded: names of samples are part of the key.
    DataError
        If the study does not tag.
    """
    require_state(study.state, ("unblinded",), "be exported with names of samples")
    if study.protocol.kind != "tag":
        raise DataError("The web app holds tags; this study has none. Export CSV instead.")
    study.rater(rater)
    answers = _answers_of(read_ratings(study), rater)
    features = study.protocol.features
    tags = {}
    for trial in key.trials:
        if trial.is_counted:
            name = f"{Path(trial.sample_id).stem}.png"
            name = name if name not in tags else f"{trial.trial_id}.png"
            tags[name] = tuple(answers.get((trial.trial_id, f.name)) == 1 for f in features)
    write_web_ratings(folder, WebRatings({f.name: f.definition for f in features}, tags))


def funke_code(answer: AnswerValue) -> int:
    """Return the code of FunkeAnnotation for an answer of ``compare``."""
    if answer == INVALID:
        return INVALID_CODE
    return int(answer) if isinstance(answer, int | float) else NOT_ASSIGNED


def answer_of_code(code: int) -> AnswerValue:
    """Return the answer for a code of FunkeAnnotation; None if it is not assigned."""
    if code == INVALID_CODE:
        return INVALID
    return None if code == NOT_ASSIGNED else code


def _answers_of(ratings: Sequence[Rating], rater: str) -> dict[tuple[str, str], AnswerValue]:
    return {r.answer.place: r.answer.answer for r in ratings if r.answer.rater == rater}
