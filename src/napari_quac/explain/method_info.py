"""The names and texts that an attribution method carries, for lists and plots."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any

from napari_quac.explain.methods import METHODS


@dataclass(frozen=True)
class MethodInfo:
    """Class attributes of an attribution method; all but ``label`` are optional there.

    Attributes
    ----------
    label : str
        Its name in full, such as ``"D-IG"``.
    group : str
        Methods of a group stand together in the window: ``discriminative``, ``vanilla``,
        ``baselines``, ``gradients``, ``optimized`` or ``others``.
    summary : str
        One sentence; the first line of its docstring by default.
    short : str
        A few words beside the name, as long as there is no score.
    colors : (dark, light) or None
        Color of its curve in dark and in light themes, as ``#rrggbb``.
    shows_progress : bool
        Whether a partial result can be displayed while it computes.
    problem : str
        Reason why it is unavailable; empty if it is available.
    """

    label: str
    group: str = "others"
    summary: str = ""
    short: str = ""
    colors: tuple[str, str] | None = None
    shows_progress: bool = False
    problem: str = ""


def method_info(name: str) -> MethodInfo:
    """Return the names and texts of a method; of an unknown one, its name and the reason."""
    problem = METHODS.problem(name)
    return MethodInfo(name, summary=problem, problem=problem) if problem else _info(METHODS[name])


@cache
def _info(method: Any) -> MethodInfo:
    # methods of other packages need no more than a label
    first_line = (inspect.getdoc(method) or method.label).splitlines()[0]
    return MethodInfo(
        method.label,
        getattr(method, "group", "others"),
        getattr(method, "summary", first_line),
        getattr(method, "short", ""),
        getattr(method, "colors", None),
        getattr(method, "shows_progress", False),
    )
