"""What the user picked: small values that can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from psygnal import SignalGroupDescriptor

from napari_quac.data.recipes import ImageFolderRecipe, PreprocessedRecipe
from napari_quac.explain.mask import Masking

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.explain.procedure import Grid

DEFAULT_METHODS = ("d-ig", "d-deeplift", "d-ingrad", "residual", "random")


class SampleSource(Protocol):
    """Where samples come from, as a value."""

    def load(self) -> Dataset:
        """Read what there is; runs in the lane."""


class NetworkRecipe(Protocol):
    """What it takes to load a network, as a value."""

    def load(self, device: Any) -> Any:
        """Return the live network; runs in the lane."""


FolderSamples = ImageFolderRecipe
PreprocessedSamples = PreprocessedRecipe


@dataclass(frozen=True)
class ReadySamples:
    """A dataset that is there already, such as the example or the images of a layer."""

    dataset: Dataset

    def load(self) -> Dataset:
        """Return the dataset."""
        return self.dataset


@dataclass(frozen=True, eq=False)
class LabelImage:
    """Known structures on the pixels of the sample.

    Attributes
    ----------
    name : str
        Where they are from.
    read : callable
        Returns (*S) whole numbers, 0 for the background; runs in the lane.
    """

    name: str
    read: Callable[[], Any]


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
    parameters : mapping of str to mapping
        Name of a method to its parameters that differ from the defaults.
    shown_method : str
        The one whose attribution, mask and hybrid are shown.
    masking : Masking
    grid : "quac_0_2" or "corrected"
        Thresholds of the curves.
    preset : str
        ``"quac"`` or ``"dapi"``: which image is pasted into which, and what is made of it.
    threshold : float or None
        None for the optimum of the shown method.
    compared_samples : int
        Samples over which methods are compared; 0 for the pair on show.
    source_basis : "prediction" or "label"
        Which question a misprediction is asked: what would make it look like its label, or what
        makes it look like the predicted class. See
        :func:`~napari_quac.explain.question.default_question`.
    neighbour_styles : bool
        Take styles from the nearest correctly classified samples, where the generator can.
    filter_text : str
        Which samples are in view; see :mod:`~napari_quac.live.filter_language`.
    sort_by : str
        Column that orders them; see :mod:`~napari_quac.live.sample_order`.
    sort_ascending : bool
    predict_up_to : int
        That many samples are predicted without being asked.
    report_folder : Path or None
        Where explanations of many samples are kept, and shown from.
    labels : LabelImage or None
        Structures in which the change is measured, too.
    explainer : ExaggerationRecipe or None
        The explainer by bins along whose bins the query is exaggerated; None for the generator.
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
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shown_method: str = DEFAULT_METHODS[0]
    masking: Masking = field(default_factory=Masking)
    grid: Grid = "quac_0_2"
    preset: str = "quac"
    threshold: float | None = None
    compared_samples: int = 0
    source_basis: Literal["prediction", "label"] = "prediction"
    neighbour_styles: bool = False
    filter_text: str = ""
    sort_by: str = "number"
    sort_ascending: bool = True
    predict_up_to: int = 500
    report_folder: Path | None = None
    labels: LabelImage | None = None
    explainer: Any = None
