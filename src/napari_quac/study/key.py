"""The key of a study: sample, classes and direction of each trial, in a file of its own.

The rating process never imports this module. The sealed study holds the hash of the file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from napari_quac.errors import DataError
from napari_quac.reading import as_mapping, parse_json, read_bytes
from napari_quac.serialize import from_plain, to_plain
from napari_quac.storage import storage_errors, write_file
from napari_quac.study.folder import Study, json_bytes
from napari_quac.study.protocol import Sampling

TrialKind = Literal["pair", "image", "control", "repeat", "training"]
FORMAT = "napari-quac study key"
QUERY, PARTNER = "query", "partner"


@dataclass(frozen=True)
class Trial:
    """One trial with all that raters do not know.

    Attributes
    ----------
    trial_id : str
    kind : {"pair", "image", "control", "repeat", "training"}
    sample_id, stratum : str
    a, b : str
        ``"query"`` or ``"partner"``; ``b`` is empty for a single image.
    source, target, label, predicted : str
        Class names; empty if unknown.
    correctness : str
        ``"correct"``, ``"mispredicted"`` or ``"unlabeled"``; empty for images of a folder.
    score : float or None
        QuAC score.
    method : str
    cluster : str
        Samples of one cluster are not independent.
    repeats : str
        Trial that a repeat repeats.
    """

    trial_id: str
    kind: TrialKind
    sample_id: str
    stratum: str
    a: str = QUERY
    b: str = ""
    source: str = ""
    target: str = ""
    label: str = ""
    predicted: str = ""
    correctness: str = ""
    score: float | None = None
    method: str = ""
    cluster: str = ""
    repeats: str = ""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    @property
    def is_counted(self) -> bool:
        """True if the trial enters the statistics: no training, control or repeat."""
        return self.kind in ("pair", "image")

    @property
    def sign(self) -> int:
        """Return 1 if B is the partner, so that an answer tells the change; −1 if A is; else 0."""
        if self.a == self.b or not self.b:
            return 0
        return 1 if self.b == PARTNER else -1


@dataclass(frozen=True)
class Key:
    """Content of the file of the key.

    Attributes
    ----------
    sampling : Sampling
        Source, selection and seed.
    trials : tuple of Trial
        In the order of presentation.
    n_candidates : mapping of str to int
        Images or pairs to choose from, by stratum.
    classes : tuple of str
    image_processing : mapping
        Dither width, grid and limits.
    image_differences : tuple of mapping
        Differences of the images themselves between both groups.
    nonce : str
        Random text, so that the hash of the key cannot be found by trying seeds.
    """

    sampling: Sampling
    trials: tuple[Trial, ...]
    n_candidates: Mapping[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    image_processing: Mapping[str, Any] = field(default_factory=dict)
    image_differences: tuple[Mapping[str, Any], ...] = ()
    nonce: str = ""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def by_id(self) -> dict[str, Trial]:
        """Return the trials by id."""
        return {trial.trial_id: trial for trial in self.trials}


def default_key_path(folder: Path) -> Path:
    """Return the path of the key beside the folder of a study."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}-key.json")


def check_key_path(folder: Path, path: Path) -> None:
    """Refuse a key inside of the folder that raters open.

    Raises
    ------
    DataError
        If the key would lie in the folder.
    """
    if path.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"The key '{path}' would lie in the folder of the study, which raters open. Choose a "
            "place that raters cannot read (--key)."
        )


def write_key(path: Path, key: Key) -> str:
    """Write a key that only its owner can read; return its hash.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    content = json_bytes({"format": FORMAT, **to_plain(key)})
    write_file(path, content)
    with storage_errors(path):
        os.chmod(path, 0o600)
    return hashlib.sha256(content).hexdigest()


def read_key(study: Study, path: Path | None = None) -> Key:
    """Read the key of a study and verify that it is the sealed one.

    Parameters
    ----------
    study : Study
        A sealed study.
    path : Path, optional
        By default beside the folder of the study.

    Raises
    ------
    DataError
        If it is missing, damaged, or another key.
    """
    path = default_key_path(study.folder) if path is None else path
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != study.require_seal().key_sha256:
        raise DataError(
            f"'{path}' is not the key that was sealed with '{study.folder}': its SHA-256 differs. "
            "Choose the key of this study (--key), or restore it from a copy."
        )
    document = dict(as_mapping(parse_json(content)))
    document.pop("format", None)
    key: Key = from_plain(Key, document, "key")
    order = [trial.trial_id for trial in key.trials]
    if order != [slot.trial_id for slot in study.trials]:
        raise DataError(f"'{path}' lists other trials than '{study.folder}'. Restore both.")
    return key
