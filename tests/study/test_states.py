"""The order of states, and who may change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_quac.study.states import (
    BEFORE,
    LOG,
    STATES,
    StateError,
    change_state,
    current_state,
    read_changes,
    running_raters,
)

WAY = ("sealed", "running", "paused", "running", "ended", "unblinded")


def go(folder: Path, *states: str) -> None:
    for state in states:
        change_state(folder, state, "Ann")  # type: ignore[arg-type]


def test_the_whole_way_is_allowed_and_logged_with_name_and_time(tmp_path: Path) -> None:
    assert current_state(read_changes(tmp_path)) == "draft"
    go(tmp_path, *WAY)
    changes = read_changes(tmp_path)
    assert tuple(change.state for change in changes) == WAY
    assert {change.who for change in changes} == {"Ann"}
    times = [change.at for change in changes]
    assert times == sorted(times) and all(text.endswith("+00:00") for text in times)


@pytest.mark.parametrize("reached", STATES)
@pytest.mark.parametrize("state", STATES)
def test_every_other_change_is_an_error(tmp_path: Path, reached: str, state: str) -> None:
    go(tmp_path, *(WAY[: WAY.index(reached) + 1] if reached != "draft" else ()))
    if reached in BEFORE[state]:  # type: ignore[index]
        change_state(tmp_path, state, "Ann")  # type: ignore[arg-type]
        assert current_state(read_changes(tmp_path)) == state
        return
    content = (tmp_path / LOG).read_bytes() if reached != "draft" else None
    with pytest.raises(StateError, match=f"The study is {reached}"):
        change_state(tmp_path, state, "Ann")  # type: ignore[arg-type]
    assert content is None or (tmp_path / LOG).read_bytes() == content


def test_a_study_runs_as_long_as_one_rater_works(tmp_path: Path) -> None:
    change_state(tmp_path, "sealed", "Leader")
    change_state(tmp_path, "running", "Ann")
    change_state(tmp_path, "running", "Bob")
    change_state(tmp_path, "paused", "Ann")
    assert current_state(read_changes(tmp_path)) == "running"
    assert running_raters(read_changes(tmp_path)) == ("Bob",)
    with pytest.raises(StateError, match="'Ann' has no open session"):
        change_state(tmp_path, "paused", "Ann")
    change_state(tmp_path, "paused", "Bob")
    assert current_state(read_changes(tmp_path)) == "paused"


def test_a_line_that_a_crash_cut_off_costs_only_itself(tmp_path: Path) -> None:
    go(tmp_path, "sealed", "running")
    with (tmp_path / LOG).open("ab") as file:
        file.write(b'{"at": "2026-01-01", "wh')
    assert current_state(read_changes(tmp_path)) == "running"
    go(tmp_path, "paused")
    assert current_state(read_changes(tmp_path)) == "paused"
