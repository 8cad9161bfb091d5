from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_quac.data.file_walk import files_below
from napari_quac.data.image_search import find_images
from napari_quac.live.lane import Lane, Priority
from napari_quac.networks.tensor_file import file_hash
from napari_quac.reports.quac_read import find_quac_files
from napari_quac.stepwise import Progress, stepwise


class Owner:
    """A thread that owns a lane: answers wait in a queue until they are fetched."""

    def __init__(self) -> None:
        self.calls: queue.Queue[Callable[[], None]] = queue.Queue()
        self.lane = Lane(self.calls.put)
        self.done: list[Any] = []
        self.failed: list[BaseException] = []
        self.progress: list[Progress] = []

    def submit(
        self, slot: str, start: Callable[[], Any], priority: Priority = Priority.NORMAL
    ) -> None:
        self.lane.submit(
            slot, start, self.done.append, self.failed.append, self.progress.append, priority
        )

    def fetch(self) -> None:
        assert self.lane.wait_idle(10)
        while not self.calls.empty():
            self.calls.get()()


@pytest.fixture
def owner() -> Iterator[Owner]:
    made = Owner()
    yield made
    assert made.lane.close()


@stepwise
def counting(
    n: int, log: list[Any] | None = None, name: str = ""
) -> Generator[Progress, None, int]:
    for i in range(n):
        if log is not None:
            log.append(f"{name}{i}")
        yield Progress(i, n)
    return n


def blocked(owner: Owner) -> threading.Event:
    """Keep the lane busy until the event is set."""
    started, gate = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        gate.wait(10)

    owner.lane.submit("blocker", work, lambda _: None, owner.failed.append)
    assert started.wait(10)
    return gate


def test_result_of_steps_is_delivered_with_its_progress(owner: Owner) -> None:
    owner.submit("a", lambda: counting(3))
    owner.fetch()
    assert owner.done == [3]
    assert [p.done for p in owner.progress] == [0, 1, 2]


def test_plain_function_is_one_step(owner: Owner) -> None:
    owner.submit("a", lambda: "value")
    owner.fetch()
    assert owner.done == ["value"]


@pytest.mark.parametrize(
    "error", [RuntimeError("cuda"), MemoryError(), KeyboardInterrupt(), SystemExit(3), ValueError()]
)
def test_every_exception_is_delivered_and_the_lane_lives_on(
    owner: Owner, error: BaseException
) -> None:
    @stepwise
    def failing() -> Generator[Progress, None, int]:
        yield Progress(0, 2)
        raise error

    owner.submit("a", failing)
    owner.fetch()
    assert owner.failed == [error]
    owner.submit("a", lambda: counting(1))
    owner.fetch()
    assert owner.done == [1]


def test_urgent_work_overtakes_between_two_steps(owner: Owner) -> None:
    log: list[str] = []
    gate = blocked(owner)
    owner.submit("long", lambda: counting(3, log, "long"))
    owner.submit("urgent", lambda: counting(2, log, "urgent"), priority=Priority.URGENT)
    gate.set()
    owner.fetch()
    assert log == ["urgent0", "urgent1", "long0", "long1", "long2"]


def test_newest_request_in_a_slot_wins(owner: Owner) -> None:
    gate = blocked(owner)
    owner.submit("a", lambda: "old")
    owner.submit("a", lambda: "new")
    gate.set()
    owner.fetch()
    assert owner.done == ["new"]


def test_answer_that_was_replaced_meanwhile_is_dropped(owner: Owner) -> None:
    owner.submit("a", lambda: "old")
    assert owner.lane.wait_idle(10)
    late = owner.calls.get()
    owner.lane.submit("a", lambda: counting(1), owner.done.append, owner.failed.append)
    owner.lane.wait_idle(10)
    late()
    assert owner.done == ["old"], "finished before it was replaced: its answer counts"
    gate = blocked(owner)
    owner.submit("b", lambda: "never")
    owner.lane.cancel("b")
    gate.set()
    owner.fetch()
    assert "never" not in owner.done


def test_cancel_closes_the_steps_in_the_lane_and_delivers_nothing(owner: Owner) -> None:
    closed_in: list[str] = []
    started = threading.Event()

    @stepwise
    def endless() -> Generator[Progress, None, None]:
        try:
            while True:
                started.set()
                yield Progress(0, None)
                time.sleep(0.001)
        finally:
            closed_in.append(threading.current_thread().name)

    owner.submit("a", endless)
    assert started.wait(10)
    assert owner.lane.cancel("a")
    owner.fetch()
    assert closed_in == ["quac-lane"]
    assert not owner.done and not owner.failed
    assert not owner.lane.cancel("a")


def test_closing_during_a_step_ends_the_thread(owner: Owner) -> None:
    gate = blocked(owner)
    threading.Timer(0.05, gate.set).start()
    assert owner.lane.close()
    assert not owner.lane.is_alive
    owner.submit("late", lambda: 1)
    assert not owner.lane.wait_idle(0.05) or not owner.done


def hash_again(path: Path) -> None:
    (path / "network.pt").write_bytes(time.monotonic_ns().to_bytes(8, "big"))  # not hashed before
    file_hash(path / "network.pt")


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize("search", [files_below, find_images, find_quac_files, hash_again])
def test_a_search_of_files_ends_within_its_step(
    owner: Owner, tmp_path: Path, search: Callable[[Path], Any], closes: bool
) -> None:
    (tmp_path / "report.json").write_text("{}")
    started, ended = threading.Event(), threading.Event()

    def search_for_long() -> None:
        end = time.monotonic() + 20
        try:
            while time.monotonic() < end:
                search(tmp_path)
                started.set()
        finally:
            ended.set()

    owner.submit("a", search_for_long)
    assert started.wait(10)
    if closes:
        assert owner.lane.close(timeout=5)
        return
    owner.submit("a", lambda: "the next folder")
    assert ended.wait(5)
    owner.fetch()
    assert owner.done == ["the next folder"] and not owner.failed


def test_a_deliver_that_fails_does_not_kill_the_thread() -> None:
    def deliver(answer: Callable[[], None]) -> None:
        raise RuntimeError("wrapped C++ object has been deleted")

    lane = Lane(deliver)
    lane.submit("a", lambda: 1, lambda _: None, lambda _: None)
    assert lane.wait_idle(10)
    assert lane.is_alive
    assert lane.close()


def test_what_prepares_the_thread_runs_in_it_first() -> None:
    names: list[str] = []
    lane = Lane(
        lambda answer: None, lambda: names.append(threading.current_thread().name), "quac-x"
    )
    lane.submit("a", lambda: names.append("a"), lambda _: None, lambda _: None)
    assert lane.wait_idle(10)
    assert names == ["quac-x", "a"]
    assert lane.close()


def test_background_work_waits_for_all_other_work(owner: Owner) -> None:
    log: list[str] = []
    gate = blocked(owner)
    owner.lane.submit(
        "all", lambda: counting(3, log, "all"), owner.done.append, owner.failed.append,
        priority=Priority.BACKGROUND,
    )  # fmt: skip
    owner.submit("one", lambda: counting(3, log, "one"))
    gate.set()
    owner.fetch()
    assert log == ["one0", "one1", "one2", "all0", "all1", "all2"]
    assert not owner.failed
