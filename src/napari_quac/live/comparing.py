"""All methods side by side, for the pair on show or for many samples."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from napari_quac.errors import DataError, QuacError
from napari_quac.stepwise import Progress, Steps, stepwise

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.explain.mask import Masking
    from napari_quac.explain.method_parameters import MethodParameters
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.procedure import Grid
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator as ImageGenerator
    from napari_quac.reports.comparison import Comparison, ComparisonRow

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Compared:
    """Methods side by side, as far as they have come.

    Attributes
    ----------
    comparisons : tuple of Comparison
        One for each pair; those without a pair are in ``failures``.
    rows : tuple of ComparisonRow
        One for each method, the best score first.
    n_wanted : int
        Pairs that there will be.
    failures : tuple of str
        Samples that could not be explained, each with the reason.
    """

    comparisons: tuple[Comparison, ...]
    rows: tuple[ComparisonRow, ...]
    n_wanted: int = 1
    failures: tuple[str, ...] = ()

    @property
    def last(self) -> Comparison:
        """The comparison whose maps are shown."""
        return self.comparisons[-1]


def settings_for(
    preset: str, masking: Masking, grid: Grid, parameters: MethodParameters
) -> ExplainSettings:
    """Return the settings of a preset, as they were changed, with every method there is."""
    from napari_quac.explain.method_parameters import merged
    from napari_quac.explain.methods import METHODS
    from napari_quac.explain.settings import ExplainSettings

    settings = ExplainSettings.from_preset(preset)
    return replace(
        settings,
        methods=tuple(METHODS),
        masking=masking,
        grid=grid,
        parameters=merged(settings.parameters, parameters),
    )


@stepwise
def compare_pair(
    pair: Pair, index: int, dataset: Dataset, classifier: Classifier, settings: ExplainSettings
) -> Generator[Progress, None, Compared]:
    """Compare all methods on one pair.

    Parameters
    ----------
    pair : Pair
        Of the sample ``index``.
    index : int
        Its number in ``dataset``, which may know the true difference.
    dataset : Dataset
        The samples.
    classifier : Classifier
        The one that judged the pair.
    settings : ExplainSettings
        Methods and procedure.
    """
    from napari_quac.reports.comparison import compare_methods, rows_of, true_difference

    truth = true_difference(dataset, index, pair, classifier)
    steps = iter(compare_methods(pair, classifier, settings, truth))
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return Compared((end.value,), rows_of(end.value))
        if step.partial is not None:
            step = replace(step, partial=Compared((step.partial,), rows_of(step.partial)))
        yield step


@stepwise
def compare_samples(
    indices: Sequence[int],
    target: int | None,
    dataset: Dataset,
    classifier: Classifier,
    generator: ImageGenerator,
    settings: ExplainSettings,
    seed: int,
) -> Generator[Progress, None, Compared]:
    """Search a pair for each of several samples, and compare all methods over them.

    Parameters
    ----------
    indices : sequence of int
        Samples; one that fails is noted, and the others go on.
    target : int or None
        Class to reach; None for the most useful question about each sample.
    dataset, classifier, generator
        As for a single explanation.
    settings : ExplainSettings
        Methods, procedure and search.
    seed : int
        Of the search.

    Raises
    ------
    DataError
        If no sample at all could be explained.
    """
    from napari_quac.explain.question import default_question, true_class
    from napari_quac.explain.search import search
    from napari_quac.reports.comparison import compare_methods, rows_of, true_difference

    found: list[Comparison] = []
    failures: list[str] = []
    total = len(indices)
    partial: Compared | None = None
    for number, index in enumerate(indices):
        name = dataset.sample_id(index)
        text = f"compare sample {number + 1} of {total}"
        yield Progress(number, total, text, partial)
        try:
            sample = dataset[index]
            classifier.check_image(sample.image.shape, f"'{name}'")
            prediction = classifier.predict(sample.image[None])[0]
            truth = true_class(sample.label, dataset.classes, classifier)
            source, wanted = default_question(prediction, truth)
            if target is not None:
                source, wanted = int(prediction.argmax()), target
            if source == wanted:
                continue  # it is the target class already
            searching = search(sample, wanted, classifier, generator, settings.search, seed, source)
            pair = yield from _quietly(searching, number, total, text)
            mask = true_difference(dataset, index, pair, classifier)
            comparing = compare_methods(pair, classifier, settings, mask)
            found.append((yield from _quietly(comparing, number, total, text)))
        except QuacError as error:
            failures.append(f"{name}: {error}")
            continue
        partial = Compared(tuple(found), rows_of(found), total, tuple(failures))
    if not found:
        reason = failures[0] if failures else "all of them are called the target class already."
        raise DataError(f"No sample could be compared. {reason}")
    return Compared(tuple(found), rows_of(found), total, tuple(failures))


def _quietly(steps: Steps[T], number: int, total: int, text: str) -> Generator[Progress, None, T]:
    """Pass steps on without their partial results, counted in hundredths of a sample."""
    generator = iter(steps)
    while True:
        try:
            step = next(generator)
        except StopIteration as end:
            value: T = end.value
            return value
        share = step.done / step.total if step.total else 0.0
        yield Progress(round(100 * (number + share)), 100 * total, text)
