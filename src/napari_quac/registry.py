"""Names for things that others can add to: a built-in table, entry points, and ``add()``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from importlib import import_module, metadata
from typing import Any

from napari_quac.errors import UnknownNameError


def unknown_name(kind: str, name: str, known: list[str]) -> UnknownNameError:
    """Return an error that lists the known names and points at the nearest one."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return UnknownNameError(f"There is no {kind} '{name}'.{hint} Known: {', '.join(known)}.")


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
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self._group = group
        self._targets: dict[str, str] = dict(builtin)
        self._classes: dict[str, Any] = {}
        self._asked_packages = False

    def _ask_packages(self) -> None:
        if self._asked_packages:
            return
        self._asked_packages = True
        owners: dict[str, str] = dict.fromkeys(self._targets, "napari-quac")
        for entry in metadata.entry_points(group=self._group):
            owner = entry.dist.name if entry.dist else "an unknown package"
            if entry.name in owners:
                raise UnknownNameError(
                    f"The {self.kind} '{entry.name}' is registered twice, by {owners[entry.name]} "
                    f"and by {owner}. Uninstall one of them."
                )
            owners[entry.name] = owner
            self._targets[entry.name] = entry.value

    def names(self) -> list[str]:
        """Return all names, built-in ones first."""
        self._ask_packages()
        return [*self._targets, *(name for name in self._classes if name not in self._targets)]

    def usable(self) -> tuple[str, ...]:
        """Return the names whose classes can be imported."""
        return tuple(name for name in self.names() if not self.problem(name))

    def problem(self, name: str) -> str:
        """Return why the class of a name cannot be had; empty if it can."""
        try:
            self[name]
        except UnknownNameError as error:
            return str(error)
        return ""

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __getitem__(self, name: str) -> Any:
        """Return the class of that name, imported now if it was not before.

        Raises
        ------
        UnknownNameError
            If there is no such name, or the package that brings it cannot be imported.
        """
        if name not in self.names():
            raise unknown_name(self.kind, name, self.names())
        if name not in self._classes:
            module, _, attribute = self._targets[name].partition(":")
            try:
                self._classes[name] = getattr(import_module(module), attribute)
            except (ImportError, AttributeError) as error:
                raise UnknownNameError(
                    f"The {self.kind} '{name}' cannot be loaded from {self._targets[name]}: {error}"
                ) from error
        return self._classes[name]

    def add(self, name: str, cls: Any) -> None:
        """Add a class of your own, in a notebook or a test.

        Raises
        ------
        UnknownNameError
            If the name is taken.
        """
        if name in self.names():
            raise UnknownNameError(f"The {self.kind} '{name}' exists already; choose another name.")
        self._classes[name] = cls
