"""Figures of studies: their text, their numbers and their axes."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from napari_quac.errors import DataError
from napari_quac.reports.figures.output import STYLE
from napari_quac.study.measure import Mark, measure_marks
from napari_quac.study.measure_compare import MeasuredComparison, compare_classes, compare_states
from napari_quac.study.plots import estimation_plot, prevalence_plot
from napari_quac.study.statistics.proportions import wilson_interval


def lengths(seed: int, mean: float, first: int = 0, n: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.concat(
        [
            measure_marks(
                str(first + i), [Mark("path", [[0, 0], [0, rng.normal(mean, 1)]])], scale=(4, 4)
            )
            for i in range(n)
        ]
    )


def comparison(paired: bool = False, clusters: bool = False) -> MeasuredComparison:
    neurons = {str(i): f"neuron {i // 5}" for i in range(40)} if clusters else None
    if paired:
        return compare_states(lengths(0, 10), lengths(1, 12), "length", clusters=neurons)
    table = pd.concat([lengths(0, 10), lengths(1, 12, 20)])
    classes = {str(i): "T-bar" if i < 20 else "PSD" for i in range(40)}
    return compare_classes(table, "length", classes, ("T-bar", "PSD"), clusters=neurons)


def svg_texts(figure: Figure) -> list[str]:
    buffer = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg")
    tree = ElementTree.fromstring(buffer.getvalue())
    return ["".join(node.itertext()) for node in tree.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("paired", [False, True])
def test_difference_starts_at_the_mean_of_the_first_group(paired: bool) -> None:
    measured = comparison(paired)
    figure, _ = estimation_plot(measured)
    left, right = figure.axes
    first = measured.amounts[0].mean()
    assert np.subtract(left.get_ylim(), right.get_ylim()) == pytest.approx([first, first])


def test_numbers_of_an_estimation_plot_are_those_of_the_comparison() -> None:
    measured = comparison()
    _, numbers = estimation_plot(measured)
    images = numbers[numbers["part"] == "image"]
    assert sorted(images["amount"]) == sorted(np.concatenate(measured.amounts))
    effect = numbers[numbers["part"] == "effect"].iloc[0]
    assert (effect["low"], effect["high"]) == (measured.effects[0].low, measured.effects[0].high)
    assert effect["n"] == "20 + 20"


def test_text_of_a_figure_is_text() -> None:
    texts = svg_texts(estimation_plot(comparison())[0])
    assert "length (nm)" in texts
    assert any("95 % interval" in text for text in texts)
    assert texts.count("n = 20") == 2


def test_clusters_stand_in_the_figure() -> None:
    texts = svg_texts(estimation_plot(comparison(clusters=True))[0])
    assert "4 + 4 clusters" in texts
    assert any("Only 4 clusters" in text for text in texts)


def test_prevalences_of_groups() -> None:
    shares = {
        "vesicles": {"T-bar": wilson_interval(12, 40), "PSD": wilson_interval(30, 40)},
        "dense core": {"T-bar": wilson_interval(0, 40)},
    }
    figure, numbers = prevalence_plot(shares)
    texts = svg_texts(figure)
    assert {"vesicles", "dense core", "T-bar", "PSD"} <= set(texts)
    assert "share of images, 95 % interval" in texts
    assert numbers["share"].tolist() == [0.3, 0.75, 0]
    assert numbers["n"].tolist() == [40, 40, 40]
    with pytest.raises(DataError, match="no rated feature"):
        prevalence_plot({})
