from __future__ import annotations

from collections.abc import Generator

import pytest

from napari_quac.stepwise import Progress, Steps, stepwise

released: list[str] = []


@stepwise
def count(n: int) -> Generator[Progress, None, int]:
    """Count to n."""
    try:
        for done in range(n):
            yield Progress(done, n, "counting", partial=done)
    finally:
        released.append("count")
    return n


@stepwise
def twice(n: int) -> Generator[Progress, None, int]:
    first = yield from count(n)
    second = yield from count(n)
    return first + second


def test_result_does_all_steps() -> None:
    assert count(3).result() == 3


def test_iterating_yields_the_progress_of_each_step() -> None:
    progress = list(count(3))
    assert [(p.done, p.total, p.text, p.partial) for p in progress] == [
        (0, 3, "counting", 0),
        (1, 3, "counting", 1),
        (2, 3, "counting", 2),
    ]


def test_result_after_some_steps_does_the_rest() -> None:
    steps = count(5)
    next(steps)
    next(steps)
    assert steps.result() == 5


def test_nothing_runs_before_the_first_step() -> None:
    @stepwise
    def fails() -> Generator[Progress, None, None]:
        raise ValueError("ran")
        yield Progress(0, 1)

    steps = fails()
    with pytest.raises(ValueError, match="ran"):
        steps.result()


def test_steps_can_be_part_of_other_steps() -> None:
    steps = twice(2)
    assert len(list(steps)) == 4
    assert twice(2).result() == 4


def test_closing_releases_what_is_held_and_ends_the_work() -> None:
    released.clear()
    steps = twice(3)
    next(steps)
    steps.close()
    assert released == ["count"]
    assert list(steps) == []


def test_an_error_inside_comes_out_of_the_step_it_happened_in() -> None:
    @stepwise
    def second_step_fails() -> Generator[Progress, None, None]:
        yield Progress(0, 2)
        raise KeyError("second")

    steps = second_step_fails()
    assert next(steps).done == 0
    with pytest.raises(KeyError, match="second"):
        next(steps)


def test_the_function_keeps_its_name_and_docstring() -> None:
    assert count.__name__ == "count"
    assert count.__doc__ == "Count to n."
    assert isinstance(count(1), Steps)


def test_steps_within_a_whole_are_rescaled_and_return_their_result() -> None:
    steps = count(4)
    seen = []
    part = steps.within(1, 3)
    while True:
        try:
            seen.append(next(part))
        except StopIteration as end:
            assert end.value == 4
            break
    assert [(p.done, p.total, p.text, p.partial) for p in seen] == [
        (100, 300, "counting", None),
        (125, 300, "counting", None),
        (150, 300, "counting", None),
        (175, 300, "counting", None),
    ]
    assert steps.seconds > 0


def test_text_and_partial_result_within_a_whole_are_chosen_by_the_caller() -> None:
    texts = [p.text for p in count(2).within(0, 2, "item")]
    assert texts == ["item", "item"]
    part = list(count(2).within(0, 2, lambda p: f"at {p.done}", partial=lambda p: [p.partial]))
    assert [(p.text, p.partial) for p in part] == [("at 0", [0]), ("at 1", [1])]


def test_within_a_whole_that_counts_items_an_item_is_finished_when_the_next_begins() -> None:
    @stepwise
    def finishing() -> Generator[Progress, None, None]:
        yield Progress(0, None, "unknown length")
        yield Progress(1, 2)
        yield Progress(2, 2)

    part = list(finishing().within(5, 7, resolution=1))
    assert [(p.done, p.total) for p in part] == [(5, 7)] * 3


def test_ending_early_and_closing_reach_the_steps_within_a_whole() -> None:
    ended = []

    @stepwise
    def endless() -> Generator[Progress, None, None]:
        yield Progress(0, None, finish=lambda: ended.append("finish"))

    (step,) = endless().within(0, 1)
    assert step.finish is not None
    step.finish()
    assert ended == ["finish"]
    released.clear()
    part = count(3).within(0, 1)
    next(part)
    part.close()
    assert released == ["count"]


def test_following_calls_a_function_after_each_step_and_returns_the_result() -> None:
    seen: list[int] = []
    assert count(3).follow(lambda step: seen.append(step.done)) == 3
    assert seen == [0, 1, 2]


def test_error_while_following_stops_the_work() -> None:
    released.clear()

    def fail(step: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count(3).follow(fail)
    assert released == ["count"]
