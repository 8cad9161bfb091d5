"""Slots that never raise: the status line states what went wrong, and other slots continue.

An exception in a slot would end in ``sys.excepthook``, where PyQt ends the process unless the hook
was replaced; an exception in a listener of a result would keep all later listeners from it.
"""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from itertools import islice
from typing import Any, TypeVar, cast
from weakref import WeakMethod

from psygnal import EmitLoopError
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)
Report = Callable[[BaseException], None]

CALLBACKS = ("_on_", "_show")
"""Beginnings of the names of methods that are slots; event handlers of Qt are others."""

LOG = logging.getLogger(__name__)
_reports: list[WeakMethod[Report]] = []
_unreported: list[BaseException] = []
MOST_AT_ONCE = 20
"""Errors that are shown for one error, of the slots that show errors."""


def add_report(report: Report) -> None:
    """Report errors of slots to a dock, until :func:`remove_report`; without any, slots raise.

    Parameters
    ----------
    report : method of a QWidget
        Takes the exception. Errors of the widgets in its window are reported to it, and those of
        other objects to the method that was added last.
    """
    _reports.append(WeakMethod(report))


def remove_report(report: Report) -> None:
    """End what :func:`add_report` began."""
    _reports[:] = [entry for entry in _reports if entry() not in (None, report)]


def slot(function: F) -> F:
    """Return a function that reports what the given one raises, and then returns None.

    Arguments that the function does not take are left out, as Qt does for undecorated functions.
    """
    n_taken = _count_arguments(function)

    @wraps(function)
    def guarded_call(*arguments: Any, **named: Any) -> Any:
        try:
            return guarded_call.__wrapped__(*arguments[:n_taken], **named)
        except Exception as error:
            if not _report(error, arguments):
                raise
            return None

    @wraps(function)
    def guarded_steps(*arguments: Any) -> Iterator[Any]:
        try:
            yield from guarded_steps.__wrapped__(*arguments)
        except Exception as error:
            if not _report(error, arguments):
                raise

    kind: Any = guarded_steps if inspect.isgeneratorfunction(function) else guarded_call
    kind.is_slot = True
    return cast("F", kind)


def guarded(callback: Any) -> Any:
    """Return a slot for a plain function; methods of widgets and signals stay as they are."""
    is_of_widget = isinstance(getattr(callback, "__self__", None), QObject)
    return callback if is_of_widget or hasattr(callback, "emit") else slot(callback)


def event_filter(function: F) -> F:
    """Return an event filter that reports what the given one raises, and lets the event pass."""
    guarded_filter = slot(function)

    @wraps(guarded_filter)
    def passing(*arguments: Any) -> bool:
        return bool(guarded_filter(*arguments))

    return cast("F", passing)


def slots(cls: C) -> C:
    """Make slots of the callbacks of a class, and of its handlers of Qt's events.

    Callbacks are methods that return None and have names that begin as in :data:`CALLBACKS`; other
    methods that are connected to a signal are decorated with :func:`slot`.
    """
    for name, member in list(vars(cls).items()):
        if not inspect.isfunction(member) or hasattr(member, "is_slot"):
            continue
        if name == "eventFilter":
            setattr(cls, name, event_filter(member))
        elif member.__annotations__.get("return") in ("None", None):
            if name.startswith(CALLBACKS) or name.endswith("Event"):
                setattr(cls, name, slot(member))
    return cls


def _count_arguments(function: Callable[..., Any]) -> int | None:
    """Return how many positional arguments a function takes; None for any number."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a signal or a method of Qt
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in parameters)


def _report(error: Exception, arguments: tuple[Any, ...]) -> bool:
    """Report an error to the dock in whose window it occurred; False if there is no dock."""
    reports = [report for entry in _reports if (report := entry()) is not None]
    if not reports:
        return False
    cause = error
    while isinstance(cause, EmitLoopError) and isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
    # as text, since a record with the exception would keep the widgets of all its frames
    LOG.error("An error in the window:\n%s", "".join(traceback.format_exception(cause)))
    _unreported.append(cause)
    if len(_unreported) > 1:  # while another one is shown, perhaps by what shows it
        return True
    window = _window_of(arguments[0]) if arguments else None
    same = [report for report in reports if _window_of(_owner(report)) is window]
    try:
        for unreported in islice(_unreported, MOST_AT_ONCE):  # the list may grow meanwhile
            (same or reports)[-1](unreported)
    finally:
        _unreported.clear()
    return True


def _owner(method: Any) -> Any:
    return method.__self__


def _window_of(part: Any) -> QWidget | None:
    try:
        return part.window() if isinstance(part, QWidget) else None
    except RuntimeError:  # Qt has deleted it
        return None
