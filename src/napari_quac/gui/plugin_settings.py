"""Defaults from the page napari-quac of napari's preferences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QSettings

from napari_quac.explain.settings import DEFAULT_METHODS
from napari_quac.explain.size_axis import DEFAULT_AXIS, SIZE_AXES
from napari_quac.gui.slots import slot
from napari_quac.live.choices import Choices

PLUGIN, CATEGORY = "napari-quac", "defaults"
SIZE_AXIS_KEY = "curves/size_axis"


@dataclass(frozen=True)
class Defaults:
    """Initial settings of the dock.

    Attributes
    ----------
    device : str
        ``auto`` or a device of the menu.
    methods : tuple of str
    max_tries : int
    seed : int
    predict_up_to : int
        Data sets with at most that many samples are predicted automatically.
    store_folder : str
        Folder for explanations of samples without a folder; empty for that of napari-quac.
    """

    device: str = "auto"
    methods: tuple[str, ...] = ()
    max_tries: int = 100
    seed: int = 0
    predict_up_to: int = 500
    store_folder: str = ""

    def to_choices(self) -> Choices:
        """Return the initial choices of the dock."""
        choices = Choices(device=self.device, predict_up_to=self.predict_up_to)
        methods = self.methods or DEFAULT_METHODS
        choices.update_settings(methods=methods, max_tries=self.max_tries, seed=self.seed)
        choices.shown_method = methods[0]
        return choices


def read_defaults() -> Defaults:
    """Read the preferences; missing and invalid values are replaced by the defaults."""
    from napari.settings import get_plugin_settings

    from napari_quac.explain.methods import METHODS

    try:
        settings: Any = getattr(get_plugin_settings(PLUGIN), CATEGORY)
    except (KeyError, AttributeError):  # the plugin is not installed, only imported
        return Defaults()
    names = [name.strip() for name in str(settings.methods).replace(";", ",").split(",")]
    return Defaults(
        device=str(settings.device).strip() or "auto",
        methods=tuple(name for name in names if name in set(METHODS)),
        max_tries=max(1, int(settings.max_tries)),
        seed=max(0, int(settings.seed)),
        predict_up_to=max(0, int(settings.predict_up_to)),
        store_folder=str(settings.store_folder).strip(),
    )


def remember_size_axis(choices: Choices, settings: QSettings) -> None:
    """Start with the axis of mask sizes of the last session, and store each change."""
    stored = settings.value(SIZE_AXIS_KEY, DEFAULT_AXIS)
    if stored in SIZE_AXES:
        choices.size_axis = stored
    choices.events.size_axis.connect(slot(lambda axis: settings.setValue(SIZE_AXIS_KEY, axis)))
