"""Figures of an unblinded study: shares of its features, or measurements of two classes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_quac.reports.figures.output import (
    PublishedFigure,
    check_figure_path,
    write_published,
)
from napari_quac.study.analysis import amounts_of_classes, answer_matrix, consensus
from napari_quac.study.folder import Study
from napari_quac.study.key import Key, read_key
from napari_quac.study.measure_compare import MeasuredComparison
from napari_quac.study.plots import estimation_plot, prevalence_plot
from napari_quac.study.ratings import read_ratings
from napari_quac.study.statements import CONSENSUS, UNITS, Analysis, Statement
from napari_quac.study.statistics.clusters import cluster_effect
from napari_quac.study.statistics.effects import effect_of_groups, mann_whitney
from napari_quac.study.statistics.estimate import HypothesisTest

if TYPE_CHECKING:
    import pandas as pd

EVERYTHING = "all"
SHARES = "features"


def study_figures(study: Study, key: Key, analysis: Analysis) -> dict[str, PublishedFigure]:
    """Draw the results of a study.

    Parameters
    ----------
    study : Study
        After its unblinding.
    key : Key
        Its key.
    analysis : Analysis
        Of this study.

    Returns
    -------
    mapping of str to PublishedFigure
        One figure of all features; for ``measure`` an estimation plot for each feature.
    """
    if analysis.kind != "measure":
        return {SHARES: _shares(study, analysis)}
    return {
        statement.feature: _measurements(study, key, statement)
        for statement in analysis.statements
        if np.isfinite(statement.estimate.estimate)
    }


def write_study_figures(
    study: Study, key_path: Path | None, analysis: Analysis, path: Path
) -> tuple[Path, ...]:
    """Write the figures of a study; several get the names of their features.

    Parameters
    ----------
    study : Study
        After its unblinding.
    key_path : Path, optional
        By default beside the folder.
    analysis : Analysis
        Of this study.
    path : Path
        Place of a figure; its extension decides the format.

    Raises
    ------
    DataError
        If the extension is unknown, the key is another one, or a file cannot be written.
    """
    check_figure_path(path)
    figures = study_figures(study, read_key(study, key_path), analysis)
    paths: list[Path] = []
    for name, published in figures.items():
        part = re.sub(r"[^\w-]+", "-", name)
        place = path if len(figures) == 1 else path.with_name(f"{path.stem}-{part}{path.suffix}")
        paths += write_published(published, place)
    return tuple(paths)


def unit_of(study: Study, feature: str) -> str:
    """Return the unit of a measured feature; empty for counts and intensities."""
    quantities = {f.name: f.quantity for f in study.protocol.features}
    unit = study.protocol.unit if study.protocol.pixel_size else "px"
    powers = {"length": unit, "distance": unit, "area": f"{unit}²"}
    return powers.get(quantities.get(feature, ""), "")


def _shares(study: Study, analysis: Analysis) -> PublishedFigure:
    groups: dict[str, dict[str, Any]] = {}
    for statement in (*analysis.statements, *analysis.by_group):
        name = f"{statement.feature} *" if statement.primary else statement.feature
        groups.setdefault(name, {})[statement.group or EVERYTHING] = statement.estimate
    unit = UNITS[analysis.kind]
    figure, numbers = prevalence_plot(groups, unit)
    sentences = " ".join(s.sentence().replace("**", "") for s in analysis.statements)
    legend = (
        f"{unit[0].upper()}{unit[1:]}, with 95 % intervals, over one number for each trial: "
        f"{CONSENSUS[analysis.kind]}. Raters: {len(study.protocol.raters)}. * primary feature, "
        f"declared before sealing. {sentences}"
    )
    return PublishedFigure(figure, legend, {"shares": _rows(numbers)})


def _measurements(study: Study, key: Key, statement: Statement) -> PublishedFigure:
    trials = [trial for trial in key.trials if trial.is_counted]
    raters = [rater.name for rater in study.protocol.raters]
    matrix = answer_matrix(read_ratings(study), statement.feature, raters, trials, "measure")
    numbers = consensus(matrix, "measure")
    names = sorted({trial.source for trial in trials})
    (a, b), clusters = amounts_of_classes(numbers, trials, names)
    if statement.estimate.n_clusters:
        effect = cluster_effect(a, b, clusters[0], clusters[1], "mean difference")
        test = HypothesisTest(statement.test, float("nan"), statement.p_value, effect.n)
    else:
        effect, test = effect_of_groups(a, b, "mean difference"), mann_whitney(a, b)
    unit = unit_of(study, statement.feature)
    sources = [trial.source for trial in trials]
    n_missing = tuple(
        sources.count(name) - len(group) for name, group in zip(names, (a, b), strict=True)
    )
    comparison = MeasuredComparison(
        statement.feature, unit, (names[0], names[1]), (a, b), False,
        (n_missing[0], n_missing[1]), (effect,), test,
    )  # fmt: skip
    figure, table = estimation_plot(comparison)
    legend = (
        f"{statement.feature} of original images, measured without knowing the class; "
        f"{CONSENSUS['measure']} for each image. Difference of the means: {effect.text()}. "
        f"{statement.sentence().replace('**', '')}"
    )
    return PublishedFigure(figure, legend, {"measurements": _rows(table)})


def _rows(table: pd.DataFrame) -> list[list[Any]]:
    cells = table.astype(object).where(table.notna(), None)
    return [list(map(str, table.columns)), *map(list, cells.itertuples(index=False))]
