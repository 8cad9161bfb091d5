"""Sample data for napari's menu File, Open Sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_quac.gui.event_loop import run_with_event_loop

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
