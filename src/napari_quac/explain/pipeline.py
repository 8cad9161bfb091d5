"""From a sample to its explanations: search, attribute, trace the curve, take the optimum."""

from __future__ import annotations

from collections.abc import Generator as Iterating
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch

from napari_quac.data.dataset import Sample
from napari_quac.explain.attribution import Attribution, attribute
from napari_quac.explain.curve import blend, hybrid_at, trace_curve
from napari_quac.explain.explanation import Explanation, Explanations, PartialMask
from napari_quac.explain.mask import Masking
from napari_quac.explain.method_parameters import build_method
from napari_quac.explain.pair import Pair
from napari_quac.explain.procedure import Grid, Procedure
from napari_quac.explain.search import search
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator
from napari_quac.stepwise import Progress, stepwise

PREVIEW_MASKS = 8  # as many as are classified at once on a CPU


@stepwise
def explain(
    sample: Sample,
    target: int,
    classifier: Classifier,
    generator: Generator,
    settings: ExplainSettings | None = None,
    source: int | None = None,
) -> Iterating[Progress, None, Explanations]:
    """Search a generated image and explain why the classifier changes its prediction.

    Parameters
    ----------
    sample : Sample
        The query.
    target : int
        Class to reach.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        Source of the proposals.
    settings : ExplainSettings, optional
        By default those of QuAC. The same settings, sample and target give the same arrays in the
        window, in a notebook and on a cluster.
    source : int, optional
        Class to leave; by default the predicted class.

    Returns
    -------
    Steps of Explanations
        See :func:`explain_pair`.
    """
    settings = settings or ExplainSettings()
    pair = yield from search(
        sample, target, classifier, generator, settings.search, settings.seed, source
    )
    return (yield from explain_pair(pair, classifier, settings))


@stepwise
def explain_pair(
    pair: Pair,
    classifier: Classifier,
    settings: ExplainSettings | None = None,
    previous: Explanations | None = None,
    preview: str = "",
) -> Iterating[Progress, None, Explanations]:
    """Explain a pair by all methods of the settings; a failure of one does not stop the others.

    Parameters
    ----------
    pair : Pair
        Query and generated image with their predictions.
    classifier : Classifier
        The classifier under study.
    settings : ExplainSettings, optional
        By default those of QuAC.
    previous : Explanations, optional
        Earlier explanations. Of the same pair, nothing is computed again that would be equal:
        neither explanations nor, with another masking or grid, attributions.
    preview : str
        Method to explain by first, and by a preliminary explanation before the exact one.

    Returns
    -------
    Steps of Explanations
        ``Progress.partial`` holds the explanations so far, after each method, with each new mask
        of a method that optimizes it, and with the preliminary explanation of ``preview``. The
        result is the same as without a preview. Use :meth:`Explanations.raise_failures` to get an
        error instead of an entry in ``failures``.
    """
    settings = settings or ExplainSettings()
    previous = previous.exact() if previous is not None else None
    procedure, total = settings.procedure, len(settings.methods)
    roles = procedure.pair(pair)  # once, so that all explanations share it
    attributions = _reusable_attributions(pair, settings, previous)
    explanations = Explanations(pair, settings)
    curve_settings = settings.masking, settings.grid
    if previous and (previous.settings.masking, previous.settings.grid) == curve_settings:
        reused = [name for name in settings.methods if name in attributions]
        explanations = replace(
            explanations,
            by_method={name: previous[name] for name in reused},
            seconds={name: previous.seconds[name] for name in reused if name in previous.seconds},
        )
    for index, name in enumerate(sorted(settings.methods, key=lambda name: name != preview)):
        if name in explanations:
            continue
        yield Progress(100 * index, 100 * total, f"explain by {name}", explanations)
        steps = _explain_by(
            name, pair, roles, classifier, settings, attributions.get(name), name == preview
        )
        status, intermediate = partial(_status, name), partial(_with_partial, explanations, name)
        try:
            explanation = yield from steps.within(index, total, status, partial=intermediate)
        except Exception as error:  # noqa: BLE001 - kept beside the methods that succeeded
            explanations = replace(explanations, failures={**explanations.failures, name: error})
        else:
            explanations = _with_explanation(explanations, name, explanation)
        explanations = replace(explanations, seconds={**explanations.seconds, name: steps.seconds})
    return explanations


def _with_explanation(
    explanations: Explanations, name: str, explanation: Explanation
) -> Explanations:
    """Return the explanations with one more, in the order of the settings."""
    computed = {**explanations.by_method, name: explanation}
    ordered = {key: computed[key] for key in explanations.settings.methods if key in computed}
    return replace(explanations, by_method=ordered)


def _status(name: str, step: Progress) -> str:
    # of optimizations only, whose steps take long
    return f"explain by {name}: {step.text}" if step.finish is not None else f"explain by {name}"


def _with_partial(explanations: Explanations, name: str, step: Progress) -> Explanations | None:
    """Return the explanations with the preliminary one or the mask of a step, if it has one."""
    if isinstance(step.partial, Explanation):
        return _with_explanation(explanations, name, step.partial)
    mask = PartialMask.from_progress(name, step)
    return None if mask is None else replace(explanations, partial_mask=mask)


def _reusable_attributions(
    pair: Pair, settings: ExplainSettings, previous: Explanations | None
) -> Mapping[str, Attribution]:
    """Return the previous attributions that would be equal."""
    if previous is None or previous.pair is not pair:
        return {}
    if previous.settings.procedure != settings.procedure:
        return {}
    before, now = previous.settings.parameters, settings.parameters
    return {
        name: explanation.attribution
        for name, explanation in previous.items()
        if before.get(name, {}) == now.get(name, {})
    }


@stepwise
def _explain_by(
    name: str,
    pair: Pair,
    roles: Pair,
    classifier: Classifier,
    settings: ExplainSettings,
    attribution: Attribution | None,
    is_previewed: bool = False,
) -> Iterating[Progress, None, Explanation]:
    procedure = settings.procedure
    preliminary: Explanation | None = None

    def preview(partial: object) -> object:
        """Explain by a coarse attribution."""
        nonlocal preliminary
        if not isinstance(partial, Attribution):
            return partial
        if not is_previewed or preliminary is not None:
            return None
        explain_by = (roles, partial, classifier, settings.masking, settings.grid, procedure)
        preliminary = explain_attribution(*explain_by, n_masks=PREVIEW_MASKS).result()
        return preliminary

    if attribution is None:
        method = build_method(name, settings.parameters)
        query_pair = procedure.attributed(pair, method)
        steps = attribute(query_pair, name, method, classifier)
        attribution = yield from steps.map_partial(preview)
    if is_previewed and preliminary is None:
        yield Progress(0, None, f"curve of {name}", preview(attribution))
    explanation = yield from explain_attribution(
        roles, attribution, classifier, settings.masking, settings.grid, procedure
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
    n_masks: int | None = None,
) -> Iterating[Progress, None, Explanation]:
    """Trace the curve of an attribution and take its optimum.

    Parameters
    ----------
    pair : Pair
        Query and generated image with their predictions.
    attribution : Attribution
        Importance of each pixel.
    classifier : Classifier
        The classifier under study.
    masking : Masking, optional
        By default that of the QuAC library.
    grid : "quac_0_2", "corrected" or "dapi"
        Thresholds; see :func:`~napari_quac.explain.curve.threshold_grid`.
    procedure : Procedure, optional
        By default that of QuAC. ``pair`` is brought into its roles.
    n_masks : int, optional
        Evaluate at most this number of different masks, for a preliminary explanation.

    Returns
    -------
    Steps of Explanation
    """
    procedure = procedure or Procedure()
    pair = procedure.pair(pair)
    curve = yield from trace_curve(
        pair, attribution, classifier, masking, grid, procedure=procedure, n_masks=n_masks
    )
    yield Progress(1, 1, f"inverse hybrid of {attribution.method}")
    counterfactual = hybrid_at(pair, curve, curve.best)
    inverse = blend(pair.generated, pair.query.image, counterfactual.mask)
    inverse_prediction = classifier.predict(torch.stack([inverse]))[0]
    is_preliminary = n_masks is not None
    return Explanation(pair, attribution, curve, counterfactual, inverse_prediction, is_preliminary)
