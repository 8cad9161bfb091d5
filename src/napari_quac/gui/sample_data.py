"""Sample data for napari's menu File, Open Sample."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from napari.utils import cancelable_progress
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_quac.errors import CancelledError
from napari_quac.gui.slots import slot
from napari_quac.stepwise import Progress, Steps, stepwise

if TYPE_CHECKING:
    from napari_quac.example import Example
    from napari_quac.example.example import ExampleVolume
    from napari_quac.gui.panels.networks_panel import NetworksPanel
    from napari_quac.gui.panels.points_panel import PointsPanel
    from napari_quac.live.session import Session

T = TypeVar("T")
POLL_MS = 30


def run_with_event_loop(steps: Steps[T]) -> T:
    """Run steps in a thread and return their result while the window stays responsive.

    For functions that napari calls for a return value, such as sample data. napari's activity dock
    displays the progress and can cancel the work; the current step, such as a download in a slow
    network, is then abandoned.

    Parameters
    ----------
    steps : Steps
        Long work that does not access the window.

    Raises
    ------
    CancelledError
        If the user canceled the work or closed napari.
    Exception
        Errors of the steps.
    """
    if QApplication.instance() is None:
        return steps.result()
    outcome: dict[str, Any] = {}
    progress: list[Any] = []
    stopped = threading.Event()

    def work() -> None:
        try:
            iterator = iter(steps)
            while not stopped.is_set():
                progress.append(next(iterator))
        except StopIteration as stop:
            outcome["value"] = stop.value
        except BaseException as error:  # noqa: BLE001 - raised again in the window's thread
            outcome["error"] = error

    thread = threading.Thread(target=work, name="quac-event-loop", daemon=True)
    loop, poll = QEventLoop(), QTimer()
    bar = cancelable_progress(total=None, desc="downloading")

    def check() -> None:
        if bar.is_canceled:
            loop.quit()
            return
        if progress:
            step = progress[-1]
            bar.total = step.total
            bar.set_description(step.text)
            bar.update(step.done - bar.n)
        if not thread.is_alive():
            loop.quit()

    poll.timeout.connect(slot(check))
    poll.start(POLL_MS)
    thread.start()
    loop.exec()
    poll.stop()
    bar.close()
    stopped.set()
    if "error" in outcome:
        raise outcome["error"]
    if "value" not in outcome:
        place = f" at {progress[-1].text}" if progress else ""
        raise CancelledError(f"Canceled{place}. Downloaded files are kept for the next time.")
    value: T = outcome["value"]
    return value


LayerTuple = tuple[Any, dict[str, Any], str]


def synthetic_synapses() -> list[LayerTuple]:
    """Return a small EM-like volume and its synapses as points."""
    from napari_quac.example import example_volume

    return _synapse_layers(example_volume())


def _synapse_layers(volume: ExampleVolume) -> list[LayerTuple]:
    image, points, voxel_size = volume
    place = {"scale": voxel_size, "units": ("nm",) * 3}
    features = points[["class", "id"]].reset_index(drop=True)
    return [
        (image, {"name": "synapse volume", "colormap": "gray", **place}, "image"),
        (
            points[["z", "y", "x"]].to_numpy(float),
            {
                "name": "synapses",
                "features": features,
                "face_color": "transparent",
                "border_color": "yellow",
                "border_width": 0.08,
                "size": 40,
                **place,
            },
            "points",
        ),
    ]


def synapse_patches() -> list[LayerTuple]:
    """Return the patches of the example as a stack."""
    from napari_quac.example import load_example

    dataset = load_example().dataset
    images = np.stack([dataset[index].image.numpy()[0] for index in range(len(dataset))])
    scale = dataset[0].scale or (1.0, 1.0)
    place = {"scale": (1.0, *scale), "units": ("nm",) * 3}
    return [(images, {"name": "synapse patches", "contrast_limits": (0, 1), **place}, "image")]


def drosophila_vnc() -> list[LayerTuple]:
    """Return sections of the Drosophila ventral nerve cord; the menu entry announces a download.

    Raises
    ------
    DataError
        If the download fails; the message names the folder for a manual download.
    """
    from napari.utils.notifications import show_info

    from napari_quac.data.vnc_sample import (
        CITATION,
        LICENSE,
        VOXEL_NM,
        fetch_vnc,
        layer_metadata,
        n_missing,
        vnc_folder,
    )

    missing = n_missing()
    if missing:
        show_info(
            f"Downloading {missing} sections of about 1 MB each to '{vnc_folder()}'. To cancel, "
            "open 'activity' at the bottom right of the window."
        )
    volume = run_with_event_loop(fetch_vnc())
    show_info(f"License of these images: {LICENSE}. Please cite {CITATION}.")
    look = {
        "name": f"Drosophila VNC, ssTEM ({LICENSE})",
        "colormap": "gray",
        "contrast_limits": (0, 255),
        "scale": VOXEL_NM,
        "units": ("nm",) * 3,
        "metadata": dict(layer_metadata()),
    }
    return [(volume, look, "image")]


def open_example_volume(
    viewer: Any, session: Session, networks: NetworksPanel, points_panel: PointsPanel
) -> None:
    """Open the volume of the example with its synapses as points, and its networks."""
    from napari_quac.gui.source_layers import ADDED
    from napari_quac.gui.widgets import debouncer

    @stepwise
    def load() -> Generator[Progress, None, tuple[Any, Example]]:
        from napari_quac.example.example import draw_example_volume, load_example

        volume = yield from draw_example_volume()
        return _synapse_layers(volume), load_example()

    def use(loaded: tuple[Any, Example]) -> None:
        layers, example = loaded
        session.use_example_networks(example)
        networks.set_open(False)
        (image, image_look, _), (points, points_look, _) = layers
        image_layer = viewer.add_image(image, **image_look)
        image_layer.metadata = {**image_layer.metadata, ADDED: True}

        def use_points() -> None:
            points_layer = viewer.add_points(points, **points_look)
            points_layer.metadata = {**points_layer.metadata, ADDED: True}
            points_panel.choose(image_layer.name, points_layer.name)
            points_panel.set_open(True)
            points_panel.use_points()

        # each layer is added in its own turn of the event loop; a closed dock adds no more
        debouncer(points_panel, 0, use_points).throttle()

    session.controller.run("example", "opening the example volume", load, use)
