"""Opens the volume of the example, with its synapses as points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_quac.gui.panels.networks_panel import NetworksPanel
from napari_quac.gui.panels.points_panel import PointsPanel
from napari_quac.live.session import Session

if TYPE_CHECKING:
    from napari_quac.example import Example


def open_example_volume(
    viewer: Any, session: Session, networks: NetworksPanel, points_panel: PointsPanel
) -> None:
    """Open the volume of the example with its synapses as points, and its networks."""

    def load() -> tuple[Any, Example]:
        from napari_quac.example import load_example
        from napari_quac.gui.sample_data import synthetic_synapses

        return synthetic_synapses(), load_example()

    def use(loaded: tuple[Any, Example]) -> None:
        layers, example = loaded
        session.use_example_networks(example)
        networks.set_open(False)
        (image, image_look, _), (points, points_look, _) = layers
        image_layer = viewer.add_image(image, **image_look)
        points_layer = viewer.add_points(points, **points_look)
        points_panel.choose(image_layer.name, points_layer.name)
        points_panel.set_open(True)
        points_panel.use_points()

    session.controller.run("example", "opening the example volume", load, use)
