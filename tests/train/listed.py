"""A dataset for the tests of trainings."""

from __future__ import annotations

from torch import Tensor

from napari_quac.data.dataset import Sample


class Listed:
    """A dataset of images that are given."""

    name = "listed"

    def __init__(self, images: list[Tensor], labels: list[int | None], classes: tuple[str, ...]):
        self.images, self.labels, self.classes = images, labels, classes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.sample_id(index), self.images[index], self.labels[index])

    def sample_id(self, index: int) -> str:
        return f"image {index}"

    def label(self, index: int) -> int | None:
        return self.labels[index]
