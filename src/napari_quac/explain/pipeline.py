"""The steps in a row: from a sample to its explanations."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator as Iterating
from dataclasses import dataclass, field

import torch

from napari_quac.data.sample import Sample
from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import Attribution, AttributionMethod, attribute
from napari_quac.explain.curve import Curve, Grid, hybrid_at, trace_curve
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.hybrid import blend
from napari_quac.explain.mask import Masking
from napari_quac.explain.method_parameters import MethodParameters, build_method
from napari_quac.explain.pair import Pair
from napari_quac.explain.procedure import QUAC_METHODS, Procedure, preset
from napari_quac.explain.search import SearchSettings, search
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator
from napari_quac.stepwise import Progress, stepwise

DEFAULT_METHODS = QUAC_METHODS


@dataclass(frozen=True)
class ExplainSettings:
    """What is computed for each pair.

    Attributes
    ----------
    methods : tuple of str
        Names in the registry of methods.
    masking : Masking
    grid : "quac_0_2", "corrected" or "dapi"
        See :func:`~napari_quac.explain.curve.threshold_grid`.
    search : SearchSettings
    parameters : mapping of str to mapping
        Name of a method to its parameters that differ from the defaults.
    procedure : Procedure
        Which image is pasted into which, and what is made of it.
    """

    methods: tuple[str, ...] = DEFAULT_METHODS
    masking: Masking = field(default_factory=Masking)
    grid: Grid = "quac_0_2"
    search: SearchSettings = field(default_factory=SearchSettings)
    parameters: MethodParameters = field(default_factory=dict)
    procedure: Procedure = field(default_factory=Procedure)

    @classmethod
    def of_preset(cls, name: str) -> ExplainSettings:
        """Return the settings of a published system, ``"quac"`` or ``"dapi"``.

        Raises
        ------
        UnknownNameError
            If there is no such preset.
        """
        chosen = preset(name)
        return cls(
            chosen.methods,
            chosen.masking,
            chosen.grid,
            parameters=chosen.parameters,
            procedure=chosen.procedure,
        )


@stepwise
def explain(
    sample: Sample,
    target: int,
    classifier: Classifier,
    generator: Generator,
    settings: ExplainSettings | None = None,
    seed: int = 0,
    source: int | None = None,
    on_unavailable: Callable[[str, MethodUnavailableError], None] | None = None,
) -> Iterating[Progress, None, tuple[Explanation, ...]]:
    """Search a generated image and explain what made the classifier change its mind.

    Parameters
    ----------
    sample : Sample
        The sample to be explained.
    target : int
        Class to reach.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        What makes the proposals.
    settings : ExplainSettings, optional
        What is computed; by default everything.
    seed : int
        Of the whole piece of work; the same seed, sample and target give the same arrays in the
        window, in a notebook and on a cluster.
    source : int, optional
        By default the predicted class.
    on_unavailable : callable, optional
        See :func:`explain_pair`.

    Returns
    -------
    Steps of tuple of Explanation
        One for each method, in their order.
    """
    settings = settings or ExplainSettings()
    pair = yield from search(sample, target, classifier, generator, settings.search, seed, source)
    explanations = yield from explain_pair(pair, classifier, settings, on_unavailable)
    return explanations


@stepwise
def explain_pair(
    pair: Pair,
    classifier: Classifier,
    settings: ExplainSettings | None = None,
    on_unavailable: Callable[[str, MethodUnavailableError], None] | None = None,
) -> Iterating[Progress, None, tuple[Explanation, ...]]:
    """Explain a pair that is there already; one explanation for each method.

    Parameters
    ----------
    pair : Pair
        Query and generated image with their predictions.
    classifier : Classifier
        The classifier under study.
    settings : ExplainSettings, optional
        What is computed; by default everything.
    on_unavailable : callable, optional
        Is told of each method that cannot be computed on this network, which is then left out.

    Raises
    ------
    MethodUnavailableError
        If a method cannot be computed on this network and nobody is there to be told.
    """
    settings = settings or ExplainSettings()
    explanations = []
    for name in settings.methods:
        method = build_method(name, settings.parameters)
        try:
            explanation = yield from explain_by(
                pair, name, method, classifier, settings.masking, settings.grid, settings.procedure
            )
        except MethodUnavailableError as error:
            if on_unavailable is None:
                raise
            on_unavailable(name, error)
            continue
        explanations.append(explanation)
    return tuple(explanations)


@stepwise
def explain_by(
    pair: Pair,
    name: str,
    method: AttributionMethod,
    classifier: Classifier,
    masking: Masking | None = None,
    grid: Grid = "quac_0_2",
    procedure: Procedure | None = None,
) -> Iterating[Progress, None, Explanation]:
    """Explain a pair by one method.

    Parameters
    ----------
    pair : Pair
        Query and generated image with their predictions.
    name : str
        Name of the method in the registry.
    method : AttributionMethod
        The method with its parameters.
    classifier : Classifier
        The classifier under study.
    masking, grid, procedure : optional
        See :class:`ExplainSettings`.

    Returns
    -------
    Steps of Explanation
        Its pair is in the roles of the procedure.
    """
    procedure = procedure or Procedure()
    seen = procedure.attributed(pair, method)
    attribution = yield from attribute(seen, name, method, classifier)
    explanation = yield from explain_attribution(
        procedure.pair(pair), attribution, classifier, masking, grid, procedure
    )
    return explanation


@stepwise
def explain_attribution(
    pair: Pair,
    attribution: Attribution,
    classifier: Classifier,
    masking: Masking | None = None,
    grid: Grid = "quac_0_2",
    procedure: Procedure | None = None,
) -> Iterating[Progress, None, Explanation]:
    """Trace the curve of an attribution and take its optimum.

    Parameters
    ----------
    pair : Pair
        Query and generated image with their predictions.
    attribution : Attribution
        How much each pixel matters.
    classifier : Classifier
        The classifier under study.
    masking : Masking, optional
        How a threshold becomes a mask; by default as in the QuAC library.
    grid : "quac_0_2", "corrected" or "dapi"
        Which thresholds; see :func:`threshold_grid`.
    procedure : Procedure, optional
        ``pair`` is brought into its roles.
    """
    procedure = procedure or Procedure()
    pair = procedure.pair(pair)
    curve = yield from trace_curve(
        pair, attribution, classifier, masking, grid, procedure=procedure
    )
    yield Progress(1, 1, f"inverse hybrid of {attribution.method}")
    return finished(pair, attribution, curve, classifier)


def finished(
    pair: Pair, attribution: Attribution, curve: Curve, classifier: Classifier
) -> Explanation:
    """Put together what is known, and ask about the inverse hybrid."""
    counterfactual = hybrid_at(pair, curve, curve.best)
    inverse = blend(pair.generated, pair.query.image, counterfactual.mask)
    inverse_prediction = classifier.predict(torch.stack([inverse]))[0]
    return Explanation(pair, attribution, curve, counterfactual, inverse_prediction)
