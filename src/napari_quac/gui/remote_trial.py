"""*Try 5 points*: patches of a volume on another machine, before anything else of it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_quac.data.place import NM_PER_UNIT
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.link import Link
from napari_quac.data.remote.trial import N_PATCHES, Trial, read_trial
from napari_quac.data.remote.volume import JPEG
from napari_quac.data.volume import Volume
from napari_quac.errors import QuacError
from napari_quac.gui.input_layers import points_in_world
from napari_quac.gui.panels.points_link_row import sizes_text
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import duration, grouped
from napari_quac.live.controller import Controller
from napari_quac.live.failure import failure
from napari_quac.live.point_samples import is_byte, samples_at_points
from napari_quac.networks.consent import hosts_in, trust

if TYPE_CHECKING:
    from napari_quac.gui.panels.points_panel import PointsPanel

SLOT = "trial"


@slots
class RemoteTrials(QObject):
    """Reads patches for the card of a link.

    Parameters
    ----------
    panel : PointsPanel
        Tells points and patches; shows the card.
    controller : Controller
        Reads in its lane.
    """

    def __init__(self, panel: PointsPanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel, self._controller, self._card = panel, controller, panel.link_row
        self._n_trials = 0
        self._card.tried.connect(self.start)
        self._card.canceled.connect(self._on_canceled)

    @slot
    def start(self, address: Address, link: Link) -> None:
        """Open a volume and read patches: the click is the consent to contact its machine."""
        from napari_quac.data.volume_file import open_volume

        trust(hosts_in(address))
        self._n_trials += 1  # other points, as those of the last trial are in memory

        def opened(volume: Volume) -> None:
            self._read(volume, link.placed_in(address))

        self._controller.run(
            SLOT, "opening the volume", lambda: open_volume(address), slot(opened), self._on_failed
        )

    def _read(self, volume: Volume, link: Link) -> None:
        """Read patches around the points that are chosen, or in the middle of the volume."""
        badge = str(JPEG) if JPEG in volume.assumptions else ""
        self._card.show_facts(describe_volume(volume), badge)
        try:
            centers = self._centers(volume, link)
            places = _middle(volume, self._n_trials) if centers is None else centers
            features = pd.DataFrame(index=range(len(places)))
            settings = self._panel.patch.settings()
            points = samples_at_points(volume, places, features, "", settings, volume.name)
        except QuacError as error:
            self._on_failed(error)
            return

        def show(trial: Trial) -> None:
            images = [_unit_image(patch, trial, volume) for patch in trial.patches]
            text = describe_trial(trial, volume, with_total=centers is not None)
            self._card.show_patches(images, trial.names, text, "note" if trial.n_missing else "")

        seed = self._n_trials
        self._controller.run(
            SLOT, "reading patches", lambda: read_trial(points, seed), slot(show), self._on_failed
        )

    def _centers(self, volume: Volume, link: Link) -> NDArray[np.float64] | None:
        """Return the points of the chosen table, else of the link, else of the chosen layer."""
        panel = self._panel
        layer, table = panel.points_menu.layer, panel.table
        if layer is None and table is not None:
            if panel.volume_menu.layer is None:
                panel.table_box.show_table(table, volume)
            return panel.table_box.points(volume, table, "")[0]
        annotations = max(link.annotations, key=len, default=None)
        if annotations is not None and len(annotations):
            return np.asarray(annotations.positions / NM_PER_UNIT[volume.unit or "nm"])
        return points_in_world(layer, volume) if layer is not None else None

    def _on_canceled(self) -> None:
        self._controller.cancel(SLOT)

    def _on_failed(self, error: BaseException) -> None:
        if isinstance(error, QuacError):
            self._card.show_problem(str(error))
            return
        self._card.show_problem("")
        self._controller.failed.emit(failure(SLOT, "trying the points", error))


def describe_volume(volume: Volume) -> str:
    """Return size, voxel size and number of resolutions for the user."""
    finest, n_levels = volume.finest, len(volume.levels)
    axes = {3: " (x × y × z)", 2: " (x × y)"}.get(volume.ndim, "")
    shape = " × ".join(grouped(n) for n in reversed(finest.shape))
    unit = volume.unit or "units"
    levels = f"{n_levels} resolutions" if n_levels > 1 else "1 resolution"
    size = sizes_text(finest.transform.voxel_size())
    return f"{shape} voxels of {size} {unit}{axes}, {finest.dtype.name}, {levels}."


def describe_trial(trial: Trial, volume: Volume, with_total: bool) -> str:
    """Return value range, duration and amount for one patch and for all."""
    low, high = trial.value_range
    parts = [f"Values {low:g} to {high:g}.".replace("-", "−")]
    if trial.n_missing:
        n_all = trial.n_missing + len(trial.patches)
        parts.append(f"Nothing is stored at {trial.n_missing} of {n_all} points.")
    if not with_total:
        parts.append("No points are chosen: these lie in the middle of the volume.")
    if trial.seconds is None or trial.n_bytes is None:
        parts.append("These patches were in memory, so their duration says nothing.")
        return " ".join(parts)
    parts.append(f"{_seconds(trial.seconds)} and {_size(trial.n_bytes)} per patch.")
    if with_total:
        n_points = trial.n_points
        noun = "point" if n_points == 1 else "points"
        total = f"{duration(n_points * trial.seconds)}, {_size(n_points * trial.n_bytes)}"
        parts.append(f"{grouped(n_points)} {noun} in '{volume.name}': {total}.")
    return " ".join(parts)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _size(n_bytes: float) -> str:
    """Return a number of bytes with two digits or more."""
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if n_bytes >= 10 else f"{n_bytes:.2g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"


def _middle(volume: Volume, seed: int) -> NDArray[np.float64]:
    """Return random places in the inner half of a volume, in world units."""
    shape = np.array(volume.finest.shape)
    rng = np.random.default_rng(seed)
    voxels = rng.uniform(shape / 4, shape * 3 / 4, (N_PATCHES, volume.ndim))
    return np.asarray(volume.finest.transform.to_world(np.floor(voxels)))


def _unit_image(patch: NDArray[np.generic], trial: Trial, volume: Volume) -> torch.Tensor:
    """Return a patch in [0, 1]; the range of all patches is used unless voxels have 8 bits."""
    low, high = (0.0, 255.0) if is_byte(volume) else trial.value_range
    values = (patch.astype(np.float64) - low) / max(high - low, 1e-12)
    return torch.from_numpy(values.astype(np.float32))
