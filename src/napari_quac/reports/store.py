"""Explanations on disk: one folder, one record and one image file for each sample and target.

::

    store.json         what holds for all: plan, classes, hashes of networks, versions
    records/KEY.json   numbers of a sample and target; its presence means that all is written
    images.zarr/KEY    an OME-Zarr image with query, generated image and the maps of each method
    timings/*.jsonl    seconds, one file for each process that wrote; no part of the records
    faults/KEY.txt     tracebacks of what nobody foresaw

A record is written last and appears at once, so there is nothing half-written to be seen, several
processes may write, and a store may be read while it grows.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError, StorageError
from napari_quac.explain.curve import threshold_grid
from napari_quac.reports import task_images
from napari_quac.reports.atomic import remove_leftovers, storage_error, write_file, write_folder
from napari_quac.reports.entry import FailedEntry, ReportEntry
from napari_quac.reports.record import is_failed, to_json, whole_curve
from napari_quac.reports.store_info import INFO, SCHEMA, StoreInfo, rescue_info

RECORDS = "records"
IMAGES = "images.zarr"
TIMINGS = "timings"
FAULTS = "faults"
UNAVAILABLE = "MethodUnavailableError"
RECORD_BYTES = 12_288
"""Most that a record takes per method, with its curve."""


def task_key(sample_id: str, target: str | None) -> str:
    """Return the file name for a sample and target: readable, and different for each.

    Parameters
    ----------
    sample_id : str
        Name of the sample in its dataset.
    target : str or None
        Name of the class; None for a sample that failed before a target was chosen.
    """
    digest = hashlib.sha256(f"{sample_id}\0{target or ''}".encode(errors="surrogatepass"))
    name = f"{_readable(sample_id, 80)}--{_readable(target or 'none', 40)}"
    return f"{name}--{digest.hexdigest()[:12]}"


def estimate_bytes(shape: tuple[int, ...], n_methods: int, n_tasks: int) -> int:
    """Return how many bytes a store takes at most; compression usually saves more than half.

    Parameters
    ----------
    shape : tuple of int
        ``(C, *S)`` of the images.
    n_methods : int
        Methods per task.
    n_tasks : int
        Samples times targets.
    """
    return n_tasks * (task_images.bytes_of(shape, n_methods) + n_methods * RECORD_BYTES)


class ExplanationStore:
    """A folder of explanations; make one with :meth:`create` or :meth:`open`.

    Opening lists the records and reads none; numbers are read per record, images per image.

    Attributes
    ----------
    folder : Path
    info : StoreInfo
    read_only : str
        Why nothing can be added, such as that a newer version wrote it; empty if it can.
    damaged : dict of str to str
        Key of each record that was found unreadable, to the reason.
    """

    def __init__(
        self, folder: Path, info: StoreInfo, read_only: str = "", list_records: bool = True
    ) -> None:
        self.folder = folder
        self.info = info
        self.read_only = read_only
        self.damaged: dict[str, str] = {}
        self._keys: dict[str, None] = {}
        self._seconds: dict[str, dict[str, float]] | None = None
        self._thresholds = threshold_grid(info.settings.grid)
        if list_records:
            self.refresh()

    @classmethod
    def create(cls, folder: str | Path, info: StoreInfo) -> ExplanationStore:
        """Begin a store in a folder that does not exist yet, or is empty.

        Raises
        ------
        DataError
            If something is there already.
        StorageError
            If it cannot be written.
        """
        folder = Path(folder)
        cls.refuse_existing(folder)
        if folder.exists() and not _can_begin_in(folder):
            raise DataError(
                f"'{folder}' is no empty folder. Choose another one; nothing in it was changed."
            )
        try:
            for name in (RECORDS, IMAGES, TIMINGS):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(folder, error) from error
        write_file(folder / IMAGES / "zarr.json", b'{"zarr_format": 3, "node_type": "group"}\n')
        text = json.dumps(info.plain(), indent=1, allow_nan=False)
        write_file(folder / INFO, text.encode())
        return cls(folder, info)

    @staticmethod
    def refuse_existing(folder: Path) -> None:
        """Refuse a folder that is a store.

        Raises
        ------
        DataError
            If there is a store.
        """
        if (folder / INFO).exists():
            raise DataError(
                f"'{folder}' contains explanations. Continue with --resume, or choose another "
                "output folder."
            )

    @classmethod
    def open(cls, folder: str | Path, list_records: bool = True) -> ExplanationStore:
        """Open a store; what can be read of a damaged or newer one opens read-only.

        Parameters
        ----------
        folder : path
            Where it lies.
        list_records : bool
            Look for the records; who only writes need not.

        Raises
        ------
        DataError
            If the folder holds no store, or nothing of it can be read.
        """
        folder = Path(folder)
        path = folder / INFO
        if not path.is_file():
            what = "is no folder of explanations" if folder.exists() else "does not exist"
            raise DataError(
                f"'{folder}' {what} (there is no '{INFO}' in it). Choose the folder that "
                "'napari-quac run' or the dock wrote."
            )
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            info = StoreInfo.from_plain(values)
        except OSError as error:
            raise DataError(f"'{path}' cannot be read ({error.strerror}).") from error
        except (DataError, ValueError, AttributeError) as error:
            info, reason = _rescued(folder, error), str(error)
            why = f"'{path.name}' is damaged ({reason}), so nothing is added to this store"
            return cls(folder, info, why)
        why = ""
        if info.schema > SCHEMA:
            why = (
                f"it was written by napari-quac {info.version} in a newer format "
                f"({info.schema}; this version knows {SCHEMA}). Update napari-quac to add to it"
            )
        elif not os.access(folder, os.W_OK):
            why = "you may not write to its folder"
        return cls(folder, info, why, list_records)

    @classmethod
    def open_or_create(cls, folder: str | Path, info: StoreInfo) -> ExplanationStore:
        """Open the store of a folder to add to it, or begin one.

        Raises
        ------
        DataError
            If the explanations in it were made by other networks or settings, or nothing can be
            added to them.
        """
        folder = Path(folder)
        if not (folder / INFO).exists():
            return cls.create(folder, info)
        store = cls.open(folder)
        if store.read_only:
            raise DataError(
                f"Nothing can be added to the explanations in '{folder}': {store.read_only}. "
                "Choose another output folder."
            )
        differences = store.info.differences(info)
        if differences:
            raise DataError(
                f"The explanations in '{folder}' have other settings: {'; '.join(differences)}. "
                "Choose another output folder, or restore the settings."
            )
        return store

    def refresh(self) -> tuple[str, ...]:
        """Look for records that came meanwhile; return the keys of those that are new."""
        try:
            with os.scandir(self.folder / RECORDS) as files:
                found = {
                    file.name.removesuffix(".json")
                    for file in files
                    if file.name.endswith(".json") and not file.name.startswith(".")
                }
        except FileNotFoundError:
            found = set()
        except OSError as error:
            raise DataError(
                f"The records in '{self.folder}' cannot be listed ({error.strerror})."
            ) from error
        new = sorted(found - self._keys.keys())
        if len(found) != len(self._keys) + len(new):
            self._keys = {key: None for key in self._keys if key in found}
        self._keys.update(dict.fromkeys(new))
        self._seconds = None
        return tuple(new)

    def __len__(self) -> int:
        """Return the number of records that were there at the last look, failures included."""
        return len(self._keys)

    def keys(self) -> tuple[str, ...]:
        """Return the keys of the records that were there at the last look."""
        return tuple(self._keys)

    def key_of(self, sample_id: str, target: int) -> str:
        """Return the key of a sample and the index of its target class."""
        return task_key(sample_id, self.info.class_names[target])

    def has(self, key: str) -> bool:
        """Whether there is a record now."""
        return self._record_path(key).is_file()

    def record(self, key: str) -> dict[str, Any]:
        """Read a record.

        Raises
        ------
        DataError
            If there is none, or it is damaged; it is then listed in ``damaged``.
        """
        path = self._record_path(key)
        try:
            record = json.loads(path.read_bytes())
            record["id"], record["target"]
        except FileNotFoundError as error:
            raise DataError(f"There is no record '{key}' in '{self.folder}'.") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            reason = f"The record '{path.name}' is damaged ({error}). Explain the sample again."
            self.damaged[key] = reason
            raise DataError(reason) from error
        return dict(record)

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield key and record of all that can be read; the others are listed in ``damaged``."""
        for key in self.keys():
            try:
                yield key, self.record(key)
            except DataError as error:
                self.damaged.setdefault(key, str(error))

    def entries(self) -> Iterator[ReportEntry | FailedEntry]:
        """Yield what each method found, and what failed; images are read when they are asked for.

        Entries come in the order of the keys, and methods in that of the record.
        """
        for key, record in self.records():
            try:
                entries = self.entries_of(key, record)
            except DataError as error:
                self.damaged[key] = str(error)
                continue
            yield from entries

    def entries_of(
        self, key: str, record: Mapping[str, Any] | None = None
    ) -> list[ReportEntry | FailedEntry]:
        """Return the entries of one record.

        Raises
        ------
        DataError
            If there is no such record, or it lacks something.
        """
        record = self.record(key) if record is None else record
        try:
            return self._entries(key, record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"The record '{key}' is damaged ({error!r}). Explain the sample again."
            self.damaged[key] = reason
            raise DataError(reason) from error

    def image(self, key: str, name: str) -> NDArray[np.float32]:
        """Read one image of a task, (C, *S), such as ``"query"`` or ``"d-ig/attribution"``.

        Raises
        ------
        DataError
            If it was not kept, or is damaged.
        """
        return task_images.read(self.folder / IMAGES / key, name)

    def image_names(self, key: str) -> tuple[str, ...]:
        """Return the names of the images of a task.

        Raises
        ------
        DataError
            If they are damaged or gone.
        """
        try:
            return tuple(task_images.names_in(self.folder / IMAGES / key)[0])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"The images of '{key}' are damaged or gone ({error}). Explain the sample again."
            ) from error

    def image_path(self, key: str) -> Path:
        """Return the folder of the OME-Zarr image of a task."""
        return self.folder / IMAGES / key

    def seconds(self, key: str) -> dict[str, float]:
        """Return what the search (``""``) and each method took, as far as it was noted."""
        if self._seconds is None:
            self._seconds = _read_timings(self.folder / TIMINGS)
        return self._seconds.get(key, {})

    def write(
        self,
        record: Mapping[str, Any],
        images: task_images.Images | None = None,
        seconds: Mapping[str, float] | None = None,
    ) -> str:
        """Write a task; it is there when this returns, or not at all.

        Parameters
        ----------
        record : mapping
            See :func:`~napari_quac.reports.record.explained_record`.
        images : mapping of str to (C, *S) ndarray, optional
            See :func:`~napari_quac.reports.task_images.images_of`; none for a failure.
        seconds : mapping of str to float, optional
            What the search (``""``) and each method took.

        Returns
        -------
        key : str

        Raises
        ------
        StorageError
            If the disk is full or read-only, or the store can only be read.
        """
        self._check_writable()
        key = task_key(record["id"], record["target"])
        path = self._record_path(key)
        try:
            path.unlink(missing_ok=True)  # a record never speaks for other images than its own
        except OSError as error:
            raise storage_error(path, error) from error
        if images:
            place = (record.get("scale"), record.get("translate"), record.get("unit"))
            write_folder(self.folder / IMAGES / key, task_images.encode(images, *place))
        if seconds:
            self._note_seconds(key, seconds)
        write_file(path, to_json(record))
        self._keys[key] = None
        return key

    def forget(self, key: str) -> None:
        """Remove a record, so that the sample is explained again."""
        self._check_writable()
        self._record_path(key).unlink(missing_ok=True)
        self._keys.pop(key, None)

    def clean(self) -> int:
        """Remove what interrupted processes left unfinished; return how many pieces."""
        self._check_writable()
        return sum(remove_leftovers(self.folder / name) for name in (RECORDS, IMAGES, "."))

    def finished(self, targets: str | Sequence[str] | None = None) -> dict[str, bool]:
        """Return the id of each sample that has a record, and whether all it asks is answered.

        A failure counts as not answered: going on tries it again.

        Parameters
        ----------
        targets : "auto", "all" or sequence of str, optional
            What is asked about every sample now. A sample that was asked about other targets
            before is finished once these are answered, too.
        """
        found: dict[str, _Answers] = {}
        for _, record in self.records():
            of_sample = found.setdefault(record["id"], _Answers())
            of_sample.source = record.get("source") or of_sample.source
            of_sample.asked.update(record.get("asked") or [record["target"] or ""])
            if self.is_answered(record):
                of_sample.answered.add(record["target"])
        # which target is the most useful one is known only where it, or every one, was asked for
        is_known = targets != "auto" or self.info.settings.targets in ("auto", "all")
        wanted: set[str] = set()
        if targets == "all":
            wanted = {*self.info.class_names}
        elif targets is not None and targets != "auto":
            wanted = {targets} if isinstance(targets, str) else {*targets}
        return {
            sample: is_known
            and one.asked <= one.answered
            and one.source is not None
            and wanted - {one.source} <= one.answered
            for sample, one in found.items()
        }

    @staticmethod
    def is_answered(record: Mapping[str, Any]) -> bool:
        """Whether nothing failed that may work another time.

        A method that the network does not allow is no such failure.
        """
        failures = record.get("failed_methods", {}).values()
        return not is_failed(record) and all(f["kind"] == UNAVAILABLE for f in failures)

    def note_fault(self, key: str, details: str) -> None:
        """Keep the traceback of a fault, in ``faults/KEY.txt``."""
        folder = self.folder / FAULTS
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise storage_error(folder, error) from error
        write_file(folder / f"{key}.txt", details.encode(errors="replace"))

    def _record_path(self, key: str) -> Path:
        return self.folder / RECORDS / f"{key}.json"

    def _check_writable(self) -> None:
        if self.read_only:
            raise StorageError(f"Nothing can be added to '{self.folder}': {self.read_only}.")

    def _note_seconds(self, key: str, seconds: Mapping[str, float]) -> None:
        path = self.folder / TIMINGS / f"{socket.gethostname()}-{os.getpid()}.jsonl"
        rounded = {name: round(value, 4) for name, value in seconds.items()}
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "seconds": rounded}) + "\n")
        except OSError as error:
            raise storage_error(path, error) from error

    def _entries(self, key: str, record: Mapping[str, Any]) -> list[ReportEntry | FailedEntry]:
        names = self.info.class_names
        if is_failed(record):
            target = None if record["target"] is None else names.index(record["target"])
            named = record.get("source")
            source = None if named is None else names.index(named)
            return [FailedEntry(record["id"], target, record["stage"], record["error"], source)]
        truth, seconds = record["true_class"], self.seconds(key)
        source, target = names.index(record["source"]), names.index(record["target"])
        predictions = record["predictions"]
        found: list[ReportEntry | FailedEntry] = []
        for method, numbers in record["methods"].items():
            found.append(
                ReportEntry(
                    sample_id=record["id"],
                    source=source,
                    target=target,
                    method=method,
                    true_name=numbers["true_name"],
                    label=None if truth is None else names.index(truth),
                    source_basis=record["source_basis"],
                    query_prediction=tuple(predictions["query"]),
                    generated_prediction=tuple(predictions["generated"]),
                    counterfactual_prediction=tuple(numbers["predictions"]["counterfactual"]),
                    inverse_prediction=tuple(numbers["predictions"]["inverse"]),
                    thresholds=self._thresholds,
                    mask_sizes=whole_curve(numbers["curve"], "mask_sizes"),
                    score_changes=whole_curve(numbers["curve"], "score_changes"),
                    quac_score=numbers["quac_score"],
                    optimal_threshold=numbers["optimal_threshold"],
                    completeness=numbers["completeness"],
                    degenerate=numbers["degenerate"],
                    switches=record["switches"],
                    n_tried=record["n_tried"],
                    seconds=seconds.get(method),
                    origin=record["origin"],
                    read=partial(self._read_for, key, method),
                )
            )
        found += [
            FailedEntry(record["id"], target, failure["stage"], failure["error"], source)
            for failure in record["failed_methods"].values()
        ]
        return found

    def _read_for(self, key: str, method: str, name: str) -> NDArray[np.float32]:
        of_the_pair = name in task_images.OF_THE_PAIR
        return self.image(key, name if of_the_pair else f"{method}/{name}")


@dataclass
class _Answers:
    """What the records of one sample say together."""

    source: str | None = None
    asked: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)


def _readable(text: str, length: int) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._")[-length:] or "_"


def _can_begin_in(folder: Path) -> bool:
    """Whether a folder is empty, or holds what a beginning left that was ended before its record.

    The description is written last, so a store without it has no record.
    """
    try:
        visible = [path for path in folder.iterdir() if not path.name.startswith(".")]
        own = (RECORDS, IMAGES, TIMINGS)
        inside = [file for path in visible if path.name in own for file in path.iterdir()]
    except OSError:  # a file, or nothing that can be listed
        return False
    begun = all(path.name in own for path in visible)
    return begun and all(file.name == "zarr.json" or file.name.startswith(".") for file in inside)


def _rescued(folder: Path, error: Exception) -> StoreInfo:
    """Return what the records tell of a store whose description is damaged.

    Raises
    ------
    DataError
        If they tell nothing.
    """
    info = rescue_info(folder / RECORDS)
    if info is None:
        raise DataError(
            f"'{folder / INFO}' is damaged ({error}), and there is no record to go by. Copy the "
            "folder again from where it came from."
        ) from error
    return info


def _read_timings(folder: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                noted = json.loads(line)
                found[noted["key"]] = noted["seconds"]
            except (ValueError, KeyError, TypeError):
                continue  # the line that was being written when its process was ended
    return found
