"""Volumes on other machines in the viewer: an overview, and what lies around the selected point.

The viewer would fetch parts of a remote array in its own thread, so layers hold only voxels in
memory, which the lane has read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_quac.data.place import NM_PER_UNIT
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.link import AnnotationLayer, Link, read_link, state_address
from napari_quac.data.remote.overview import Part, read_neighborhood, read_overview
from napari_quac.data.volume import Volume
from napari_quac.data.volume_points import VolumePoints
from napari_quac.errors import DataError
from napari_quac.gui.input_layers import REMOTE, placement_of, point_look
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.source_layers import ADDED
from napari_quac.gui.volume_reader import layer_look
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.point_samples import GROUP_COLUMN
from napari_quac.networks.consent import hosts_in, trust
from napari_quac.stepwise import Steps

SLOT, AROUND_SLOT = "volume", "around the point"
AROUND_MS = 150
"""A point that is passed with the keys is not fetched."""


@slots
class RemoteVolumes(QObject):
    """Adds layers of remote volumes, and follows the selected point.

    Parameters
    ----------
    viewer : napari Viewer
    choices : Choices
        Tell the selected sample.
    controller : Controller
        Reads in its lane.
    current : callable
        Returns the samples at points; None for others.
    parent : QObject, optional
    """

    def __init__(
        self,
        viewer: Any,
        choices: Choices,
        controller: Controller,
        current: Callable[[], VolumePoints | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._choices, self._controller = viewer, choices, controller
        self._current = current
        self._around: Any = None
        self._later = QTimer(self, interval=AROUND_MS, singleShot=True)
        self._later.timeout.connect(self._fetch)
        choices.events.sample_index.connect(self._on_index)

    def close(self) -> None:
        """Follow the selected point no longer; the layers remain."""
        self._later.stop()
        self._choices.events.sample_index.disconnect(self._on_index)

    def open(
        self, read: Callable[[], Volume], opened: Callable[[Volume, Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        """Open a volume and add its overview as a layer.

        Parameters
        ----------
        read : callable
            Opens the volume, in the lane.
        opened : callable
            Receives volume and layer.
        failed : callable
            Receives an error.
        """

        def read_both() -> Any:
            volume = read()
            part = yield from read_overview(volume)
            return volume, part

        def done(outcome: tuple[Volume, Part]) -> None:
            volume, part = outcome
            note = "" if part.is_whole and len(volume.levels) == 1 else " (overview)"
            opened(volume, self._add(volume, part, f"{volume.name}{note}"))

        self._controller.run(SLOT, "opening the volume", lambda: Steps(read_both()), done, failed)

    def read_link(
        self, text: str, shown: Callable[[Link], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Read a Neuroglancer link, of which nothing is contacted but the file with its state.

        Parameters
        ----------
        text : str
            As it was pasted.
        shown : callable
            Receives a link with at least one image that can be opened.
        failed : callable
            Receives an error.
        """

        def done(link: Link) -> None:
            if any(image.address for image in link.images):
                shown(link)
                return
            problems = [image.problem for image in link.images] or ["It shows no image."]
            failed(DataError(f"Nothing in the link can be opened. {' '.join(problems)}"))

        try:
            trust(hosts_in(*state_address(text)))  # named by the user
        except DataError as error:
            failed(error)
            return
        self._controller.run(SLOT, "reading the link", lambda: read_link(text), done, failed)

    def _add(self, volume: Volume, part: Part, name: str) -> Any:
        return self._viewer.add_image(
            part.voxels,
            name=name,
            metadata={"path": str(volume.path), ADDED: True, REMOTE: volume},
            **layer_look(volume, part),
        )

    def _on_index(self, index: int | None) -> None:
        self._later.stop()
        self._controller.stop(AROUND_SLOT)  # its requests would delay those of the patch
        dataset = self._current()
        if index is not None and dataset is not None and isinstance(dataset.volume.path, Address):
            self._later.start()

    @slot
    def _fetch(self) -> None:
        index, dataset = self._choices.sample_index, self._current()
        if index is None or dataset is None or index >= len(dataset):
            return
        center = np.array(dataset.center_world(index))
        self._controller.run(
            AROUND_SLOT,
            "reading around the point",
            lambda: read_neighborhood(dataset.level, center),
            lambda part: self._show(dataset.volume, part),
        )

    def _show(self, volume: Volume, part: Part) -> None:
        """Replace the layer around the previous point."""
        layers = self._viewer.layers
        if self._around in layers:
            layer = self._around
            layer.data = part.voxels
            for name in ("scale", "translate"):  # napari updates all layers each time
                if not np.array_equal(getattr(layer, name), getattr(part.transform, name)):
                    setattr(layer, name, getattr(part.transform, name))
            return
        self._around = self._add(volume, part, f"{volume.name} (around the point)")
        images = [layer for layer in layers if layer.metadata.get(REMOTE) is volume]
        layers.move(layers.index(self._around), layers.index(images[0]) + 1)


def add_annotations(viewer: Any, link: Link | None, volume: Volume, image: Any) -> list[str]:
    """Add the annotations of a link as points on the overview of a volume; return their names."""
    names = []
    for layer in link.annotations if link is not None else ():
        world = layer.positions / NM_PER_UNIT[volume.unit or "nm"]
        added = viewer.add_points(
            volume.finest.transform.to_voxel(world),
            name=layer.name,
            features=features_of(layer),
            metadata={ADDED: True},
            **placement_of(image),
            **point_look(volume),
        )
        names.append(str(added.name))
    return names


def features_of(layer: AnnotationLayer) -> dict[str, tuple[str, ...]]:
    """Return the columns of annotations: ids, texts, neurons and properties."""
    features = {**layer.properties, "id": layer.ids, "description": layer.descriptions}
    return {**features, GROUP_COLUMN: layer.segments} if layer.segments else features
