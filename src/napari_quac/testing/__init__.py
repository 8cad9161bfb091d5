"""For tests of one's own: tiny networks with known answers, and the questions we ask of our own."""

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
