"""The end of a study: no more answers, then unblinding, which is logged and final."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_quac.errors import DataError
from napari_quac.storage import write_file, write_files
from napari_quac.study.folder import EXPORT, Study, json_bytes
from napari_quac.study.images import images_digest
from napari_quac.study.key import Key, read_key
from napari_quac.study.ratings import rater_progress, ratings_csv, read_ratings, unblinded_csv
from napari_quac.study.states import read_changes, require_state

RATINGS, UNBLINDED = "ratings.csv", "unblinded.csv"
AFTER = "ratings-after-unblinding.csv"
RECORD, PROTOCOL_TEXT = "unblinding.json", "protocol.md"


@dataclass(frozen=True)
class Unblinding:
    """Time and author of the unblinding.

    Attributes
    ----------
    at, who : str
    """

    at: str
    who: str


def end_study(study: Study, who: str, early: bool = False) -> None:
    """End a study: answers are no longer accepted.

    Raters may have worked on copies of the folder, of which only their files were brought back.

    Parameters
    ----------
    study : Study
        Running or paused.
    who : str
        Leader of the study.
    early : bool
        Also if trials are open; their number is logged.

    Raises
    ------
    DataError
        If trials are open and ``early`` is false.
    StateError
        If the study is not running or paused.
    """
    counts = rater_progress(study)
    if study.state == "sealed":  # answers came from copies of the folder
        for row in counts:
            if row.n_answers:
                study.change("running", row.rater, "in a copy of the study")
                study.change("paused", row.rater)
    require_state(study.state, ("running", "paused"), "end")
    n_open = sum(row.n_trials - row.n_complete for row in counts)
    if n_open and not early:
        names = ", ".join(
            f"{row.rater}: {row.n_trials - row.n_complete}"
            for row in counts
            if row.n_complete < row.n_trials
        )
        raise DataError(
            f"Some trials are open ({names}). Let the raters finish, or end early (--early), which "
            "the protocol states."
        )
    study.change("ended", who, f"{n_open} trials open" if n_open else "")


def unblind_study(study: Study, who: str, key_path: Path | None = None) -> tuple[Path, ...]:
    """Verify key, plan and images, log the unblinding, and export; this is final.

    Parameters
    ----------
    study : Study
        After its end.
    who : str
        Author of the unblinding, for the log.
    key_path : Path, optional
        By default beside the folder.

    Returns
    -------
    tuple of Path
        The files in ``export/``.

    Raises
    ------
    StateError
        If the study has not ended, or is unblinded already.
    DataError
        If key, plan or images are not those that were sealed.
    """
    require_state(study.state, ("ended",), "be unblinded")
    key = read_key(study, key_path)
    verify_study(study)
    study.change("unblinded", who)
    return export_unblinded(study, key)


def verify_study(study: Study) -> None:
    """Check that plan, order and images are those that were sealed.

    Raises
    ------
    DataError
        If one was changed.
    """
    study.require_intact()
    if images_digest(study.folder) != study.require_seal().images_sha256:
        raise DataError(
            f"The images in '{study.folder}' are not those that were sealed. Restore the folder."
        )


def unblinding_of(study: Study) -> Unblinding:
    """Return who unblinded a study, and when.

    Raises
    ------
    StateError
        If the study is blinded.
    """
    require_state(study.state, ("unblinded",), "be exported with classes")
    change = next(c for c in read_changes(study.folder) if c.state == "unblinded")
    return Unblinding(change.at, change.who)


def export_unblinded(study: Study, key: Key) -> tuple[Path, ...]:
    """Write all tables of an unblinded study and the text of its protocol.

    Raises
    ------
    StateError
        If the study is blinded.
    StorageError
        If they cannot be written.
    """
    from napari_quac.study.analysis_files import analysis_contents
    from napari_quac.study.protocol_text import protocol_text

    record = unblinding_of(study)
    ratings, kind = read_ratings(study), study.protocol.kind
    folder = study.folder / EXPORT
    contents = {
        folder / RATINGS: ratings_csv(ratings),
        folder / UNBLINDED: unblinded_csv(ratings, key, kind),
        folder / RECORD: json_bytes({"at": record.at, "who": record.who}),
        **analysis_contents(study, key, folder),
        folder / PROTOCOL_TEXT: protocol_text(study, key, ratings).encode(),
    }
    later = read_ratings(study, after_unblinding=True)
    if later:
        contents[folder / AFTER] = unblinded_csv(later, key, kind)
    write_files(dict(contents))
    return tuple(contents)


def export_ratings(study: Study) -> Path:
    """Write the ratings of an ended study, without anything of the key.

    Raises
    ------
    StateError
        If raters still work.
    """
    require_state(study.state, ("ended", "unblinded"), "be exported")
    path = study.folder / EXPORT / RATINGS
    write_file(path, ratings_csv(read_ratings(study)))
    return path
