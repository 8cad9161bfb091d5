"""Text of the legends of figures: what is shown, how it was computed, and in which limits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from napari_quac.explain.curve import Hybrid
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.settings import ExplainSettings
from napari_quac.reports.figures.panels import Limits, length_text, section_text
from napari_quac.reports.figures.subject import Subject
from napari_quac.reports.population import Population
from napari_quac.reports.report import Report


def pair_legend(
    subject: Subject,
    panels: Sequence[tuple[Explanation, Hybrid]],
    limits: Limits,
    bar_nm: float | None,
    is_whole: bool,
) -> str:
    """Return the legend of a pair.

    Parameters
    ----------
    subject : Subject
        The pair.
    panels : sequence of (Explanation, Hybrid)
        One for each method.
    limits : (low, high)
        Values that are black and white.
    bar_nm : float or None
        Length of the scale bar; None without one.
    is_whole : bool
        Whether a png shows each pixel by the same number of dots.
    """
    pair, name = subject.pair, subject.class_name
    before, after = pair.query_prediction, pair.generated_prediction
    label = "" if subject.label is None else f", labeled {name(subject.label)}"
    noun = pair.infill or "generated image"
    sentences = [
        f"Query '{pair.query.id}'{label}, {subject.predicted_text(before)}; {noun}, "
        f"{subject.predicted_text(after)}; source class {name(pair.source)}, target "
        f"class {name(pair.target)}."
    ]
    sentences += [_method_sentence(subject, *panel) for panel in panels]
    roles = panels[0][0].pair
    is_rise = roles.scored_class == roles.target
    signed = any(bool((e.attribution.signed < 0).any()) for e, _ in panels)
    kind = "signed and summed" if signed else "summed"
    base = "generated image" if roles.is_swapped else "query"
    sentences += [
        f"The orange line is the edge of the mask, where it is 0.5. The attribution is {kind} over "
        "channels; its limits are below it.",
        f"Score change: {'increase' if is_rise else 'decrease'} of "
        f"p({name(roles.scored_class)}) over the {base}; the dot is the hybrid.",
        limits_text(limits),
        bar_text(subject, bar_nm),
        pixels_text(is_whole),
    ]
    if text := section_text(pair.query.image):
        sentences.append(f"Of each volume, {text} is shown.")
    sentences += ["n = 1 sample.", subject_settings(subject)]
    return " ".join(filter(None, sentences))


def _method_sentence(subject: Subject, explanation: Explanation, hybrid: Hybrid) -> str:
    pair, curve = explanation.pair, explanation.curve
    scored = pair.scored_class
    before, after = (float(p[scored]) for p in (pair.query_prediction, hybrid.prediction))
    is_optimum = hybrid.threshold == curve.optimal_threshold
    place = "at the optimum" if is_optimum else "at a chosen threshold"
    return (
        f"Method {explanation.attribution.true_name}: hybrid {place} (threshold "
        f"{hybrid.threshold:.3g}, mask {hybrid.mask_size:.1%} of the image), "
        f"p({subject.class_name(scored)}) {number_text(before)} → {number_text(after)}, QuAC score "
        f"{curve.quac_score:.2f}."
    )


def gallery_legend(
    subjects: Sequence[Subject],
    methods: Sequence[str],
    order: str,
    limits: Limits,
    bars_nm: Sequence[float | None],
) -> str:
    """Return the legend of a gallery.

    Parameters
    ----------
    subjects : sequence of Subject
        The pairs.
    methods : sequence of str
        Names of the computations.
    order : str
        Phrase about the choice and order of the samples.
    limits : (low, high)
        Values that are black and white.
    bars_nm : sequence of float or None
        Lengths of the scale bars.
    """
    sentences = [
        f"Query, hybrid at the optimum with the edge of its mask, and attribution of "
        f"{len(subjects)} samples (n = {len(subjects)}), {order}.",
        f"Method: {', '.join(methods)}. Above each: sample, source → target, QuAC score, mask "
        "size, and the probability of the target before → after (of the source for an infill).",
        "Attributions are signed and summed over channels, from blue (negative) to red, each "
        "between plus and minus its largest absolute value.",
        limits_text(limits),
    ]
    if all(length is None for length in bars_nm):
        sentences.append("The pixel size is unknown, so there is no scale bar.")
    elif any(length is None for length in bars_nm):
        sentences.append("Samples without a scale bar have an unknown pixel size.")
    sections = {section_text(subject.pair.query.image) for subject in subjects}
    sentences += [f"Of each volume, {text} is shown." for text in sorted(filter(None, sections))]
    if subjects:
        sentences.append(subject_settings(subjects[0]))
    return " ".join(sentences)


def curves_legend(report: Report, groups: Sequence[Population]) -> str:
    """Return the legend of the curves of a report."""
    counts = [
        f"{group.name}"
        + (
            ""
            if group.source is None or group.target is None
            else f" {report.class_name(group.source)} → {report.class_name(group.target)}"
        )
        + f": n = {group.n_curves}"
        for group in groups
        if group.center is not None
    ]
    n_degenerate = sum(group.n_degenerate for group in groups)
    omitted = f" {n_degenerate} with a constant attribution are left out." if n_degenerate else ""
    settings = "" if report.settings is None else f" {settings_text(report.settings)}"
    return (
        f"QuAC curves of '{report.name}': {report.aggregate} of the score change against the mask "
        f"size (lines) and quartiles (bands). Number of explanations: {'; '.join(counts)}."
        f"{omitted}{settings}"
    )


def number_text(number: float) -> str:
    """Return a number with two decimals, or that it is unknown."""
    return f"{number:.2f}" if math.isfinite(number) else "unknown"


def limits_text(limits: Limits) -> str:
    """Return a sentence about the contrast limits."""
    low, high = limits
    return (
        "Query, generated image and hybrid have equal contrast limits: black is "
        f"{low:.4g} and white {high:.4g} on the scale from 0 to 1 of the images."
    )


def bar_text(subject: Subject, bar_nm: float | None) -> str:
    """Return a sentence about the scale bar."""
    pixel = subject.pixel_nm()
    if bar_nm is None or pixel is None:
        return "The pixel size is unknown, so there is no scale bar."
    height, width = (length_text(size) for size in pixel)
    size = width if height == width else f"{width} wide and {height} high"
    return f"Scale bar: {length_text(bar_nm)} (a pixel is {size})."


def pixels_text(is_whole: bool) -> str:
    """Return a sentence if a png cannot show all pixels alike."""
    if is_whole:
        return ""
    return "SVG and PDF hold the images at their own pixels; a PNG shows them resampled."


def subject_settings(subject: Subject) -> str:
    """Return a sentence about the settings of a subject, or that they are not recorded."""
    if subject.has_settings:
        return settings_text(subject.settings)
    return "The settings are not recorded; masks are those of the QuAC library's default."


def settings_text(settings: ExplainSettings) -> str:
    """Return a sentence about what else decided the explanations."""
    masking = settings.masking
    preset = f"preset {settings.preset}, " if settings.preset else ""
    return (
        f"Settings: {preset}closing {masking.closing} and blur {masking.blur} pixels, grid "
        f"{settings.grid}, seed {settings.seed}."
    )
