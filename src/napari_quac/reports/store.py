"""Explanations on disk: one folder with one record and one image for each sample and target.

::

    store.json         settings, classes, hashes of networks, plan, versions
    records/KEY.json   numbers of a sample and target; written after the images
    images.zarr/KEY    an OME-Zarr image with query, generated image and the maps of each method
    timings/*.jsonl    seconds, one file for each process; not part of the records
    faults/KEY.txt     tracebacks of internal errors

A record is written last and appears at once, so nothing half-written is visible, several processes
may write, and a store may be read while it grows. Reading and writing are one subject: each step of
one is what the other relies on.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError, StorageError
from napari_quac.explain.curve import threshold_grid
from napari_quac.explain.settings import ALL, AUTO
from napari_quac.large_files import check_time
from napari_quac.reading import WRONG_KINDS, is_regular_file, parse_json, path_exists, read_bytes
from napari_quac.reports import task_images
from napari_quac.reports.entry import FailedEntry, ReportEntry, entry_from_record
from napari_quac.reports.record import check_record, is_failed, to_json, whole_curve
from napari_quac.reports.store_info import INFO, SCHEMA, StoreInfo, rescue_info
from napari_quac.storage import (
    Content,
    append_line,
    remove_leftovers,
    storage_errors,
    write_file,
    write_files,
)

RECORDS = "records"
IMAGES = "images.zarr"
TIMINGS = "timings"
FAULTS = "faults"
FOLDERS = (RECORDS, IMAGES, TIMINGS)
ZARR_GROUP = b'{"zarr_format": 3, "node_type": "group"}\n'
UNAVAILABLE = "MethodUnavailableError"
MAX_RECORD_BYTES = 1 << 26
RECORD_BYTES = 12_288
"""Upper limit of the size of a record per method, with its curve."""


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
    """Return the maximum size of a store in bytes; compression usually saves more than half.

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

    Opening lists the records; numbers are read per record, images per image.

    Attributes
    ----------
    folder : Path
    info : StoreInfo
    read_only : str
        Reason why nothing can be added, such as a newer version; empty if it is writable.
    damaged : dict of str to str
        Key of each unreadable record, to the reason.
    notes : list of str
        What is missing besides.
    """

    def __init__(
        self, folder: Path, info: StoreInfo, read_only: str = "", list_records: bool = True
    ) -> None:
        self.folder = folder
        self.info = info
        self.read_only = read_only
        self.damaged: dict[str, str] = {}
        self.notes: list[str] = []
        self._keys: dict[str, None] = {}
        self._seconds: dict[str, dict[str, float]] | None = None
        self._thresholds = threshold_grid(info.settings.grid)
        if list_records:
            self.refresh()

    @classmethod
    def create(cls, folder: str | Path, info: StoreInfo) -> ExplanationStore:
        """Create a store in a folder that does not exist yet, or is empty.

        Raises
        ------
        DataError
            If the folder is not empty.
        StorageError
            If it cannot be written.
        """
        folder = Path(folder)
        cls.refuse_existing(folder)
        if path_exists(folder) and not _is_free(folder):
            raise DataError(f"'{folder}' is not empty. Choose another folder.")
        text = json.dumps(info.plain(), indent=1, allow_nan=False)
        write_files({folder / IMAGES / "zarr.json": ZARR_GROUP, folder / INFO: text.encode()})
        return cls(folder, info)

    @staticmethod
    def refuse_existing(folder: Path) -> None:
        """Refuse a folder that is a store.

        Raises
        ------
        DataError
            If there is a store.
        """
        if path_exists(folder / INFO):
            raise DataError(
                f"'{folder}' contains explanations. Resume them (--resume), or change the folder."
            )

    @classmethod
    def open(cls, folder: str | Path, list_records: bool = True) -> ExplanationStore:
        """Open a store; a damaged or newer one opens read-only.

        Parameters
        ----------
        folder : path
            The folder of the store.
        list_records : bool
            List the records; not needed for writing.

        Raises
        ------
        DataError
            If the folder is not a store, or nothing of it can be read.
        """
        folder = Path(folder)
        path = folder / INFO
        if not is_regular_file(path):
            state = "is not a folder of explanations" if path_exists(folder) else "does not exist"
            raise DataError(f"'{folder}' {state} (no '{INFO}'). Choose the folder of a run.")
        try:
            document = read_bytes(path)
            info = StoreInfo.from_plain(parse_json(document))
        except DataError as error:
            rescued = rescue_info(folder / RECORDS)
            if rescued is None:
                problem = f"'{path}' is damaged ({error}), and no record can be read"
                raise DataError(f"{problem}. Copy the folder again.") from error
            reason = f"'{path.name}' is damaged ({error}), so nothing is added to this store"
            return cls(folder, rescued, reason)
        reason = ""
        if info.schema > SCHEMA:
            reason = f"it has the newer format of napari-quac {info.version}. Update napari-quac"
        elif not os.access(folder, os.W_OK):
            reason = "its folder is not writable"
        return cls(folder, info, reason, list_records)

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
        if not path_exists(folder / INFO):
            return cls.create(folder, info)
        store = cls.open(folder)
        if store.read_only:
            sentence = f"'{folder}' is read-only: {store.read_only}. Choose another folder."
            raise DataError(sentence).suggesting("new_folder")
        if differences := "; ".join(store.info.differences(info)):
            sentence = f"'{folder}' has other settings: {differences}. Choose another folder."
            raise DataError(sentence).suggesting("new_folder")
        return store

    def refresh(self) -> tuple[str, ...]:
        """List the records again; return the keys of new ones."""
        try:
            names = [name for name in os.listdir(self.folder / RECORDS) if name[0] != "."]
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise DataError(f"'{self.folder}' cannot be listed ({error.strerror}).") from error
        keys = {name.removesuffix(".json") for name in names if name.endswith(".json")}
        new = sorted(keys - self._keys.keys())
        if len(keys) != len(self._keys) + len(new):
            self._keys = {key: None for key in self._keys if key in keys}
        self._keys.update(dict.fromkeys(new))
        self._seconds = None
        return tuple(new)

    def __len__(self) -> int:
        """Return the number of listed records, failures included."""
        return len(self._keys)

    def keys(self) -> tuple[str, ...]:
        """Return the keys of the listed records."""
        return tuple(self._keys)

    def key_of(self, sample_id: str, target: int) -> str:
        """Return the key of a sample and the index of its target class."""
        return task_key(sample_id, self.info.class_names[target])

    def has(self, key: str) -> bool:
        """Return whether there is a record now."""
        return is_regular_file(self._record_path(key))

    def record(self, key: str) -> dict[str, Any]:
        """Read a record.

        Raises
        ------
        DataError
            If it is missing or damaged; it is then listed in ``damaged``.
        """
        path = self._record_path(key)
        try:
            record = parse_json(read_bytes(path, MAX_RECORD_BYTES))
            check_record(record, self.info.class_names)
        except (DataError, ValueError) as error:
            if not self.has(key):
                raise DataError(f"There is no record '{key}' in '{self.folder}'.") from error
            reason = f"The record '{path.name}' is damaged ({error}). Explain the sample again."
            self.damaged[key] = reason
            raise DataError(reason) from error
        return dict(record)

    def record_sha256(self, key: str) -> str:
        """Return the SHA-256 of the file of a record.

        Raises
        ------
        DataError
            If it is missing or cannot be read.
        """
        return hashlib.sha256(read_bytes(self._record_path(key), MAX_RECORD_BYTES)).hexdigest()

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield key and record of all readable records; the others are listed in ``damaged``."""
        for number, key in enumerate(self.keys()):
            check_time(f"{number} records")
            try:
                yield key, self.record(key)
            except DataError as error:
                self.damaged.setdefault(key, str(error))

    def damage(self) -> str:
        """Return a sentence about the unreadable records, of which there must be some."""
        first = next(iter(self.damaged.values()))
        return f"{len(self.damaged)} records cannot be read; the first: {first}"

    def entries(self) -> Iterator[ReportEntry | FailedEntry]:
        """Yield an entry for each method and each failure; images are read on request.

        Entries come in the order of the keys, and methods in that of the record.
        """
        for key, record in self.records():
            with suppress(DataError):  # listed in ``damaged``
                yield from self.entries_of(key, record)

    def entries_of(
        self, key: str, record: Mapping[str, Any] | None = None
    ) -> list[ReportEntry | FailedEntry]:
        """Return the entries of one record.

        Raises
        ------
        DataError
            If the record is missing or incomplete.
        """
        record = self.record(key) if record is None else record
        try:
            return self._entries(key, record)
        except WRONG_KINDS as error:
            reason = f"The record '{key}' is damaged ({error!r}). Explain the sample again."
            self.damaged[key] = reason
            raise DataError(reason) from error

    def image(self, key: str, name: str) -> NDArray[np.float32]:
        """Read one image of a task, (C, *S), such as ``"query"`` or ``"d-ig/attribution"``.

        Raises
        ------
        DataError
            If it is missing or damaged.
        """
        return task_images.read(self.folder / IMAGES / key, name)

    def image_names(self, key: str) -> tuple[str, ...]:
        """Return the names of the images of a task.

        Raises
        ------
        DataError
            If they are damaged or missing.
        """
        return tuple(task_images.names_in(self.folder / IMAGES / key)[0])

    def seconds(self, key: str) -> dict[str, float]:
        """Return the recorded seconds of the search (``""``) and of each method."""
        if self._seconds is None:
            self._seconds = _read_timings(self.folder / TIMINGS, self.notes)
        return self._seconds.get(key, {})

    def write(
        self,
        record: Mapping[str, Any],
        images: task_images.Images | None = None,
        seconds: Mapping[str, float] | None = None,
    ) -> str:
        """Write a task, as a whole or not at all.

        Parameters
        ----------
        record : mapping
            See :func:`~napari_quac.reports.record.explained_record`.
        images : mapping of str to (C, *S) ndarray, optional
            See :func:`~napari_quac.reports.task_images.images_of`; none for a failure.
        seconds : mapping of str to float, optional
            Seconds of the search (``""``) and of each method.

        Returns
        -------
        key : str

        Raises
        ------
        StorageError
            If the disk is full, or the store is read-only.
        """
        self._check_writable()
        if (
            classes := tuple(record.get("classes", self.info.class_names))
        ) != self.info.class_names:
            stored = ", ".join(self.info.class_names)
            raise DataError(
                f"'{self.folder}' has the classes {stored}, in this order, not "
                f"{', '.join(classes)}. Choose another folder."
            )
        key = task_key(record["id"], record["target"])
        path = self._record_path(key)
        contents: dict[Path, Content] = {}
        if images:
            place = (record.get("scale"), record.get("translate"), record.get("unit"))
            contents[self.folder / IMAGES / key] = task_images.encode(images, *place)
        if seconds:
            self._record_seconds(key, seconds)
        # a record never describes other images than its own
        write_files({**contents, path: to_json(record)}, outdated=path)
        self._keys[key] = None
        return key

    def forget(self, key: str) -> None:
        """Remove a record, so that the sample is explained again."""
        self._check_writable()
        path = self._record_path(key)
        with storage_errors(path):
            path.unlink(missing_ok=True)
        self._keys.pop(key, None)

    def clean(self) -> int:
        """Remove unfinished files of interrupted processes; return their number."""
        self._check_writable()
        return sum(remove_leftovers(self.folder / name) for name in (RECORDS, IMAGES, "."))

    def finished(self, targets: str | Sequence[str] | None = None) -> dict[str, bool]:
        """Return the id of each sample with a record, and whether all its targets are answered.

        A failure does not count as an answer: a resumed run tries it again.

        Parameters
        ----------
        targets : "auto", "all" or sequence of str, optional
            Targets of every sample now. A sample with other targets before is finished once these
            are answered, too.
        """
        samples: dict[str, _Answers] = {}
        for _, record in self.records():
            sample = samples.setdefault(record["id"], _Answers())
            sample.source = record.get("source") or sample.source
            sample.targets.update(record.get("asked") or [record["target"] or ""])
            if self.is_answered(record):
                sample.answered.add(record["target"])
        # the automatic target is known only if it, or every target, was explained before
        is_known = targets != AUTO or self.info.settings.targets in (AUTO, ALL)
        required: set[str] = set()
        if targets == ALL:
            required = {*self.info.class_names}
        elif targets is not None and targets != AUTO:
            required = {targets} if isinstance(targets, str) else {*targets}
        return {
            sample_id: is_known
            and sample.targets <= sample.answered
            and sample.source is not None
            and required - {sample.source} <= sample.answered
            for sample_id, sample in samples.items()
        }

    @staticmethod
    def is_answered(record: Mapping[str, Any]) -> bool:
        """Return whether nothing failed that may succeed another time.

        A method that the network does not allow never succeeds.
        """
        failures = record.get("failed_methods", {}).values()
        return not is_failed(record) and all(f["kind"] == UNAVAILABLE for f in failures)

    def write_traceback(self, key: str, details: str) -> None:
        """Write the traceback of an internal error to ``faults/KEY.txt``."""
        write_file(self.folder / FAULTS / f"{key}.txt", details.encode(errors="replace"))

    def _record_path(self, key: str) -> Path:
        return self.folder / RECORDS / f"{key}.json"

    def _check_writable(self) -> None:
        if self.read_only:
            raise StorageError(f"Nothing can be added to '{self.folder}': {self.read_only}.")
        if not is_regular_file(self.folder / INFO):
            raise StorageError(
                f"'{self.folder}' no longer holds '{INFO}', so nothing was added. Choose a folder "
                "that stays in its place.",
                concerns_all=True,
            )

    def _record_seconds(self, key: str, seconds: Mapping[str, float]) -> None:
        path = self.folder / TIMINGS / f"{socket.gethostname()}-{os.getpid()}.jsonl"
        rounded = {name: round(duration, 4) for name, duration in seconds.items()}
        append_line(path, json.dumps({"key": key, "seconds": rounded}))

    def _entries(self, key: str, record: Mapping[str, Any]) -> list[ReportEntry | FailedEntry]:
        names = self.info.class_names
        if is_failed(record):
            target = None if record["target"] is None else names.index(record["target"])
            source = names.index(record["source"]) if record.get("source") else None
            return [FailedEntry(record["id"], target, record["stage"], record["error"], source)]
        seconds = self.seconds(key)
        entries: list[ReportEntry | FailedEntry] = [
            entry_from_record(
                record,
                method,
                names,
                self._thresholds,
                whole_curve(numbers["curve"], "mask_sizes"),
                whole_curve(numbers["curve"], "score_changes"),
                source_basis=record["source_basis"],
                seconds=seconds.get(method),
                read=partial(self._read_array, key, method),
            )
            for method, numbers in record["methods"].items()
        ]
        source, target = names.index(record["source"]), names.index(record["target"])
        entries += [
            FailedEntry(record["id"], target, failure["stage"], failure["error"], source)
            for failure in record["failed_methods"].values()
        ]
        return entries

    def _read_array(self, key: str, method: str, name: str) -> NDArray[np.float32]:
        of_the_pair = name in task_images.OF_THE_PAIR
        return self.image(key, name if of_the_pair else f"{method}/{name}")


@dataclass
class _Answers:
    """Source, requested and answered targets of one sample."""

    source: str | None = None
    targets: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)


def _readable(text: str, length: int) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._")[-length:] or "_"


def _is_free(folder: Path) -> bool:
    """Return whether a folder is empty, or an interrupted creation of a store left it.

    The description is written last, so a store without it has no records.
    """
    try:
        visible = [path for path in folder.iterdir() if not path.name.startswith(".")]
        inside = [file for path in visible if path.name in FOLDERS for file in path.iterdir()]
    except OSError:  # a file, or nothing that can be listed
        return False
    is_begun = all(path.name in FOLDERS for path in visible)
    return is_begun and all(f.name == "zarr.json" or f.name[0] == "." for f in inside)


def _read_timings(folder: Path, notes: list[str]) -> dict[str, dict[str, float]]:
    """Return the seconds of each record, and note what cannot be read: it is no part of them."""
    seconds: dict[str, dict[str, float]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        try:
            content = read_bytes(path)
        except DataError as error:
            notes.append(f"Seconds of records cannot be read: {error}")
            continue
        for line in content.decode(errors="replace").splitlines():
            _add_seconds(seconds, line)
    return seconds


def _add_seconds(seconds: dict[str, dict[str, float]], line: str) -> None:
    """Add one line of timings; the last line of a process that was killed is incomplete."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        entry = parse_json(line)
        numbers = {str(name): float(number) for name, number in entry["seconds"].items()}
        seconds[entry["key"]] = {name: n for name, n in numbers.items() if 0 <= n < math.inf}
