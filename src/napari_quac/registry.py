"""Names for things that others can add to: a built-in table, entry points, and ``add()``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module, metadata
from typing import Any

from napari_quac.errors import UnknownNameError


def unknown_name(kind: str, name: str, names: list[str]) -> UnknownNameError:
    """Return an error that lists all names and suggests the nearest one."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return UnknownNameError(f"There is no {kind} '{name}'.{hint} Known: {', '.join(names)}.")


@dataclass(eq=False)
class Registry:
    """A table from name to class, where nothing is imported to list the names.

    Parameters
    ----------
    kind : str
        What is registered, for messages, such as ``"method"``.
    group : str
        Entry-point group in which other packages register theirs.
    builtin : Mapping[str, str]
        Name to ``"package.module:Class"``.
    needs : sequence of str
        Attributes that every class needs, such as ``"attribute"``.
    former : Mapping[str, str], optional
        Earlier name to name; earlier names are accepted but not listed.
    """

    kind: str
    group: str
    builtin: Mapping[str, str]
    needs: Sequence[str] = ()
    former: Mapping[str, str] = field(default_factory=dict)
    _classes: dict[str, Any] = field(default_factory=dict, init=False)
    _has_entry_points: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._targets = dict(self.builtin)

    def _read_entry_points(self) -> None:
        if self._has_entry_points:
            return
        self._has_entry_points = True
        owners = dict.fromkeys(self._targets, "napari-quac")
        for entry in metadata.entry_points(group=self.group):
            owner = entry.dist.name if entry.dist else "an unknown package"
            if entry.name in owners:
                both = f"by {owners[entry.name]} and by {owner}. Uninstall one of them."
                raise UnknownNameError(
                    f"The {self.kind} '{entry.name}' is registered twice, {both}"
                )
            owners[entry.name] = owner
            self._targets[entry.name] = entry.value

    def names(self) -> list[str]:
        """Return all names, built-in ones first."""
        self._read_entry_points()
        return [*self._targets, *(name for name in self._classes if name not in self._targets)]

    def usable(self) -> tuple[str, ...]:
        """Return the names whose classes can be imported."""
        return tuple(name for name in self.names() if not self.problem(name))

    def problem(self, name: str) -> str:
        """Return the reason why the class of a name is unavailable; empty if it is available."""
        try:
            self[name]
        except UnknownNameError as error:
            return str(error)
        return ""

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names() or name in self.former

    def __getitem__(self, name: str) -> Any:
        """Return the class of that name, imported now if it was not before.

        Raises
        ------
        UnknownNameError
            If there is no such name, or the package that brings it cannot be imported.
        """
        name = self.former.get(name, name)
        if name not in self.names():
            raise unknown_name(self.kind, name, self.names())
        if name not in self._classes:
            target = self._targets[name]
            module, _, attribute = target.partition(":")
            try:
                cls = getattr(import_module(module), attribute)
            except Exception as error:  # another package may fail in any way
                raise UnknownNameError(
                    f"The {self.kind} '{name}' cannot be loaded from {target}: "
                    f"{type(error).__name__}: {error}"
                ) from error
            self._check(name, cls, target)
            self._classes[name] = cls
        return self._classes[name]

    @contextmanager
    def temporarily(self, name: str, cls: Any) -> Iterator[None]:
        """Add a class until the ``with`` block ends, in a test.

        Raises
        ------
        UnknownNameError
            If the name is taken.
        """
        self.add(name, cls)
        try:
            yield
        finally:
            del self._classes[name]

    def add(self, name: str, cls: Any) -> None:
        """Add a class for this session, in a notebook or a script.

        Raises
        ------
        UnknownNameError
            If the name is taken, or the class lacks an attribute.
        """
        if name in self.names():
            raise UnknownNameError(f"The {self.kind} '{name}' exists already; choose another name.")
        self._check(name, cls, cls.__module__)
        self._classes[name] = cls

    def _check(self, name: str, cls: Any, origin: str) -> None:
        missing = [attribute for attribute in self.needs if not hasattr(cls, attribute)]
        if missing:
            raise UnknownNameError(
                f"The {self.kind} '{name}' from {origin} has no {' and no '.join(missing)}, which "
                f"every {self.kind} needs."
            )
