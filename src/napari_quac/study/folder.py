"""The folder of a study: the plan, blinded images, answers of each rater, exports.

::

    protocol.json      plan; after sealing also the seal, and nothing that tells classes
    features.json      names and sentences of the features
    states.jsonl       changes of state: when and who
    images.zarr/       NUMBER/a and NUMBER/b, float32, in the order of presentation
    raters/NAME.jsonl  answers of a rater, appended
    export/            tables and texts

The key is another file, outside of this folder; the module :mod:`napari_quac.study.key` reads it,
and the process in which a rater works never imports it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from napari_quac import __version__
from napari_quac.errors import DataError
from napari_quac.reading import as_mapping, is_folder, is_regular_file, path_exists, read_json
from napari_quac.serialize import from_plain, to_plain
from napari_quac.storage import write_file, write_files
from napari_quac.study.protocol import Protocol, Rater, Sampling
from napari_quac.study.states import (
    State,
    change_state,
    current_state,
    read_changes,
    require_state,
)

PROTOCOL, FEATURES = "protocol.json", "features.json"
IMAGES, RATERS, EXPORT = "images.zarr", "raters", "export"
FORMAT = "napari-quac study"
SCHEMA = 1


@dataclass(frozen=True)
class TrialSlot:
    """Place of a trial in the order of presentation, without its content.

    Attributes
    ----------
    trial_id : str
        Opaque; the key maps it to the sample.
    training : bool
        Part of the training block.
    """

    trial_id: str
    training: bool = False

    __pydantic_config__: ClassVar = {"extra": "forbid"}


@dataclass(frozen=True)
class Seal:
    """Fixed properties of a sealed study.

    Attributes
    ----------
    at, who : str
    key_sha256 : str
        Hash of the file of the key.
    images_sha256 : str
        Hash over all files of the images.
    trials : tuple of TrialSlot
        In the order of presentation; image folder NUMBER belongs to trial NUMBER.
    limits : (float, float)
        Gray values displayed as black and white, for all images.
    version : str
        Of the package.
    """

    at: str
    who: str
    key_sha256: str
    images_sha256: str
    trials: tuple[TrialSlot, ...]
    limits: tuple[float, float]
    version: str = __version__

    __pydantic_config__: ClassVar = {"extra": "forbid"}


@dataclass(frozen=True)
class Study:
    """A study on disk.

    Attributes
    ----------
    folder : Path
    protocol : Protocol
    sampling : Sampling or None
        Of a draft; None after sealing.
    seal : Seal or None
        None for a draft.
    """

    folder: Path
    protocol: Protocol
    sampling: Sampling | None = None
    seal: Seal | None = None

    @property
    def state(self) -> State:
        """State by the log in the folder."""
        return current_state(read_changes(self.folder))

    @property
    def trials(self) -> tuple[TrialSlot, ...]:
        """Trials in the order of presentation; none for a draft."""
        return self.seal.trials if self.seal is not None else ()

    def require_seal(self) -> Seal:
        """Return the seal.

        Raises
        ------
        DataError
            If the study is a draft.
        """
        if self.seal is None:
            raise DataError(f"'{self.folder}' is a draft. Seal it first.")
        return self.seal

    def plain(self) -> dict[str, Any]:
        """Return the content of ``protocol.json``."""
        parts = {"protocol": self.protocol, "sampling": self.sampling, "seal": self.seal}
        present = {name: to_plain(part) for name, part in parts.items() if part is not None}
        return {"format": FORMAT, "schema": SCHEMA, **present}

    def digest(self) -> str:
        """Return the hash of all that may not change after sealing: all but the raters."""
        fixed = replace(self, protocol=replace(self.protocol, raters=()))
        text = json.dumps(fixed.plain(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def require_intact(self) -> None:
        """Check that the plan is the sealed one.

        Raises
        ------
        DataError
            If protocol, features or order differ from those that were sealed.
        """
        self.require_seal()
        notes = [change.note for change in read_changes(self.folder) if change.state == "sealed"]
        if notes != [self.digest()]:
            raise DataError(
                f"'{self.folder / PROTOCOL}' was changed after sealing, or its log "
                "'states.jsonl' was. Restore both from a copy."
            )

    def write(self) -> None:
        """Write the plan and the features."""
        features = {"features": to_plain(self.protocol.features)}
        write_files(
            {
                self.folder / FEATURES: json_bytes(features),
                self.folder / PROTOCOL: json_bytes(self.plain()),
            }
        )

    def rater_file(self, name: str, after_unblinding: bool = False) -> Path:
        """Return the file of the answers of a rater."""
        suffix = ".after-unblinding.jsonl" if after_unblinding else ".jsonl"
        return self.folder / RATERS / f"{name}{suffix}"

    def rater(self, name: str) -> Rater:
        """Return a rater by name.

        Raises
        ------
        DataError
            If there is no such rater.
        """
        for rater in self.protocol.raters:
            if rater.name == name:
                return rater
        names = ", ".join(rater.name for rater in self.protocol.raters) or "none yet"
        raise DataError(
            f"'{name}' is not a rater of this study ({names}). Check the name, or add the rater."
        )

    def change(self, state: State, who: str, note: str = "") -> None:
        """Append a change of state to the log; see :func:`~napari_quac.study.states.change_state`.

        Raises
        ------
        StateError
            If the state cannot follow the present one.
        """
        change_state(self.folder, state, who, note)


def create_study(folder: str | Path, protocol: Protocol, sampling: Sampling) -> Study:
    """Write a draft into a new folder, or replace the draft in it.

    Raises
    ------
    DataError
        If the plan is impossible, the folder holds something else, or a sealed study.
    """
    folder = Path(folder)
    protocol.check()
    sampling.check()
    if is_regular_file(folder / PROTOCOL):
        require_state(open_study(folder).state, ("draft",), "change its plan")
    elif is_folder(folder) and any(folder.iterdir()):
        raise DataError(f"'{folder}' is not empty. Choose another folder.")
    study = Study(folder, protocol, sampling)
    study.write()
    return study


def open_study(folder: str | Path) -> Study:
    """Open a study.

    Raises
    ------
    DataError
        If there is none, or its plan cannot be read.
    """
    folder = Path(folder)
    path = folder / PROTOCOL
    if not is_regular_file(path):
        state = "is not a study" if path_exists(folder) else "does not exist"
        raise DataError(f"'{folder}' {state} (no '{PROTOCOL}'). Choose the folder of a study.")
    document = as_mapping(read_json(path))
    if document.get("format") != FORMAT:
        raise DataError(f"'{path}' is not the plan of a study. Choose the folder of a study.")
    if document.get("schema") != SCHEMA:
        raise DataError(
            f"'{path}' was written by another version (schema {document.get('schema')}; this one "
            f"reads {SCHEMA}). Use that version."
        )
    protocol = from_plain(Protocol, document.get("protocol"), "protocol")
    return Study(
        folder, protocol, _part(document, "sampling", Sampling), _part(document, "seal", Seal)
    )


def add_raters(study: Study, *raters: Rater) -> Study:
    """Add raters, or change their expertise; also allowed after sealing.

    Raises
    ------
    DataError
        If a name differs from another one only by capitals.
    StateError
        If the study has ended.
    """
    require_state(study.state, ("draft", "sealed", "running", "paused"), "add raters")
    by_name = {rater.name: rater for rater in (*study.protocol.raters, *raters)}
    changed = replace(study, protocol=replace(study.protocol, raters=tuple(by_name.values())))
    changed.protocol.check()
    write_file(study.folder / PROTOCOL, json_bytes(changed.plain()))
    return changed


def json_bytes(document: Any) -> bytes:
    """Return a document as JSON for people and programs."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _part(document: Mapping[str, Any], name: str, cls: type[Any]) -> Any:
    return from_plain(cls, document[name], name) if name in document else None
