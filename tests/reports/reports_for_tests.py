"""Entries and reports whose numbers can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.report import Report

CLASSES = ("cytosol", "mitochondrion", "synapse")


def entry(
    sample: str = "a",
    score: float | None = 0.5,
    method: str = "d-ig",
    source: int = 0,
    target: int = 1,
    **more: Any,
) -> ReportEntry:
    """Return an entry with a curve that is a straight line up to a change of ``score · 2``."""
    sizes = np.array([1.0, 0.5, 0.25, 0.0])
    values: dict[str, Any] = {
        "thresholds": np.array([-1.0, 0.0, 0.5, 0.9]),
        "mask_sizes": sizes,
        "score_changes": sizes * 2 * (score if score is not None else 0.5),
        "switches": True,
        "n_tried": 1,
    } | more
    return ReportEntry(sample, source, target, method, quac_score=score, **values)


def report(*entries: ReportEntry, **more: Any) -> Report:
    return Report(entries, class_names=CLASSES, name="test", **more)
