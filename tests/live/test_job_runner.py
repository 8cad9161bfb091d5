"""Jobs of the lane: a job that was stopped says nothing more."""

from __future__ import annotations

from collections.abc import Callable

from napari_quac.live.job_runner import JobRunner
from napari_quac.live.lane import Lane


def test_a_result_that_is_under_way_when_its_job_is_stopped_is_dropped() -> None:
    under_way: list[Callable[[], None]] = []
    lane = Lane(under_way.append)
    runner, results = JobRunner(lane), []
    for is_stopped in (True, False):
        runner.run("slot", "counting", lambda: 3, results.append)
        assert lane.wait_idle()
        assert len(under_way) == 1 and "slot" in runner.running
        assert not is_stopped or runner.stop("slot")
        under_way.pop()()
        assert results == ([] if is_stopped else [3])
        assert not runner.running
    lane.close()
