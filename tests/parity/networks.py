"""The classifier of the parity tests: that of the example, for images of half its size."""

from __future__ import annotations

from torch import nn

from napari_quac.example.example import CLASSIFIER_FILE
from napari_quac.generators.opening import load_classifier
from napari_quac.networks.classifier import Classifier

CLASSES = ("0_t-bar", "1_psd", "2_plain")  # sorted as its outputs are, by every software
SIZE = 64


def half_size_module() -> nn.Sequential:
    """Return the module, which enlarges images of 64 × 64 pixels twice before it looks at them."""
    module = load_classifier(CLASSIFIER_FILE, device="cpu").module
    return nn.Sequential(nn.Upsample(scale_factor=2.0), module).eval()


def half_size_classifier(module: nn.Module | None = None) -> Classifier:
    """Return the classifier, or that of a variant of its module."""
    module = half_size_module() if module is None else module
    return load_classifier(module, CLASSES, device="cpu", image_size=SIZE)
