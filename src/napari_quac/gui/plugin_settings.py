"""Defaults from napari's preferences, page napari-quac."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PLUGIN, CATEGORY = "napari-quac", "defaults"


@dataclass(frozen=True)
class Defaults:
    """What the dock begins with.

    Attributes
    ----------
    device : str
        As in the device menu.
    methods : tuple of str
    max_tries : int
    seed : int
    predict_up_to : int
        That many samples are predicted without being asked.
    store_folder : str
        Where explanations go that do not lie beside the samples; empty for napari-quac's own.
    """

    device: str = "auto"
    methods: tuple[str, ...] = ()
    max_tries: int = 100
    seed: int = 0
    predict_up_to: int = 500
    store_folder: str = ""


def read_defaults() -> Defaults:
    """Read the preferences; what is not set, or makes no sense, is as it always was."""
    from napari.settings import get_plugin_settings

    from napari_quac.explain.methods import METHODS

    try:
        settings: Any = getattr(get_plugin_settings(PLUGIN), CATEGORY)
    except (KeyError, AttributeError):  # the plugin is not installed, only imported
        return Defaults()
    known = set(METHODS)
    wanted = [name.strip() for name in str(settings.methods).replace(";", ",").split(",")]
    return Defaults(
        device=str(settings.device).strip() or "auto",
        methods=tuple(name for name in wanted if name in known),
        max_tries=max(1, int(settings.max_tries)),
        seed=max(0, int(settings.seed)),
        predict_up_to=max(0, int(settings.predict_up_to)),
        store_folder=str(settings.store_folder).strip(),
    )
