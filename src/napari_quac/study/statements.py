"""Statements about the features of a study, as sentences and as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_quac.study.statistics.estimate import Estimate

UNITS = {
    "compare": "share of directions that are “more” in the partner",
    "tag": "share of images with the feature",
    "classify": "share of correct answers",
    "measure": "Hedges g, second class against the first",
}

_MAJORITY = "the answer of most raters; without a majority it is open"
CONSENSUS = {
    "compare": _MAJORITY,
    "tag": _MAJORITY,
    "classify": _MAJORITY,
    "measure": "the mean of the raters",
}


@dataclass(frozen=True)
class Statement:
    """One tested feature.

    Attributes
    ----------
    feature : str
    primary : bool
        Declared before the study was sealed.
    group : str
        Class pair or class it is about; empty for all.
    estimate : Estimate
        Over the consensus of the raters, one number for each trial.
    test : str
        Name of the test; empty without one.
    p_value, p_holm, p_fdr : float
        NaN without a test, or where the correction does not apply.
    counts : mapping of str to int
        Trials by consensus: ``more``, ``same``, ``less``, ``open``, or ``yes``, ``no``, ``open``.
    """

    feature: str
    primary: bool
    group: str
    estimate: Estimate
    test: str = ""
    p_value: float = float("nan")
    p_holm: float = float("nan")
    p_fdr: float = float("nan")
    counts: Mapping[str, int] = field(default_factory=dict)

    def sentence(self) -> str:
        """Return the statement as a sentence."""
        about = f" ({self.group})" if self.group else ""
        parts = [f"{name} {count}" for name, count in self.counts.items()]
        is_known = np.isfinite(self.estimate.estimate)
        estimate = self.estimate.text() if is_known else "no estimate"
        text = f"**{self.feature}**{about}: {estimate}"
        if parts:
            text += f"; {', '.join(parts)}"
        if np.isfinite(self.p_value):
            text += f"; {self.test}, p = {self.p_value:.3g}"
        if np.isfinite(self.p_holm):
            text += f", {self.p_holm:.3g} after Holm's correction over the primary features"
        elif np.isfinite(self.p_fdr):
            text += f", {self.p_fdr:.3g} after Benjamini and Hochberg over the other features"
        warning = f" {self.estimate.warning}" if self.estimate.warning else ""
        return f"{text}.{warning}"


@dataclass(frozen=True)
class AgreementRow:
    """Agreement about one feature.

    Attributes
    ----------
    feature : str
    between : str
        ``"raters"``, or the name of a rater for the agreement with her own repeats.
    estimate : Estimate
    """

    feature: str
    between: str
    estimate: Estimate


@dataclass(frozen=True)
class Analysis:
    """Statements of a study.

    Attributes
    ----------
    kind : str
    statements : tuple of Statement
        Over all trials, one for each feature.
    by_group : tuple of Statement
        The same within each class pair.
    comparisons : tuple of Statement
        Differences between two class pairs, each with its own p-value, without correction.
    agreement : tuple of AgreementRow
    controls : tuple of Statement
        Share of trials with A = B in which a feature was answered with "the same".
    """

    kind: str
    statements: tuple[Statement, ...]
    by_group: tuple[Statement, ...] = ()
    comparisons: tuple[Statement, ...] = ()
    agreement: tuple[AgreementRow, ...] = ()
    controls: tuple[Statement, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return all numbers as rows of one table."""
        parts = {
            "all": self.statements, "group": self.by_group, "difference": self.comparisons,
            "control": self.controls,
        }  # fmt: skip
        rows = [
            {
                "part": part, "feature": s.feature, "primary": s.primary, "group": s.group,
                **_estimate_cells(s.estimate), "test": s.test, "p": s.p_value,
                "p_holm": s.p_holm, "p_fdr": s.p_fdr, **s.counts,
            }
            for part, statements in parts.items()
            for s in statements
        ]  # fmt: skip
        rows += [
            {"part": "agreement", "feature": row.feature, "group": row.between,
             **_estimate_cells(row.estimate)}
            for row in self.agreement
        ]  # fmt: skip
        return rows

    def text(self) -> str:
        """Return the statements as Markdown."""
        return "\n".join(["# Results", "", *self.lines("##")])

    def lines(self, heading: str) -> list[str]:
        """Return the statements as lines of Markdown, in sections with a heading such as ``##``."""
        lines = [
            f"Estimates: {UNITS[self.kind]}. One number for each trial: {CONSENSUS[self.kind]}."
        ]
        agreement = [
            f"**{row.feature}**, {row.between}: {row.estimate.name} {row.estimate.text()}. "
            f"{row.estimate.warning}".strip()
            for row in self.agreement
        ]
        sections = {
            "Primary features": [s.sentence() for s in self.statements if s.primary],
            "Other features, exploratory": [s.sentence() for s in self.statements if not s.primary],
            "By class": [s.sentence() for s in self.by_group],
            "Differences between classes, exploratory and without correction": [
                s.sentence() for s in self.comparisons
            ],
            "Controls: answers of “the same” where A = B": [s.sentence() for s in self.controls],
            "Agreement": agreement,
        }
        for title, sentences in sections.items():
            if sentences:
                lines += ["", f"{heading} {title}", "", *(f"- {text}" for text in sentences)]
        return [*lines, ""]


def _estimate_cells(estimate: Estimate) -> dict[str, Any]:
    return {
        "quantity": estimate.name, "estimate": estimate.estimate, "low": estimate.low,
        "high": estimate.high, "level": estimate.level, "n": " + ".join(map(str, estimate.n)),
        "n_clusters": " + ".join(map(str, estimate.n_clusters)), "interval": estimate.procedure,
        "warning": estimate.warning,
    }  # fmt: skip
