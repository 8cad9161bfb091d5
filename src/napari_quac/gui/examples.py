"""The example of the package, as patches or as a volume with points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_quac.gui.panels.networks_panel import NetworksPanel
from napari_quac.gui.panels.points_panel import PointsPanel
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.controller import Controller

if TYPE_CHECKING:
    from napari_quac.example import Example


def open_example(choices: Choices, controller: Controller, networks: NetworksPanel) -> None:
    """Open the example's patches with its networks."""

    def load() -> tuple[Any, Any]:
        from napari_quac.example import load_example

        example = load_example()
        return example.dataset, _recipes(example)

    def loaded(example: tuple[Any, Any]) -> None:
        dataset, recipes = example
        networks.use_recipes(*recipes)
        choices.samples = ReadySamples(dataset)
        networks.set_open(False)

    controller.run("example", "opening the example", load, loaded)


def open_example_volume(
    viewer: Any, controller: Controller, networks: NetworksPanel, points_panel: PointsPanel
) -> None:
    """Open the example's volume with its synapses as points, and its networks."""

    def load() -> tuple[Any, Any]:
        from napari_quac.example import load_example
        from napari_quac.gui.sample_data import synthetic_synapses

        return synthetic_synapses(), _recipes(load_example())

    def loaded(example: tuple[Any, Any]) -> None:
        layers, recipes = example
        networks.use_recipes(*recipes)
        networks.set_open(False)
        (image, image_look, _), (points, points_look, _) = layers
        added = viewer.add_image(image, **image_look)
        marks = viewer.add_points(points, **points_look)
        points_panel.choose(added.name, marks.name)
        points_panel.set_open(True)
        points_panel.use_points()

    controller.run("example", "opening the example volume", load, loaded)


def _recipes(example: Example) -> tuple[Any, Any]:
    from napari_quac.generators.stargan.recipe import StarGANRecipe
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    return ClassifierRecipe(example.classifier_path), StarGANRecipe(example.generator_path)
