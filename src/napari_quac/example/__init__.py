"""The example that comes with the package: images with a known answer and networks for them.

The images are drawn (see ``data.synthetic``); the networks lie in ``networks/`` and are made anew
by ``python -m napari_quac.example.make_networks``.
"""

from napari_quac.example.example import Example, example_volume, load_example

__all__ = ["Example", "example_volume", "load_example"]
