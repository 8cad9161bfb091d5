"""Sample data for napari's menu File, Open Sample."""

from __future__ import annotations

from typing import Any

import numpy as np

LayerTuple = tuple[Any, dict[str, Any], str]


def synthetic_synapses() -> list[LayerTuple]:
    """Return a small EM-like volume and its synapses as points."""
    from napari_quac.example import example_volume

    image, points, voxel_size = example_volume()
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
