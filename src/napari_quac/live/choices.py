"""Choices of the user: small values that can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from psygnal import SignalGroupDescriptor

from napari_quac.explain.settings import AUTO, DEFAULT_METHODS, PRESETS, ExplainSettings
from napari_quac.explain.size_axis import DEFAULT_AXIS, SizeAxis

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.live.open_report import OpenReport


class SampleSource(Protocol):
    """Source of samples, as a value."""

    def load(self) -> Dataset:
        """Read the dataset; runs in the lane."""


class ReportSource(Protocol):
    """Source of a report, as a value."""

    def load(self) -> OpenReport:
        """Read the report; runs in the lane."""


@dataclass(frozen=True)
class ReadySamples:
    """A dataset in memory, such as the example or the images of a layer."""

    dataset: Dataset

    def load(self) -> Dataset:
        """Return the dataset."""
        return self.dataset


@dataclass(frozen=True, eq=False)
class ReportFolder:
    """A folder of explanations; every object of this class is read anew.

    Attributes
    ----------
    folder : Path
        See :func:`~napari_quac.live.open_report.open_explanations`.
    """

    folder: Path

    def load(self) -> OpenReport:
        """Read the explanations of the folder."""
        from napari_quac.live.open_report import open_explanations

        return open_explanations(self.folder)


@dataclass(frozen=True, eq=False)
class LabelImage:
    """Labeled structures on the pixels of the sample.

    Attributes
    ----------
    name : str
        Name of the layer.
    read : callable
        Returns (*S) integers, 0 for the background; runs in the lane.
    """

    name: str
    read: Callable[[], Any]


@dataclass
class Choices:
    """Choices of the user; each field has an event of its name in ``events``.

    Attributes
    ----------
    samples : SampleSource or None
    classifier, generator : recipe or None
        Each has a method ``load`` that returns the network; None before a choice.
    class_map : mapping of str to str
        Class of the classifier for classes of the generator, where the user has matched them;
        empty for one that is not used.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda:0"``, …
    settings : ExplainSettings
        Question, search, methods, masks and thresholds, as in a plan.
    sample_index : int or None
    shown_method : str
        The method whose attribution, mask and hybrid are displayed.
    threshold : float or None
        None for the optimum of the displayed explanation.
    size_axis : "logarithmic", "square root" or "linear"
        Axis of mask sizes in all plots, and travel of the slider.
    proposal_index : int or None
        Position of the proposal that is explained among those of the search; None for the best.
    compared_samples : int
        Number of samples over which methods are compared; 0 for the displayed pair.
    neighbor_styles : bool
        Take styles from the nearest correctly classified samples, where the generator can.
    filter_text : str
        See :mod:`~napari_quac.live.filter_language`; empty for all samples.
    sort_by : str
        Column that orders the samples; see :mod:`~napari_quac.live.sample_order`.
    sort_ascending : bool
    predict_up_to : int
        Datasets of at most this number of samples are predicted without a request.
    report_source : ReportSource or None
        Folder with explanations of many samples, or a report in memory.
    labels : LabelImage or None
        Structures in which the change is measured, too.
    bin_generator : ExaggerationRecipe or None
        Bin-conditional generator along whose bins the query is exaggerated; None for the path of
        the generator.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()
    samples: SampleSource | None = None
    classifier: Any = None
    generator: Any = None
    class_map: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    settings: ExplainSettings = field(default_factory=ExplainSettings)
    sample_index: int | None = None
    shown_method: str = DEFAULT_METHODS[0]
    threshold: float | None = None
    size_axis: SizeAxis = DEFAULT_AXIS
    proposal_index: int | None = None
    compared_samples: int = 0
    neighbor_styles: bool = False
    filter_text: str = ""
    sort_by: str = "number"
    sort_ascending: bool = True
    predict_up_to: int = 500
    report_source: ReportSource | None = None
    labels: LabelImage | None = None
    bin_generator: Any = None

    def update_settings(self, **changes: Any) -> None:
        """Replace some of the settings, named as in :class:`ExplainSettings`.

        Methods that stay keep their parameters; ``max_tries`` stands for the one of the search.
        """
        settings = self.settings
        if "methods" in changes:
            settings = settings.with_methods(tuple(changes.pop("methods")))
        if "max_tries" in changes:
            changes["search"] = replace(settings.search, max_tries=changes.pop("max_tries"))
        self.use_settings(replace(settings, **changes))

    def use_settings(self, settings: ExplainSettings, shown_method: str = "") -> None:
        """Choose settings, and display one of their methods.

        Parameters
        ----------
        settings : ExplainSettings
            Question, search, methods, masks and thresholds.
        shown_method : str
            The method to display; by default, and if it is not among the methods, the one that is
            displayed now, or the first one.
        """
        if shown_method or settings.methods != self.settings.methods:
            names = (shown_method, self.shown_method, settings.methods[0])
            self.shown_method = next(name for name in names if name in settings.methods)
        self.settings = settings

    def choose_preset(self, name: str, methods: Iterable[str] = ()) -> None:
        """Use the procedure, grid, channel-wise masking and parameters of a preset.

        Parameters
        ----------
        name : str
            ``"quac"`` or ``"dapi"``.
        methods : iterable of str
            Methods to add. All methods keep parameters that the user has changed.
        """
        settings, after = self.settings, PRESETS[name].settings
        before = PRESETS[settings.preset or "quac"].settings.parameters
        names = tuple(dict.fromkeys((*settings.methods, *methods)))
        parameters = {
            method: {
                **after.parameters.get(method, {}),
                **_changes(settings.parameters.get(method, {}), before.get(method, {})),
            }
            for method in names
        }
        masking = replace(settings.masking, channel_wise=after.masking.channel_wise)
        settings = replace(settings, methods=names, parameters=parameters, masking=masking)
        self.use_settings(replace(settings, grid=after.grid, procedure=after.procedure))

    def choose_target(self, class_name: str | None) -> None:
        """Choose the class to reach; None for the most useful one of each sample."""
        self.update_settings(targets=AUTO if class_name is None else (class_name,))


def _changes(parameters: Mapping[str, Any], initial: Mapping[str, Any]) -> dict[str, Any]:
    return {name: setting for name, setting in parameters.items() if initial.get(name) != setting}
