"""For tests of other packages: tiny networks with known answers, and the checks of our own."""

from napari_quac.testing.checks import check_dataset, check_generator, check_method
from napari_quac.testing.corners import (
    CLASSES,
    CornerNetwork,
    CornerSamples,
    ReadyNetwork,
    corner_classifier,
    corner_generator,
    corner_image,
)

__all__ = [
    "CLASSES",
    "CornerNetwork",
    "CornerSamples",
    "ReadyNetwork",
    "check_dataset",
    "check_generator",
    "check_method",
    "corner_classifier",
    "corner_generator",
    "corner_image",
]
