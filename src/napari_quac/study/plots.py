"""Figures of studies: estimation plots of measurements, and prevalences of features.

Each function also returns the numbers that it draws, to be published beside the figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_quac.errors import DataError
from napari_quac.reports.figures.output import COLORS, STYLE
from napari_quac.study.measure_compare import MeasuredComparison
from napari_quac.study.statistics.effects import group_statistic, pair_statistic
from napari_quac.study.statistics.estimate import Estimate, Numbers
from napari_quac.study.statistics.resampling import bootstrap_weights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_DRAWN = 2000  # resamples of the drawn distribution
MARKERS = ("o", "s", "^", "D", "v", "P")


def estimation_plot(comparison: MeasuredComparison, seed: int = 0) -> tuple[Figure, pd.DataFrame]:
    """Draw all measurements, and beside them the mean difference with its interval.

    Parameters
    ----------
    comparison : MeasuredComparison
        Two classes, or two states of the same images, whose pairs are joined by lines.
    seed : int
        Of the sideways scatter of points and of the drawn distribution.

    Returns
    -------
    figure : matplotlib Figure
        Of no window. Save it within ``rc_context(STYLE)`` of ``reports.figures.output``, so that
        text stays text.
    numbers : DataFrame
        ``part`` (``"image"`` or ``"effect"``), ``group``, ``amount``, ``low``, ``high``, ``n``,
        ``n_clusters``, ``unit``.

    References
    ----------
    .. [1] Gardner and Altman, "Confidence intervals rather than P values: estimation rather than
       hypothesis testing", 1986.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rng = np.random.default_rng(seed)
    effect = comparison.effect("mean difference")
    with rc_context(STYLE):
        figure = Figure(figsize=(3.3, 2.7), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        _draw_amounts(axes, comparison, rng)
        _draw_difference(axes, comparison, effect, rng)
        axes.set_ylabel(_label(comparison.quantity, comparison.unit))
        axes.set_title(_title(comparison, effect), loc="left")
        if effect.warning:
            # words, not wrap=True, which constrained layout ignores
            axes.set_xlabel(fill(effect.warning, 60), fontsize=6.5, loc="left")
    return figure, _estimation_numbers(comparison, effect)


def prevalence_plot(
    shares: Mapping[str, Mapping[str, Estimate]], label: str = "share of images"
) -> tuple[Figure, pd.DataFrame]:
    """Draw the share of each feature with its interval, for one or several groups.

    Parameters
    ----------
    shares : mapping of str to mapping of str to Estimate
        By feature, then by group, such as a class or a rater; of ``proportions.wilson_interval``
        or ``clusters.cluster_share``.
    label : str
        Of the axis.

    Returns
    -------
    figure : matplotlib Figure
        Of no window; see :func:`estimation_plot`.
    numbers : DataFrame
        ``feature``, ``group``, ``share``, ``low``, ``high``, ``n``, ``n_clusters``, ``interval``.

    Raises
    ------
    DataError
        If there is no feature.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys(group for by_group in shares.values() for group in by_group))
    if not groups:
        raise DataError("There is no rated feature to draw. Rate at least one image.")
    with rc_context(STYLE):
        height = 0.75 + len(shares) * (0.12 + 0.15 * len(groups))
        figure = Figure(figsize=(4.2, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for number, group in enumerate(groups):
            offset = (number - (len(groups) - 1) / 2) * 0.66 / max(len(groups), 2)
            rows = [(y, shares[f][group]) for y, f in enumerate(shares) if group in shares[f]]
            centers = np.array([share.estimate for _, share in rows])
            errors = np.array([(s.estimate - s.low, s.high - s.estimate) for _, s in rows]).T
            axes.errorbar(
                centers,
                [y + offset for y, _ in rows],
                xerr=np.maximum(errors, 0),
                fmt=MARKERS[number % len(MARKERS)],
                color=COLORS[number % len(COLORS)],
                markersize=4,
                linewidth=1.1,
                label=group,
            )
        axes.set_yticks(range(len(shares)), list(shares))
        axes.set(xlim=(-0.02, 1.02), ylim=(len(shares) - 0.45, -0.55))
        axes.set_xlabel(f"{label}, {_levels(shares)}")
        axes.tick_params(left=False)
        axes.grid(axis="x", color="#e4e4e4", linewidth=0.5)
        axes.set_axisbelow(True)
        if len(groups) > 1:
            figure.legend(loc="outside upper left", ncols=min(len(groups), 4), frameon=False)
    return figure, _prevalence_numbers(shares)


def _draw_amounts(axes: Axes, comparison: MeasuredComparison, rng: np.random.Generator) -> None:
    first, second = comparison.amounts
    names = []
    if comparison.paired:
        axes.plot([0, 1], np.stack([first, second]), color="#999999", linewidth=0.5, alpha=0.6)
    for place, amounts in enumerate((first, second)):
        spread = 0.0 if comparison.paired else 0.13
        sideways = place + rng.uniform(-spread, spread, len(amounts))
        axes.plot(
            sideways,
            amounts,
            MARKERS[place],
            color=COLORS[place],
            markersize=3.2,
            markeredgewidth=0,
            alpha=0.65,
        )
        axes.plot(
            [place - 0.24, place + 0.24], [amounts.mean()] * 2, color=COLORS[place], linewidth=1.6
        )
        names.append(f"{comparison.names[place]}\nn = {len(amounts)}")
    axes.set_xticks([0, 1, 2.0], [*names, "difference"])
    axes.set_xlim(-0.45, 2.5)


def _draw_difference(
    axes: Axes, comparison: MeasuredComparison, effect: Estimate, rng: np.random.Generator
) -> None:
    """Draw the difference on an axis of its own, whose zero is the mean of the first group."""
    first, second = comparison.amounts
    right = axes.twinx()
    right.spines["right"].set_visible(True)
    right.spines["top"].set_visible(False)
    start = float(first.mean())
    if not effect.n_clusters:
        # the interval of clusters is not that of resampled images
        _draw_distribution(right, _replicates(comparison, rng))
    right.plot([2, 2], [effect.low, effect.high], color="black", linewidth=1.6)
    right.plot([2], [effect.estimate], "o", color="black", markersize=4.5)
    amounts = np.concatenate([first, second, [start + effect.low, start + effect.high]])
    margin = 0.06 * (float(np.ptp(amounts)) or 1.0)
    low, high = float(amounts.min()) - margin, float(amounts.max()) + margin
    axes.set_ylim(low, high)
    right.set_ylim(low - start, high - start)
    right.set_ylabel(_label("difference", comparison.unit))
    for level in (start, float(second.mean())):
        axes.plot([0.3 if level == start else 1.26, 2.5], [level] * 2, color="#888888", lw=0.5)
    if effect.n_clusters:
        clusters = " + ".join(map(str, effect.n_clusters))
        axes.set_xticks(
            axes.get_xticks(),
            [
                *(text.get_text() for text in axes.get_xticklabels()[:2]),
                f"difference\n{clusters} clusters",
            ],
        )


def _draw_distribution(axes: Axes, replicates: Numbers) -> None:
    from scipy.stats import gaussian_kde

    if np.ptp(replicates) == 0:
        return
    heights = np.linspace(replicates.min(), replicates.max(), 120)
    density = gaussian_kde(replicates)(heights)
    right = 2 + 0.4 * density / density.max()
    axes.fill_betweenx(heights, 2, right, color="#bbbbbb", linewidth=0)


def _replicates(comparison: MeasuredComparison, rng: np.random.Generator) -> Numbers:
    first, second = comparison.amounts
    weights = bootstrap_weights(len(first), N_DRAWN, rng)
    if comparison.paired:
        return pair_statistic(first, second, "mean difference")(weights)
    others = bootstrap_weights(len(second), N_DRAWN, rng)
    return group_statistic(first, second, "mean difference")(weights, others)


def _title(comparison: MeasuredComparison, effect: Estimate) -> str:
    digits = _digits(effect)
    center, low, high = (f"{x:.{digits}f}" for x in (effect.estimate, effect.low, effect.high))
    return (
        f"mean difference {center} {comparison.unit}".rstrip()
        + f"\n{100 * effect.level:g} % interval {low} to {high}"
    )


def _label(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _digits(effect: Estimate) -> int:
    """Return the decimals that show two digits of the interval's width."""
    width = effect.high - effect.low
    if not np.isfinite(width) or width <= 0:
        return 2
    return max(0, 1 - int(np.floor(np.log10(width))))


def _levels(shares: Mapping[str, Mapping[str, Estimate]]) -> str:
    levels = {share.level for by_group in shares.values() for share in by_group.values()}
    return " and ".join(f"{100 * level:g} % interval" for level in sorted(levels))


def _estimation_numbers(comparison: MeasuredComparison, effect: Estimate) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, Any]] = [
        {"part": "image", "group": name, "amount": float(amount), "unit": comparison.unit}
        for name, amounts in zip(comparison.names, comparison.amounts, strict=True)
        for amount in amounts
    ]
    rows.append(
        {
            "part": "effect",
            "group": effect.name,
            "amount": effect.estimate,
            "unit": comparison.unit,
            "low": effect.low,
            "high": effect.high,
            "n": " + ".join(map(str, effect.n)),
            "n_clusters": " + ".join(map(str, effect.n_clusters)),
        }
    )
    return pd.DataFrame(rows)


def _prevalence_numbers(shares: Mapping[str, Mapping[str, Estimate]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "feature": feature,
                "group": group,
                "share": share.estimate,
                "low": share.low,
                "high": share.high,
                "n": sum(share.n),
                "n_clusters": " + ".join(map(str, share.n_clusters)),
                "interval": share.procedure,
            }
            for feature, by_group in shares.items()
            for group, share in by_group.items()
        ]
    )
