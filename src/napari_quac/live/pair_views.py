"""Rules for further views of a pair: comparison, exaggeration, deformation, regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_quac.data.dataset import evenly_spaced
from napari_quac.errors import DataError
from napari_quac.live.choices import LabelImage
from napari_quac.live.display import DisplayedHybrid
from napari_quac.live.sample_order import SampleOrder
from napari_quac.stepwise import Steps

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.explain.exaggeration import Exaggeration
    from napari_quac.explain.morphometry import Morphometry
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.regions import Regions
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.generators.warp.view import WarpView
    from napari_quac.live.prediction import Prediction
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator as ImageGenerator
    from napari_quac.reports.comparison import MethodComparison


def derive_comparison_settings(
    pair_settings: ExplainSettings, settings: ExplainSettings, compared_samples: int = 0
) -> ExplainSettings:
    """Return the settings of a comparison of all methods; those of the search for new pairs."""
    from napari_quac.explain.methods import METHODS

    return (settings if compared_samples else pair_settings).with_methods(tuple(METHODS))


def choose_compared_pair(pair: Pair | None = None, compared_samples: int = 0) -> Pair | None:
    """Return the displayed pair unless several samples are compared, whatever is displayed."""
    return None if compared_samples else pair


def compare_methods(
    loaded_samples: Dataset, loaded_classifier: Classifier, loaded_generator: ImageGenerator,
    comparison_settings: ExplainSettings, compared_pair: Pair | None = None,
    compared_samples: int = 0,
    *, sample_index: int | None = None, order: SampleOrder | None = None,
) -> Steps[MethodComparison]:  # fmt: skip
    """Compare all methods on the displayed pair, or on samples spread evenly over the table."""
    from napari_quac.reports.comparison import compare_pair, compare_samples, true_difference

    if compared_samples:
        n_samples = len(loaded_samples)
        rows = order.indices.tolist() if order is not None and len(order) else range(n_samples)
        indices = [rows[place] for place in evenly_spaced(len(rows), compared_samples)]
        return compare_samples(
            indices, loaded_samples, loaded_classifier, loaded_generator, comparison_settings
        )
    if compared_pair is None or sample_index is None:
        sentence = "There is no pair to compare methods on. Explain a sample first."
        raise DataError(sentence).suggesting("explain")
    truth = true_difference(loaded_samples, sample_index, compared_pair, loaded_classifier)
    return compare_pair(compared_pair, loaded_classifier, comparison_settings, truth)


def exaggerate_query(
    prediction: Prediction,
    loaded_classifier: Classifier,
    pair: Pair | None = None,
    loaded_generator: ImageGenerator | None = None,
    bin_generator: Any = None,
    *,
    device: str,
) -> Steps[Exaggeration] | Steps[Exaggeration | None]:
    """Compute the path from the query to the generated image, or through the bins."""
    from napari_quac.explain.exaggeration import exaggerate, traverse_bins
    from napari_quac.networks.device import resolve_device

    sample, generator = prediction.sample, loaded_generator
    if bin_generator is not None:
        return traverse_bins(sample, bin_generator.load(resolve_device(device)), loaded_classifier)
    if pair is not None and generator is not None:
        return exaggerate(pair, generator, loaded_classifier)
    if generator is not None and generator.n_bins is not None:
        return traverse_bins(sample, generator, loaded_classifier)
    raise DataError(
        "There is no generated image as the end of the path. Press Explain first, or use the bins "
        "of a bin-conditional generator as path."
    ).suggesting("explain")


def view_deformation(
    pair: Pair, loaded_generator: ImageGenerator, loaded_classifier: Classifier
) -> Steps[WarpView | None]:
    """Compute the deformation of a warping simulator; None for other generators."""
    from napari_quac.generators.warp.view import view_warp

    return view_warp(pair, loaded_generator, loaded_classifier)


def analyze_regions(
    displayed_hybrid: DisplayedHybrid, loaded_classifier: Classifier
) -> Steps[Regions]:
    """Analyze the regions of the displayed mask."""
    from napari_quac.explain.regions import find_regions

    return find_regions(displayed_hybrid.explanation, loaded_classifier, displayed_hybrid.index)


def measure_morphometry(
    displayed_hybrid: DisplayedHybrid, labels: LabelImage | None = None
) -> Steps[Morphometry]:
    """Measure the displayed change, within labeled structures if there are any."""
    from napari_quac.explain.morphometry import measure_change

    values = labels.read() if labels is not None else None
    return measure_change(displayed_hybrid.explanation, values, displayed_hybrid.index)
