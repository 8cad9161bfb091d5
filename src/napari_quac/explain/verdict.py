"""Assessment of an explanation, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from napari_quac.explain.explanation import Explanation
from napari_quac.explain.pair import swap_pair
from napari_quac.explain.settings import PRESETS
from napari_quac.networks.generator import describe_center_slice

BASELINES = ("residual", "random")
COMPLETENESS_LIMIT = 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of a verdict.

    Attributes
    ----------
    text : str
    tone : "good", "bad" or "note"
        Passed check, failed check, or a remark.
    """

    text: str
    tone: Literal["good", "bad", "note"]


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
        Whether the generated image switches the class, the hybrid keeps it, the inverse hybrid
        stays, how the score ranks against the baselines, whether the numbers add up.
    """
    pair = swap_pair(explanation.pair) if explanation.pair.is_swapped else explanation.pair
    target = class_names[pair.target]
    reached = float(pair.generated_prediction[pair.target])
    findings = []
    if pair.switches:
        findings.append(
            Finding(f"The generated image switches to {target}: p = {reached:.2f}.", "good")
        )
    else:
        tries = f"{pair.n_tried} tries" if pair.n_tried != 1 else "1 try"
        findings.append(
            Finding(
                f"The generated image does not switch to {target}: best {reached:.2f} in {tries}. "
                "Interpret the following with care.",
                "bad",
            )
        )
    if sentence := describe_center_slice(pair.origin):
        findings.append(Finding(sentence, "note"))
    if explanation.pair.is_swapped and not PRESETS["dapi"].settings.procedure.accepts(pair):
        limit = PRESETS["dapi"].settings.procedure.min_confidence
        findings.append(
            Finding(
                f"DAPI excludes this pair: it requires p > {limit:g} for the class of the query "
                "and for the target of the generated image.",
                "note",
            )
        )
    if explanation.attribution.degenerate:
        findings.append(
            Finding("The attribution is constant and ranks no pixel above another.", "bad")
        )
        return tuple(findings)
    findings += [
        _about_hybrid(explanation, class_names),
        _about_inverse(explanation, class_names),
        *_about_baselines(explanation, others),
    ]
    completeness = explanation.attribution.completeness
    if completeness is not None and completeness > COMPLETENESS_LIMIT:
        findings.append(
            Finding(
                f"The sum of the attribution deviates by {completeness:.0%} from the change of the "
                "logit.",
                "bad",
            )
        )
    return tuple(findings)


def _about_hybrid(explanation: Explanation, class_names: Sequence[str]) -> Finding:
    pair, hybrid = explanation.pair, explanation.counterfactual
    p = float(hybrid.prediction[pair.target])
    share = f"{hybrid.mask_size:.1%} of the image"
    if int(hybrid.prediction.argmax()) == pair.target:
        action = "Pasting back" if pair.is_swapped else "Swapping"
        return Finding(
            f"{action} {share} is enough for {class_names[pair.target]}: p = {p:.2f}.", "good"
        )
    predicted = class_names[int(hybrid.prediction.argmax())]
    return Finding(
        f"At the optimum ({share}) the hybrid is still classified as {predicted}: "
        f"p({class_names[pair.target]}) = {p:.2f}.",
        "bad",
    )


def _about_inverse(explanation: Explanation, class_names: Sequence[str]) -> Finding:
    pair = explanation.pair
    predicted = int(explanation.inverse_prediction.argmax())
    p = float(explanation.inverse_prediction[pair.target])
    if predicted == pair.target:
        return Finding(
            f"The rest of the image alone also switches (inverse hybrid p = {p:.2f}): the mask "
            "misses something important.",
            "bad",
        )
    return Finding(
        f"Changing the rest of the image keeps {class_names[predicted]} (inverse hybrid "
        f"p = {p:.2f}).",
        "good",
    )


def _about_baselines(
    explanation: Explanation, others: Sequence[Explanation]
) -> tuple[Finding, ...]:
    if explanation.method in BASELINES:
        return ()
    scores = {o.method: o.quac_score for o in others if o.method in BASELINES}
    if not scores:
        return ()
    compared = ", ".join(f"{name} {score:.2f}" for name, score in scores.items())
    beaten = all(explanation.quac_score > score for score in scores.values())
    return (
        Finding(
            f"{'Area' if explanation.pair.is_swapped else 'QuAC score'} "
            f"{explanation.quac_score:.2f} "
            + ("beats the baselines" if beaten else "does not beat the baselines")
            + f" ({compared}).",
            "good" if beaten else "bad",
        ),
    )
