"""Small networks trained with a preprocessing that is known, on drawn textures."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS

SIZE = 24
NAMES = ("ant", "monkey", "zebra")


def draw_textures(n_images: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return images (N, 1, 24, 24) in [0, 1] of three textures with random contrast, and labels."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(
        torch.arange(SIZE) * 1.0, torch.arange(SIZE) * 1.0, indexing="ij"
    )
    labels = torch.arange(n_images) % 3
    images = []
    for label in labels.tolist():
        draw = torch.rand(5, generator=generator).tolist()
        frequency = 2 * math.pi / (4 + 5 * draw[0])
        contrast, mean = 0.06 + 0.25 * draw[1], 0.25 + 0.45 * draw[2]
        phase = 2 * math.pi * draw[3]
        if label == 2:
            across = torch.sin(frequency * 0.707 * (rows - columns) + 2 * math.pi * draw[4])
            wave = across * torch.sin(frequency * 0.707 * (rows + columns) + phase)
        else:
            wave = torch.sin(frequency * (rows, columns)[label] + phase)
        noise = 0.12 * torch.randn(SIZE, SIZE, generator=generator)
        images.append((mean + contrast * wave + noise).clamp(0, 1))
    return torch.stack(images)[:, None], labels


def train_network(
    preset: str, *, stores_statistics: bool, seed: int, n_steps: int = 350
) -> nn.Module:
    """Train a network of three input channels with the preprocessing of a preset."""
    torch.manual_seed(seed)
    norms = [[nn.BatchNorm2d(n)] if stores_statistics else [] for n in (12, 24)]
    network = nn.Sequential(
        nn.Conv2d(3, 12, 5, padding=2), *norms[0], nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), *norms[1], nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(24, 3),
    )  # fmt: skip
    images, labels = draw_textures(900, 10 * seed + 1)
    inputs = PRESETS[preset].to_network(images.expand(-1, 3, -1, -1))
    # without normalization layers, inputs up to 255 need smaller steps
    rate = 1e-3 if preset == "bytes" and not stores_statistics else 3e-3
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for _ in range(n_steps):
        batch = torch.randint(len(inputs), (48,))
        optimizer.zero_grad()
        F.cross_entropy(network(inputs[batch]), labels[batch]).backward()
        optimizer.step()
    return network.eval()


def train_well(preset: str, *, stores_statistics: bool, seed: int) -> nn.Module:
    """Train networks of increasing length until one is correct for 9 of 10 new images."""
    images, labels = draw_textures(150, 77)
    inputs = PRESETS[preset].to_network(images.expand(-1, 3, -1, -1))
    for n_steps in (250, 500, 1000):
        network = train_network(
            preset, stores_statistics=stores_statistics, seed=seed, n_steps=n_steps
        )
        with torch.no_grad():
            accuracy = (network(inputs).argmax(dim=1) == labels).float().mean()
        if accuracy >= 0.9:
            return network
    raise AssertionError(f"{preset}, seed {seed}: accuracy {accuracy:.2f}")


class Textures:
    """Drawn textures with their labels, as a dataset."""

    name = "textures"
    classes = NAMES

    def __init__(self, n_images: int, seed: int) -> None:
        images, labels = draw_textures(n_images, seed)
        self._images, self._labels = images, labels.tolist()

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.sample_id(index), self._images[index], self._labels[index])

    def sample_id(self, index: int) -> str:
        return f"texture {index}"

    def label(self, index: int) -> int:
        return int(self._labels[index])
