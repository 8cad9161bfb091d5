"""Assessment of an explanation, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from napari_quac.explain.explanation import Explanation
from napari_quac.explain.pair import Pair, swap_pair
from napari_quac.explain.score import SCORE_MARGIN, compare_scores, format_scores
from napari_quac.explain.settings import PRESETS
from napari_quac.networks.generator import describe_center_slice

BASELINES = ("residual", "random")
COMPLETENESS_LIMIT = 0.05
CONSEQUENCES = {
    (0, "residual"): ": the plain difference of the images shows the same",
    (0, "random"): ": the order of the pixels does not matter for this pair",
    (-1, "residual"): ": the plain difference of the images ranks the pixels better",
    (-1, "random"): ": a random order of the pixels does better",
}
"""Meaning of a tie (0) or a defeat (-1) against a baseline, the graver baseline last."""
Tone = Literal["good", "bad", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of a verdict.

    Attributes
    ----------
    text : str
    tone : "good", "bad", "warning" or "note"
        Passed check, failed check, a doubt, or a remark.
    """

    text: str
    tone: Tone


def verdict(
    explanation: Explanation, others: Sequence[Explanation], class_names: Sequence[str]
) -> tuple[Finding, ...]:
    """Check an explanation.

    Parameters
    ----------
    explanation : Explanation
        The explanation to check.
    others : sequence of Explanation
        The other methods on the same pair; *random* and *residual* are the baselines.
    class_names : sequence of str
        Names of the classes by index.

    Returns
    -------
    tuple of Finding
        Checks of the generated image, the hybrid, the inverse hybrid, the score against the
        baselines, and the completeness.
    """
    pair = swap_pair(explanation.pair) if explanation.pair.is_swapped else explanation.pair
    findings = _check_infill(pair, class_names) if pair.infill else [_check_pair(pair, class_names)]
    if sentence := describe_center_slice(pair.origin):
        findings.append(Finding(sentence, "note"))
    dapi = PRESETS["dapi"].settings.procedure
    if explanation.pair.is_swapped and not dapi.accepts(pair):
        text = (
            f"DAPI excludes this pair: it requires p > {dapi.min_confidence:g} for the class of "
            "the query and for the target of the generated image."
        )
        findings.append(Finding(text, "note"))
    if explanation.attribution.degenerate:
        text = "The attribution is constant and ranks no pixel above another."
        return (*findings, Finding(text, "bad"))
    checks = (_check_hybrid, _check_inverse)
    if explanation.pair.infill and not explanation.pair.is_swapped:
        checks = (_check_removal, _check_sufficiency)
    findings += [check(explanation, class_names) for check in checks]
    scores = {o.method: o.quac_score for o in others if o.method in BASELINES}
    if scores and explanation.method not in BASELINES:
        findings.append(_compare(explanation, scores))
    completeness = explanation.attribution.completeness
    if completeness is not None and completeness > COMPLETENESS_LIMIT:
        text = f"The attribution's sum deviates by {completeness:.0%} from the change of the logit."
        findings.append(Finding(text, "bad"))
    return tuple(findings)


def _check(is_passed: bool, passed: str, failed: str) -> Finding:
    return Finding(passed, "good") if is_passed else Finding(failed, "bad")


def _check_pair(pair: Pair, class_names: Sequence[str]) -> Finding:
    target, reached = class_names[pair.target], float(pair.generated_prediction[pair.target])
    tries = f"{pair.n_tried} tries" if pair.n_tried != 1 else "1 try"
    return _check(
        pair.switches,
        f"The generated image switches to {target}: p = {reached:.2f}.",
        f"The generated image does not switch to {target}: best {reached:.2f} in {tries}. "
        "Interpret the following with care.",
    )


def _check_infill(pair: Pair, class_names: Sequence[str]) -> list[Finding]:
    """Return what an infill can show, and whether it removes what the classifier needs."""
    source = class_names[pair.source]
    before = float(pair.query_prediction[pair.source])
    after = float(pair.generated_prediction[pair.source])
    if pair.switches:
        text = f"As {pair.infill} the image is no longer classified as {source}"
        removal = Finding(f"{text}: p = {before:.2f} → {after:.2f}.", "good")
    else:
        text = f"As {pair.infill} the image is still classified as {source} (p = {after:.2f})"
        advice = "If the mask removes little, choose another infill, or train a generator."
        removal = Finding(f"{text}. {advice}", "note")
    text = (
        f"Explained against {pair.infill}: the mask shows pixels that the classifier needs for "
        f"{source}, not what {class_names[pair.target]} would look like."
    )
    return [removal, Finding(text, "note")]


def _check_removal(explanation: Explanation, class_names: Sequence[str]) -> Finding:
    pair, hybrid = explanation.pair, explanation.counterfactual
    source, p = class_names[pair.source], float(hybrid.prediction[pair.source])
    predicted = int(hybrid.prediction.argmax())
    share = f"{hybrid.mask_size:.1%} of the image"
    return _check(
        predicted != pair.source,
        f"The classifier needs {share} for {source}: without it p = {p:.2f}.",
        f"At the optimum, without {share}, the image is still classified as {source}: p = {p:.2f}.",
    )


def _check_sufficiency(explanation: Explanation, class_names: Sequence[str]) -> Finding:
    source, prediction = explanation.pair.source, explanation.inverse_prediction
    name, p = class_names[source], float(prediction[source])
    return _check(
        int(prediction.argmax()) == source,
        f"The masked part alone suffices for {name} (the rest as {explanation.pair.infill}: "
        f"p = {p:.2f}).",
        f"The masked part alone does not suffice for {name} (the rest as "
        f"{explanation.pair.infill}: p = {p:.2f}): the classifier needs more of the image.",
    )


def _check_hybrid(explanation: Explanation, class_names: Sequence[str]) -> Finding:
    pair, hybrid = explanation.pair, explanation.counterfactual
    target, p = class_names[pair.target], float(hybrid.prediction[pair.target])
    predicted = int(hybrid.prediction.argmax())
    share = f"{hybrid.mask_size:.1%} of the image"
    return _check(
        predicted == pair.target,
        f"{'Pasting back' if pair.is_swapped else 'Swapping'} {share} is enough for {target}: "
        f"p = {p:.2f}.",
        f"At the optimum ({share}) the hybrid is still classified as {class_names[predicted]}: "
        f"p({target}) = {p:.2f}.",
    )


def _check_inverse(explanation: Explanation, class_names: Sequence[str]) -> Finding:
    target, prediction = explanation.pair.target, explanation.inverse_prediction
    predicted, p = int(prediction.argmax()), float(prediction[target])
    return _check(
        predicted != target,
        f"Changing only the rest of the image keeps {class_names[predicted]}: "
        f"p({class_names[target]}) = {p:.2f}.",
        f"Changing only the rest of the image also switches to {class_names[target]} "
        f"(p = {p:.2f}): the mask does not cover all that matters.",
    )


def _compare(explanation: Explanation, scores: Mapping[str, float]) -> Finding:
    """Compare the score with those of the baselines; a tie is no success."""
    score, *texts = format_scores(explanation.quac_score, *scores.values())
    outcomes = {name: compare_scores(explanation.quac_score, scores[name]) for name in scores}
    clauses = []
    for outcome, words in ((-1, "worse than"), (0, "as good as"), (1, "better than")):
        names = [name for name in scores if outcomes[name] == outcome]
        if names:
            numbers = dict(zip(scores, texts, strict=True))
            margin = f", within {SCORE_MARGIN:g}" if outcome == 0 else ""
            baselines = " and ".join(f"{name} ({numbers[name]}{margin})" for name in names)
            gravest = max(names, key=BASELINES.index)
            clauses.append(f"is {words} {baselines}{CONSEQUENCES.get((outcome, gravest), '')}.")
    subject = f"{'Area' if explanation.pair.is_swapped else 'QuAC score'} {score}"
    text = " ".join([f"{subject} {clauses[0]}", *(f"It {clause}" for clause in clauses[1:])])
    tones: dict[int, Tone] = {-1: "bad", 0: "note", 1: "good"}
    return Finding(text, tones[min(outcomes.values())])
