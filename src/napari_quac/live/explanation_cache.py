"""Explanations of this session: in memory, the oldest ones in files, until the session ends."""

from __future__ import annotations

import hashlib
import io
import pickle
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.data.dataset import Sample
from napari_quac.errors import StorageError
from napari_quac.live.cache_folder import CacheFolder

if TYPE_CHECKING:
    from napari_quac.explain.explanation import Explanations
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.settings import ExplainSettings, SearchSettings

MEMORY_BYTES = 512 * 2**20
DISK_BYTES = 5 * 2**30
_NO_SAMPLE: Any = Sample("", None)  # type: ignore[arg-type]
"""Stands for the query in files; it is read again with its dataset."""


@dataclass(frozen=True)
class ExplanationKey:
    """Networks and image of explanations.

    Attributes
    ----------
    classifier, generator : str
        As in :class:`~napari_quac.live.identity.ResultOrigin`.
    sample_id : str
        Part of the seed of a search.
    image : str
        Hash of the image. Samples are compared by it rather than by their dataset, so that points
        can be added to one.
    """

    classifier: str
    generator: str
    sample_id: str
    image: str


@dataclass(frozen=True)
class ExplanationView:
    """View of the explanations of a sample.

    Attributes
    ----------
    shown_method : str
    threshold : float or None
        None for the optimum.
    proposal_index : int or None
        None for the chosen proposal of the search.
    """

    shown_method: str
    threshold: float | None = None
    proposal_index: int | None = None


@dataclass(frozen=True, eq=False)
class CachedExplanations:
    """Result of a search, and the explanations of its proposals.

    Attributes
    ----------
    pair : Pair
        The pair that the search chose, with its other proposals.
    search : (SearchSettings, int), or None
        Settings and seed with which the search finds this pair again; None if it depends on more.
    explanations : tuple of Explanations
        One for each proposal and settings, the latest last; none of them preliminary.
    """

    pair: Pair
    search: tuple[SearchSettings, int] | None = None
    explanations: tuple[Explanations, ...] = ()

    def with_explanations(self, explanations: Explanations) -> CachedExplanations:
        """Return this with the exact explanations of a proposal, in place of earlier ones."""
        exact = replace(explanations.exact(), partial_mask=None)
        others = [
            other
            for other in self.explanations
            if not (_are_of(other, exact.pair) and _extends(exact.settings, other.settings))
        ]
        return replace(self, explanations=(*others, exact))

    def includes(self, explanations: Explanations) -> bool:
        """Tell whether there is nothing to add from explanations of one of the proposals."""
        return any(
            entry.settings == explanations.settings
            and entry.failures.keys() == explanations.failures.keys()
            and entry.by_method.keys() == explanations.exact().by_method.keys()
            and all(entry[name].curve is explanations[name].curve for name in entry)
            for entry in self.explanations
            if _are_of(entry, explanations.pair)
        )

    def explanations_of(self, pair: Pair, settings: ExplainSettings) -> Explanations | None:
        """Return the explanations of a proposal; the most similar ones without these settings.

        They may lack methods, or have other masks.
        """
        candidates = [entry for entry in self.explanations if _are_of(entry, pair)]
        for entry in reversed(candidates):
            if _extends(entry.settings, settings):
                names = settings.methods
                return replace(
                    entry,
                    settings=settings,
                    by_method={name: entry[name] for name in names if name in entry},
                    failures={n: entry.failures[n] for n in names if n in entry.failures},
                )
        return candidates[-1] if candidates else None

    def bind(self, sample: Sample) -> CachedExplanations:
        """Return this for a sample that was read again."""
        if self.pair.query is sample:
            return self
        proposals = tuple(replace(p, query=sample) for p in self.pair.proposals)
        pair = replace(self.pair, query=sample, proposals=proposals)
        return replace(
            self,
            pair=pair,
            explanations=tuple(
                entry.bind(replace(entry.pair, query=sample)) for entry in self.explanations
            ),
        )

    @property
    def n_bytes(self) -> int:
        """Size of all arrays, each counted once."""
        return sum({id(array): array.nbytes for array in self._arrays()}.values())

    def _arrays(self) -> Iterator[Any]:
        yield self.pair.query.image
        for pair in (self.pair, *self.pair.proposals):
            yield pair.generated
        for explanations in self.explanations:
            for explanation in explanations.values():
                attribution, curve = explanation.attribution, explanation.curve
                hybrid = explanation.counterfactual
                yield from (attribution.values, attribution.signed, curve.closed, curve.predictions,
                            hybrid.image, hybrid.mask)  # fmt: skip


@dataclass(eq=False)
class _Slot:
    """Explanations of one question; in memory, in a file, or in both."""

    entry: CachedExplanations | None
    n_bytes: int
    view: ExplanationView | None = None
    path: Path | None = None
    digest: bytes = b""
    file_bytes: int = 0
    is_explained: bool = False
    is_saved: bool = False


Question = tuple[int, int]
"""Source and target class."""


class ExplanationCache:
    """Explanations by sample and question; the least recently used ones lie in files.

    Memory is freed by :meth:`move_to_disk`, which belongs into the lane, as :meth:`read` does. All
    methods are safe in any thread.

    Parameters
    ----------
    folder : CacheFolder, optional
        Folder for the files, by default in the user's cache.
    memory_bytes, disk_bytes : int
        Limits.
    """

    def __init__(
        self,
        folder: CacheFolder | None = None,
        memory_bytes: int = MEMORY_BYTES,
        disk_bytes: int = DISK_BYTES,
    ) -> None:
        self.folder = folder or CacheFolder()
        self.memory_bytes, self.disk_bytes = memory_bytes, disk_bytes
        self._slots: OrderedDict[tuple[ExplanationKey, Question], _Slot] = OrderedDict()
        self._lock = threading.RLock()
        self._count = 0
        self._is_disk_usable = True

    @property
    def is_empty(self) -> bool:
        """True before the first explanation."""
        return not self._slots

    @property
    def needs_disk(self) -> bool:
        """True if memory holds more than its limit."""
        with self._lock:
            return self._memory() > self.memory_bytes

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The pairs with explanations that are in memory."""
        with self._lock:
            entries = [slot.entry for slot in self._slots.values()]
        return tuple(entry.pair for entry in entries if entry is not None and entry.explanations)

    def put(self, key: ExplanationKey, entry: CachedExplanations) -> None:
        """Keep explanations, in place of those of the same question."""
        place = key, _question(entry.pair)
        with self._lock:
            before = self._slots.pop(place, None)
            if before is not None:
                self._forget_file(before)
            view = before.view if before is not None else None
            self._slots[place] = _Slot(
                entry, entry.n_bytes, view, is_explained=bool(entry.explanations)
            )

    def get(
        self, key: ExplanationKey, question: Question | None = None
    ) -> CachedExplanations | None:
        """Return the explanations of a question if they are in memory.

        Parameters
        ----------
        key : ExplanationKey
            Networks and image.
        question : (int, int), optional
            Source and target; without explanations of it, those of the last question.
        """
        with self._lock:
            place = self._find(key, question)
            if place is None:
                return None
            slot = self._slots[place]
            if slot.entry is not None:
                self._slots.move_to_end(place)
            return slot.entry

    def is_on_disk(self, key: ExplanationKey, question: Question | None = None) -> bool:
        """Return True if :meth:`get` would find the explanations after :meth:`read`."""
        with self._lock:
            place = self._find(key, question)
            return place is not None and self._slots[place].entry is None

    def read(self, key: ExplanationKey, question: Question | None = None) -> bool:
        """Read explanations back into memory; False if there are none, or their file was lost."""
        with self._lock:
            place = self._find(key, question)
            slot = self._slots[place] if place is not None else None
        if place is None or slot is None or slot.path is None:
            return False
        entry = _from_file(slot.path, slot.digest)
        if entry is None:
            with self._lock:
                if self._slots.get(place) is slot:
                    del self._slots[place]
            return False
        with self._lock:
            slot.entry = slot.entry or entry
            if place in self._slots:
                self._slots.move_to_end(place)
        return True

    def peek(self, key: ExplanationKey, question: Question) -> CachedExplanations | None:
        """Return the explanations of this very question, which stay in their file if they are."""
        with self._lock:
            slot = self._slots.get((key, question))
            entry, path = (slot.entry, slot.path) if slot is not None else (None, None)
            digest = slot.digest if slot is not None else b""
        return entry if entry is not None or path is None else _from_file(path, digest)

    def latest(self, key: ExplanationKey) -> CachedExplanations | None:
        """Return the last explanations of a sample, which stay in their file if they are."""
        with self._lock:
            place = self._find(key, None)
        return None if place is None else self.peek(*place)

    @property
    def unsaved(self) -> tuple[tuple[ExplanationKey, Question], ...]:
        """The samples and questions whose explanations exist nowhere else."""
        with self._lock:
            slots = self._slots.items()
            return tuple(place for place, s in slots if s.is_explained and not s.is_saved)

    def note_saved(self, key: ExplanationKey, question: Question) -> None:
        """Note that the explanations of a question are in a folder of the user as well."""
        with self._lock:
            slot = self._slots.get((key, question))
            if slot is not None:
                slot.is_saved = True

    def view(self, key: ExplanationKey, question: Question) -> ExplanationView | None:
        """Return how the explanations of a question were displayed last."""
        with self._lock:
            slot = self._slots.get((key, question))
            return slot.view if slot is not None else None

    def set_view(self, key: ExplanationKey, question: Question, view: ExplanationView) -> None:
        """Note how the explanations of a question are displayed."""
        with self._lock:
            slot = self._slots.get((key, question))
            if slot is not None:
                slot.view = view

    def move_to_disk(self) -> None:
        """Bring memory below its limit, and the files below theirs.

        Raises
        ------
        StorageError
            Once, if the files cannot be written. From then on, memory alone is used, and the least
            recently used explanations are dropped.
        """
        while (oldest := self._oldest()) is not None:
            place, slot, entry = oldest
            if slot.path is None and self._is_disk_usable:
                try:
                    self._write(slot, entry)
                except StorageError:
                    self._is_disk_usable = False
                    self.move_to_disk()
                    raise
            with self._lock:
                slot.entry = None
                if self._slots.get(place) is not slot:  # replaced meanwhile
                    self._forget_file(slot)
                elif slot.path is None:
                    del self._slots[place]
        with self._lock:
            for place, slot in list(self._slots.items()):
                if self._disk() <= self.disk_bytes:
                    break
                self._forget_file(slot)
                if slot.entry is None:
                    del self._slots[place]

    def close(self) -> None:
        """Forget everything and remove the files."""
        with self._lock:
            self._slots.clear()
        self.folder.remove()

    def _find(
        self, key: ExplanationKey, question: Question | None
    ) -> tuple[ExplanationKey, Question] | None:
        if question is not None and (key, question) in self._slots:
            return key, question
        return next((place for place in reversed(self._slots) if place[0] == key), None)

    def _oldest(self) -> tuple[Any, _Slot, CachedExplanations] | None:
        """Return what leaves memory next; None while there is room, and never the latest."""
        with self._lock:
            if self._memory() <= self.memory_bytes:
                return None
            in_memory = [(p, s, s.entry) for p, s in self._slots.items() if s.entry is not None]
            return in_memory[0] if len(in_memory) > 1 else None

    def _write(self, slot: _Slot, entry: CachedExplanations) -> None:
        content = _to_bytes(entry)
        self._count += 1
        path = self.folder.write(f"{self._count}.pickle", content)
        with self._lock:
            slot.path, slot.file_bytes = path, len(content)
            slot.digest = hashlib.sha256(content).digest()

    def _forget_file(self, slot: _Slot) -> None:
        if slot.path is not None:
            slot.path.unlink(missing_ok=True)
            slot.path, slot.file_bytes = None, 0

    def _memory(self) -> int:
        return sum(slot.n_bytes for slot in self._slots.values() if slot.entry is not None)

    def _disk(self) -> int:
        return sum(slot.file_bytes for slot in self._slots.values())


def _question(pair: Pair) -> Question:
    return pair.source, pair.target


def _are_of(explanations: Explanations, pair: Pair) -> bool:
    return explanations.pair.generated is pair.generated


def _extends(settings: ExplainSettings, before: ExplainSettings) -> bool:
    """Return True if settings differ from earlier ones by nothing, or by additional methods."""
    return set(before.methods) <= set(settings.methods) and before == settings.with_methods(
        before.methods
    )


def _from_file(path: Path, digest: bytes) -> CachedExplanations | None:
    """Read a file of this process; None if it is gone or altered.

    Somebody may have emptied the cache folder. Only bytes that this process has written are
    unpickled.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(content).digest() != digest:
        return None
    entry: CachedExplanations = pickle.loads(content)  # noqa: S301 - its own, by the digest
    return entry


class _Pickler(pickle.Pickler):
    """Writes tensors as arrays of their own values, without the rest of a shared storage."""

    def reducer_override(self, value: Any) -> Any:
        import numpy as np
        import torch

        if isinstance(value, torch.Tensor):
            return torch.from_numpy, (np.array(value.detach().cpu().numpy(), order="C"),)
        return NotImplemented


def _to_bytes(entry: CachedExplanations) -> bytes:
    """Return explanations as the content of a file that only this process reads."""
    entry = entry.bind(_NO_SAMPLE)
    try:
        return _pickled(entry)
    except (pickle.PicklingError, TypeError, AttributeError):
        # an error of another package; its method is computed again
        explanations = tuple(replace(e, failures={}) for e in entry.explanations)
        return _pickled(replace(entry, explanations=explanations))


def _pickled(entry: CachedExplanations) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, protocol=5).dump(entry)
    return stream.getvalue()
