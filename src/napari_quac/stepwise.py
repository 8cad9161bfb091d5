"""Long work as a generator that yields its progress and returns its result.

This is the only convention for long work: headless code calls ``.result()``, the compute lane
iterates it, and between two steps it can be stopped or overtaken. Within a step, such as the search
of a folder, :func:`check_canceled` can end it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from time import perf_counter
from typing import Any, Generic, ParamSpec, TypeVar, cast

from napari_quac.interruption import check_stopped

P = ParamSpec("P")
T = TypeVar("T")


class Canceled(BaseException):
    """The end of a step whose result is no longer needed."""


_thread = threading.local()


@contextmanager
def cancelable(is_canceled: Callable[[], bool]) -> Iterator[None]:
    """Let :func:`check_canceled` end the work of this thread inside of the block.

    Parameters
    ----------
    is_canceled : callable
        Returns True once the work is to end.
    """
    before = getattr(_thread, "is_canceled", None)
    _thread.is_canceled = is_canceled
    try:
        yield
    finally:
        _thread.is_canceled = before


def check_canceled() -> None:
    """End a step that was canceled; call it between two files of a folder.

    Raises
    ------
    Canceled
        If the work of this thread was canceled.
    """
    is_canceled = getattr(_thread, "is_canceled", None)
    if is_canceled is not None and is_canceled():
        raise Canceled


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """The progress of a piece of work.

    Attributes
    ----------
    done : int
        Number of finished steps.
    total : int or None
        Number of all steps, if known.
    text : str
        Text for the status line.
    partial : object
        Intermediate result for display, such as the best pair so far; None if there is none.
    state : object
        State to resume from if the work is stopped here; None if it cannot be resumed.
    finish : callable or None
        Ends the work early at its next step, with a result; None where that is impossible. Any
        thread may call it.
    """

    done: int
    total: int | None
    text: str = ""
    partial: Any = None
    state: Any = None
    finish: Callable[[], None] | None = None


class Steps(Generic[T]):
    """A piece of work that is done step by step.

    Iterate it for its progress, call :meth:`result` to do all of it at once, or write
    ``value = yield from steps`` inside of another stepwise function.

    Attributes
    ----------
    seconds : float
        Time spent in the steps themselves, without pauses between them, as :meth:`within` counts
        it.
    """

    def __init__(self, generator: Generator[Progress, None, T]) -> None:
        self._generator = generator
        self.seconds = 0.0

    def __iter__(self) -> Generator[Progress, None, T]:
        return self._generator

    def __next__(self) -> Progress:
        return next(self._generator)

    def result(self, progress: bool = False) -> T:
        """Do all remaining steps and return the result.

        Parameters
        ----------
        progress : bool
            Show a progress bar in the terminal or notebook.
        """
        if not progress:
            return self.follow(lambda step: None)
        bar = _progress_bar()

        def show(step: Progress) -> None:
            bar.total, bar.n = step.total, step.done
            bar.set_description_str(step.text)

        with bar:
            outcome = self.follow(show)
            bar.total = bar.n = bar.total or 1
            bar.refresh()
        return outcome

    def follow(self, on_step: Callable[[Progress], None]) -> T:
        """Do all remaining steps, call a function after each, and return the result.

        Parameters
        ----------
        on_step : callable
            Takes the progress; an error in it stops the work.
        """
        try:
            while True:
                on_step(next(self._generator))
                check_stopped()
        except StopIteration as end:
            return cast("T", end.value)
        finally:
            self._generator.close()

    def within(
        self,
        index: int,
        total: int,
        text: str | Callable[[Progress], str] = "",
        *,
        resolution: int = 100,
        partial: Callable[[Progress], Any] | None = None,
    ) -> Generator[Progress, None, T]:
        """Do the steps as one of several items: ``value = yield from steps.within(2, 5)``.

        Parameters
        ----------
        index : int
            Position of this item, from 0.
        total : int
            Number of items.
        text : str or callable
            Status text in place of that of the steps; a callable derives it from each step.
        resolution : int
            Units of progress per item. With 1, ``done`` counts finished items.
        partial : callable, optional
            Derives the partial result of the whole work from a step; by default there is none.

        Returns
        -------
        generator
            Yields the progress within the whole work, returns the result of the steps.
        """
        try:
            while True:
                begun = perf_counter()
                try:
                    step = next(self._generator)
                except StopIteration as end:
                    return cast("T", end.value)
                finally:
                    self.seconds += perf_counter() - begun
                share = step.done / step.total if step.total else 0.0
                yield Progress(
                    # an item counts as finished when the next one begins
                    resolution * index + min(int(resolution * share), resolution - 1),
                    resolution * total,
                    text(step) if callable(text) else text or step.text,
                    partial(step) if partial is not None else None,
                    finish=step.finish,
                )
        finally:
            self._generator.close()

    def map_partial(self, convert: Callable[[Any], Any]) -> Generator[Progress, None, T]:
        """Do the steps with other partial results: ``value = yield from steps.map_partial(f)``.

        Parameters
        ----------
        convert : callable
            Takes each partial result and returns the one to yield; None for none.
        """
        try:
            while True:
                try:
                    step = next(self._generator)
                except StopIteration as end:
                    return cast("T", end.value)
                if step.partial is not None:
                    step = replace(step, partial=convert(step.partial))
                yield step
        finally:
            self._generator.close()

    def close(self) -> None:
        """Stop the work and release its resources."""
        self._generator.close()


def stepwise(function: Callable[P, Generator[Progress, None, T]]) -> Callable[P, Steps[T]]:
    """Turn a generator function into one that returns :class:`Steps`."""

    @wraps(function)
    def start(*args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        return Steps(function(*args, **kwargs))

    return start


def _progress_bar() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets, notebooks get a bar of text
        from tqdm.auto import tqdm

    return tqdm(total=None, bar_format="{desc:<40.40} {percentage:3.0f}%|{bar}| {elapsed}")
