"""Find out what ends a StarGAN v2, where its file does not say, from images of the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator as Iterating
from dataclasses import dataclass, replace

import torch

from napari_quac.data.dataset import Dataset
from napari_quac.errors import DataError
from napari_quac.generators.stargan.file import read_stargan, reconstruction_errors
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.architectures.stargan_v2 import FinalActivation
from napari_quac.networks.resizing import resize
from napari_quac.networks.value_range import ValueRange
from napari_quac.stepwise import Progress, stepwise

N_IMAGES = 4
POOR = 0.1  # a trained StarGAN reconstructs its own data far better


@dataclass(frozen=True)
class FoundActivation:
    """What fits best.

    Attributes
    ----------
    activation : {"none", "tanh", "sigmoid"}
    value_range : ValueRange
    error : float
        Mean absolute difference between images and their reconstruction, on a range of 1.
    n_images : int
        How many were reconstructed.
    """

    activation: FinalActivation
    value_range: ValueRange
    error: float
    n_images: int

    @property
    def fits(self) -> bool:
        """Whether the reconstruction is good enough to say anything."""
        return self.error <= POOR

    def applied_to(self, recipe: StarGANRecipe) -> StarGANRecipe:
        """Return a recipe that uses it."""
        return replace(recipe, final_activation=self.activation, value_range=self.value_range)

    def __str__(self) -> str:
        said = (
            f"{self.n_images} samples are reconstructed best with {self.activation} on "
            f"{self.value_range} (mean difference {self.error:.3f})."
        )
        return said + ("" if self.fits else " None of them fits well.")


@stepwise
def measure_final_activation(
    recipe: StarGANRecipe, dataset: Dataset, n_images: int = N_IMAGES
) -> Iterating[Progress, None, FoundActivation]:
    """Reconstruct some images with each activation and range, and say which is nearest.

    Parameters
    ----------
    recipe : StarGANRecipe
        Whose file is asked.
    dataset : Dataset
        Images with labels, evenly taken from it.
    n_images : int
        How many.

    Raises
    ------
    DataError
        If no image has a label that the generator knows.
    CheckpointError
        If the file has no style encoder.
    """
    file = read_stargan(recipe.path, recipe.image_size)
    names, hyper = recipe.class_names or file.class_names, file.network.hyper
    domains = {
        label: names.index(name) if name in names else label
        for label, name in enumerate(dataset.classes)
    }
    known = [
        index
        for index in range(len(dataset))
        if domains.get(dataset.label(index) or 0, hyper.num_domains) < hyper.num_domains
        and dataset.label(index) is not None
    ]
    if not known:
        raise DataError(
            "The final activation is measured on samples with labels that the generator knows; "
            f"'{dataset.name}' has none. Choose it by hand."
        )
    chosen = [known[number * len(known) // n_images] for number in range(n_images)]
    chosen = sorted(set(chosen))
    sums: Counter[tuple[FinalActivation, ValueRange]] = Counter()
    for number, index in enumerate(chosen):
        yield Progress(number, len(chosen), "reconstructing samples")
        sample = dataset[index]
        image = resize(sample.image[None], hyper.img_size)
        label = torch.tensor([domains[sample.label or 0]])
        errors = reconstruction_errors(file.network, image, label, recipe.path.name)
        sums.update(errors)
    activation, value_range = min(sums, key=sums.__getitem__)
    error = sums[activation, value_range] / len(chosen)
    return FoundActivation(activation, value_range, error, len(chosen))
