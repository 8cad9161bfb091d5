"""Everything that determines the displayed explanation, to compute it again elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.errors import DataError
from napari_quac.live.choices import Choices
from napari_quac.live.plans import samples_recipe
from napari_quac.live.recall import explanation_key
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.settings import ExplainSettings, SearchSettings

NOTHING = "No explanation is displayed. Explain a sample first."
PRELIMINARY = "The explanation is preliminary. Wait until it is exact."
OTHER_PROPOSAL = (
    "Another proposal than the best one is explained, and no setting selects it. Choose the best "
    "proposal, which is the first one."
)
OTHER_STYLES = (
    "The styles come from the nearest samples of this window. Explain again without them."
)


@dataclass(frozen=True)
class ExplanationRecipe:
    """Samples, networks, question and settings of one explanation.

    Attributes
    ----------
    samples, classifier, generator : recipe
        As in a plan; all paths are absolute.
    class_names : tuple of str
        Class names that the file of the classifier lacks; empty otherwise.
    class_map : mapping of str to str
        As in :class:`~napari_quac.live.choices.Choices`.
    device : str
    settings : ExplainSettings
        Of the explanation and of the search for its generated image.
    index : int
        Position of the sample in the dataset.
    sample_id : str
    source, target : str
        Class names.
    basis : "prediction", "label" or ""
        Origin of the source class; empty if it is neither.
    method : str
        The displayed method.
    threshold : float or None
        The chosen threshold; None for the optimum.
    n_axes : int or None
        Spatial axes of the images, where the files leave them open.
    """

    samples: Any
    classifier: Any
    generator: Any
    class_names: tuple[str, ...]
    class_map: Mapping[str, str]
    device: str
    settings: ExplainSettings
    index: int
    sample_id: str
    source: str
    target: str
    basis: str
    method: str
    threshold: float | None = None
    n_axes: int | None = None


def displayed_recipe(choices: Choices, results: Results) -> ExplanationRecipe:
    """Return everything that determines the displayed explanation.

    Parameters
    ----------
    choices : Choices
        Recipes of samples and networks.
    results : Results
        The displayed explanation, and the search that it is about.

    Raises
    ------
    DataError
        If there is none, or samples, networks or the search exist in this window only.
    """
    from napari_quac.batch.plan import BatchPlan, absolute, map_paths

    displayed, pair = results.displayed_hybrid, results.pair
    explanations, classifier = results.explanations, results.loaded_classifier
    index = choices.sample_index
    if displayed is None or pair is None or not explanations or classifier is None or index is None:
        raise DataError(NOTHING)
    if displayed.explanation.is_preliminary:
        raise DataError(PRELIMINARY)
    for name in ("samples", "classifier", "generator"):
        if getattr(choices, name) is None:
            raise DataError(f"Samples and both networks are needed; the {name} is missing.")
    search, seed = _search_of(pair, choices, results)
    names = classifier.class_names
    source, target = names[pair.source], names[pair.target]
    settings = replace(
        explanations.settings, search=search, seed=seed, targets=(target,),
        methods=tuple(name for name in explanations.settings.methods if name in explanations),
        parameters={name: values for name, values in explanations.settings.parameters.items()
                    if name in explanations},
    )  # fmt: skip
    recipes = (samples_recipe(choices.samples), choices.classifier, choices.generator)
    recipes = tuple(map_paths(recipe, lambda path: absolute(path, Path())) for recipe in recipes)
    BatchPlan(*recipes, settings).plain()  # refuses what exists in memory only
    stated = getattr(choices.classifier, "class_names", None)
    opened = results.opened_classifier
    is_renamed = not stated and opened is not None and opened.class_names != names
    return ExplanationRecipe(
        *recipes,
        class_names=names if is_renamed else (),
        class_map=dict(choices.class_map),
        device=choices.device,
        settings=settings,
        index=index,
        sample_id=pair.query.id,
        source=source,
        target=target,
        basis=_basis_of(pair, results),
        method=displayed.explanation.method,
        threshold=choices.threshold,
        n_axes=getattr(results.loaded_samples, "n_axes", None),
    )


def _search_of(pair: Pair, choices: Choices, results: Results) -> tuple[SearchSettings, int]:
    """Return settings and seed with which a search finds the pair again.

    Raises
    ------
    DataError
        If no search does.
    """
    loaded, report = results.loaded_explanations, results.report
    if loaded is not None and report is not None and loaded.pair is pair:
        return report.settings.search, report.settings.seed
    origin, cache = results.origin, results.explanation_cache
    entry = None
    if origin is not None and cache is not None:
        entry = cache.get(explanation_key(pair.query, origin), (pair.source, pair.target))
    if entry is None:
        return choices.settings.search, choices.settings.seed
    if entry.pair.generated is not pair.generated:
        raise DataError(OTHER_PROPOSAL)
    if entry.search is None:
        raise DataError(OTHER_STYLES)
    return entry.search


def _basis_of(pair: Pair, results: Results) -> str:
    """Return the origin of the source class; that of the generator's family if both agree."""
    from napari_quac.explain.question import resolve_source_basis

    prediction = results.prediction
    if prediction is None:
        return ""
    usual = resolve_source_basis("auto", results.loaded_generator)
    classes = {"prediction": prediction.predicted, "label": prediction.truth}
    fitting = [basis for basis, index in classes.items() if index == pair.source]
    return usual if usual in fitting else (fitting[0] if fitting else "")
