"""Collections are short while a dock is open; afterwards the process collects as before."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from gui.conftest import explain, load, open_dock
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.garbage import MOST_OBJECTS, NEVER, ShortCollections


class Knot:
    """An object that only a collection frees."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def thawed() -> Iterator[tuple[int, int, int]]:
    """The collector as a process has it that froze nothing, unlike these tests."""
    n_frozen = gc.get_freeze_count()
    gc.unfreeze()
    yield gc.get_threshold()
    gc.collect()
    if n_frozen:
        gc.freeze()


def seconds_of_a_collection() -> float:
    begun = time.thread_time()
    gc.collect()
    return time.thread_time() - begun


@pytest.mark.usefixtures("make_napari_viewer")
def test_a_full_collection_is_short_while_a_dock_is_open(
    thawed: tuple[int, int, int], make_napari_viewer: Any
) -> None:
    viewer = make_napari_viewer()
    before = min(seconds_of_a_collection() for _ in range(2))
    dock: QuacDock = open_dock(viewer)
    load(dock)
    explain(dock)
    dock._collections.collect()
    assert gc.get_freeze_count() > 0 and gc.get_threshold()[2] == NEVER
    assert seconds_of_a_collection() < before / 2
    dock.shut_down()
    assert gc.get_freeze_count() == 0 and gc.get_threshold() == thawed


def test_two_docks_share_the_collections(thawed: tuple[int, int, int]) -> None:
    first, second = ShortCollections(), ShortCollections()
    first.close()
    first.close()
    assert gc.get_freeze_count() > 0 and gc.get_threshold() == (*thawed[:2], NEVER)
    second.close()
    assert gc.get_freeze_count() == 0 and gc.get_threshold() == thawed


def test_garbage_of_the_work_is_freed_by_the_timer(thawed: tuple[int, int, int]) -> None:
    collections = ShortCollections()
    knots = [Knot() for _ in range(10)]
    watched = weakref.ref(knots[0])
    gc.collect(1)  # grows old
    gc.get_objects()
    del knots
    for _ in range(2):
        gc.collect(1)
    assert watched() is not None
    collections.collect()
    assert watched() is None
    collections.close()


def test_many_new_objects_are_left_out(thawed: tuple[int, int, int]) -> None:
    collections = ShortCollections()
    frozen = gc.get_freeze_count()
    many = [[[]] for _ in range(MOST_OBJECTS)]
    gc.collect(1)
    collections.collect()
    assert gc.get_freeze_count() > frozen + MOST_OBJECTS
    assert len(gc.get_objects(generation=2)) < MOST_OBJECTS
    del many
    collections.close()


def test_nothing_changes_where_another_program_froze_objects() -> None:
    gc.freeze()
    before = gc.get_threshold()
    collections = ShortCollections()
    assert gc.get_threshold() == before and not collections._timer.isActive()
    collections.close()
    assert gc.get_freeze_count() > 0
