"""Undo and redo of edits of the user: class names, input values, filter and threshold."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from napari_quac.data.preprocessing import PRESET_TITLES, Preprocessing, preset_of
from napari_quac.live.choices import Choices

MERGE_SECONDS = 1.0
"""Steps of a slider that follow each other faster than this are one edit."""
MOST_EDITS = 200
FIELDS = ("classifier", "filter_text", "threshold")


@dataclass(frozen=True)
class Edit:
    """An edit of one choice.

    Attributes
    ----------
    title : str
        Noun phrase for the status line, such as ``"class names"``.
    field : str
        Field of :class:`~napari_quac.live.choices.Choices`.
    before, after : object
        Values of the field; of a classifier, the changed attributes of its recipe.
    context : object
        What the edit belongs to: the displayed map of a threshold, the files of a classifier.
    time : float
        Monotonic seconds.
    """

    title: str
    field: str
    before: Any
    after: Any
    context: Any
    time: float


class EditHistory:
    """Edits in their order, which can be undone and redone.

    Only edits of the user are recorded, not changes that follow from opening files, so that the
    code of an edit states itself::

        with history.edit("filter"):
            choices.filter_text = text

    An edit whose object is gone, such as the names of a classifier after another one was opened,
    is skipped.

    Parameters
    ----------
    choices : Choices
    """

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._done: list[Edit] = []
        self._undone: list[Edit] = []

    @contextmanager
    def edit(self, title: str) -> Iterator[None]:
        """Record the changes of choices in this block as an edit."""
        before = {field: getattr(self._choices, field) for field in FIELDS}
        yield
        for field in FIELDS:
            after = getattr(self._choices, field)
            if after != before[field]:
                self._record(title, field, before[field], after)

    def undo(self) -> str:
        """Undo the last edit, and return a sentence about it."""
        return self._move(self._done, self._undone, is_undo=True)

    def redo(self) -> str:
        """Redo the edit that was undone last, and return a sentence about it."""
        return self._move(self._undone, self._done, is_undo=False)

    def _record(self, title: str, field: str, before: Any, after: Any) -> None:
        if field == "classifier":
            if not _is_same_network(before, after):
                return
            before, after = _differences(before, after), _differences(after, before)
        edit = Edit(title, field, before, after, self._context(field), time.monotonic())
        self._undone.clear()
        last = self._done[-1] if self._done else None
        if last is not None and _belong_together(last, edit):
            self._done[-1] = replace(edit, before=last.before)
        else:
            self._done = [*self._done, edit][-MOST_EDITS:]

    def _move(self, source: list[Edit], target: list[Edit], is_undo: bool) -> str:
        while source:
            edit = source.pop()
            present, value = (edit.after, edit.before) if is_undo else (edit.before, edit.after)
            if edit.context != self._context(edit.field) or not self._is_present(edit, present):
                continue  # of another sample or classifier, or changed otherwise since
            if edit.field == "classifier":
                value_text = _attributes_text(value)
                self._choices.classifier = replace(self._choices.classifier, **value)
            else:
                value_text = _value_text(edit.field, value)
                setattr(self._choices, edit.field, value)
            target.append(replace(edit, time=-MERGE_SECONDS))
            return f"{'Undone' if is_undo else 'Redone'}: {edit.title} {value_text}."
        return f"There is no edit to {'undo' if is_undo else 'redo'}."

    def _context(self, field: str) -> Any:
        if field == "threshold":
            return self._choices.sample_index, self._choices.shown_method
        if field == "classifier":
            return _paths(self._choices.classifier)
        return id(self._choices.samples)

    def _is_present(self, edit: Edit, value: Any) -> bool:
        present = getattr(self._choices, edit.field)
        if edit.field != "classifier":
            return bool(present == value)
        return all(getattr(present, name, None) == part for name, part in value.items())


def _belong_together(last: Edit, edit: Edit) -> bool:
    is_same = (last.title, last.field, last.context) == (edit.title, edit.field, edit.context)
    is_continued = edit.time - last.time < MERGE_SECONDS and last.after == edit.before
    return is_same and is_continued and edit.field != "classifier"


def _is_same_network(before: Any, after: Any) -> bool:
    if type(before) is not type(after) or not is_dataclass(after):
        return False
    return _paths(before) == _paths(after)


def _paths(recipe: Any) -> tuple[Any, ...]:
    return () if recipe is None else tuple(recipe.paths())


def _differences(recipe: Any, other: Any) -> dict[str, Any]:
    """Return the attributes of a recipe that differ from those of another."""
    names = [field.name for field in fields(recipe) if field.init]
    return {n: getattr(recipe, n) for n in names if getattr(recipe, n) != getattr(other, n)}


def _attributes_text(attributes: Mapping[str, Any]) -> str:
    names, preprocessing = attributes.get("class_names"), attributes.get("preprocessing")
    if names:
        return f"are {', '.join(names)}"
    if isinstance(preprocessing, Preprocessing):
        preset = PRESET_TITLES.get(preset_of(preprocessing) or "", "custom")
        low, high = preprocessing.value_range or (0.0, 1.0)
        return f"is {preset}, input range {low:g} to {high:g}".replace("-", "−")
    return "as stated by the file"


def _value_text(field: str, value: Any) -> str:
    if field == "threshold":
        return "is at the optimum" if value is None else f"is {value:.2f}"
    return f"is '{value}'" if value else "is empty"
