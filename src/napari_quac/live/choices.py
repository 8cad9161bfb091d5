"""What the user picked: small values that can be compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from psygnal import SignalGroupDescriptor

from napari_quac.explain.mask import Masking

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset

DEFAULT_METHODS = ("d-ig", "d-deeplift", "d-ingrad", "residual", "random")


class SampleSource(Protocol):
    """Where samples come from, as a value."""

    def load(self) -> Dataset:
        """Read what there is; runs in the lane."""


class NetworkRecipe(Protocol):
    """What it takes to load a network, as a value."""

    def load(self, device: Any) -> Any:
        """Return the live network; runs in the lane."""


@dataclass(frozen=True)
class FolderSamples:
    """Images in a folder with one subfolder per class.

    Attributes
    ----------
    directory : Path
    image_range : (low, high) or None
        See :func:`~napari_quac.data.image_file.read_image`.
    """

    directory: Path
    image_range: tuple[float, float] | None = None

    def load(self) -> Dataset:
        """Look the folder through."""
        from napari_quac.data.image_folder import ImageFolder

        return ImageFolder(self.directory, self.image_range)


@dataclass(frozen=True)
class ReadySamples:
    """A dataset that is there already, such as the example or the images of a layer."""

    dataset: Dataset

    def load(self) -> Dataset:
        """Return the dataset."""
        return self.dataset


@dataclass
class Choices:
    """What the user picked; each field has an event of its name in ``events``.

    Attributes
    ----------
    samples, classifier, generator
        Where samples and networks come from; None before anything was chosen.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda:0"``, …
    sample_index : int or None
    target : int or None
        Class to reach; None for the true class of a misprediction, else the second-best class.
    max_tries, seed : int
        For the search.
    methods : tuple of str
        Names of the methods to explain with.
    shown_method : str
        The one whose attribution, mask and hybrid are shown.
    masking : Masking
    preset : str
        ``"quac"`` or ``"dapi"``: which image is pasted into which, and what is made of it.
    threshold : float or None
        None for the optimum of the shown method.
    compared_samples : int
        Samples over which methods are compared; 0 for the pair on show.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()
    samples: SampleSource | None = None
    classifier: Any = None
    generator: Any = None
    device: str = "auto"
    sample_index: int | None = None
    target: int | None = None
    max_tries: int = 100
    seed: int = 0
    methods: tuple[str, ...] = DEFAULT_METHODS
    shown_method: str = DEFAULT_METHODS[0]
    masking: Masking = field(default_factory=Masking)
    preset: str = "quac"
    threshold: float | None = None
    compared_samples: int = 0
