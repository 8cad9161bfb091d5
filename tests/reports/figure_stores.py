"""Stores of explained corner images, for figures and pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_quac.data.dataset import Sample
from napari_quac.explain.explanation import Explanations
from napari_quac.explain.pair import make_pair
from napari_quac.explain.pipeline import explain_pair
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.reports.record import explained_record
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo
from napari_quac.reports.task_images import images_of
from napari_quac.testing import CLASSES, corner_classifier, corner_image
from napari_quac.testing.corners import CornerNetwork

METHODS = ("d-ig", "residual", "random")
SIZE = 32


class ColorCorners(nn.Module):
    """The corner network on the mean of three channels."""

    def __init__(self) -> None:
        super().__init__()
        self.gray = CornerNetwork(SIZE)

    def forward(self, images: Tensor) -> Tensor:
        return self.gray(images.mean(dim=1, keepdim=True))


def classifier_of(channels: int) -> Classifier:
    gray = corner_classifier(SIZE)
    return gray if channels == 1 else replace(gray, module=ColorCorners().eval(), channels=channels)


def explained(
    name: str = "a",
    seed: int = 0,
    preset: str = "quac",
    channels: int = 1,
    scale: tuple[float, float] | None = (8.0, 8.0),
    label: int = 0,
) -> Explanations:
    """Explain a noisy corner image by another one, from class 0 to class 1."""
    noise = torch.Generator().manual_seed(seed)
    images = [
        torch.cat([corner_image(k, SIZE, seed + 10 * k + c) for c in range(channels)])
        for k in (label, 1 - label)
    ]
    images = [(x + 0.2 * torch.rand(x.shape, generator=noise)).clamp(0, 1) for x in images]
    unit = None if scale is None else "nm"
    sample = Sample(name, images[0], label, scale=scale, unit=unit)
    classifier = classifier_of(channels)
    settings = ExplainSettings.from_preset(preset).with_methods(METHODS)
    pair = make_pair(sample, images[1], label, 1 - label, classifier)
    return explain_pair(pair, classifier, settings).result()


def write_store(folder: Path, *explanations: Explanations) -> Path:
    """Write a store with a record for each pair."""
    settings = explanations[0].settings
    names = NetworkIdentity("corners")
    store = ExplanationStore.create(folder, StoreInfo(CLASSES, names, names, settings))
    for entry in explanations:
        methods = list(entry.values())
        record = explained_record(
            entry.pair, methods, CLASSES, settings=settings, truth=entry.pair.query.label
        )
        store.write(record, images_of(entry.pair, methods))
    return folder
