"""The figure says what it shows, in text that stays text."""

import pytest

from napari_quac.errors import DataError
from napari_quac.reports.figures.curves import draw_report, save_figure
from reports.reports_for_tests import entry, report


def test_figure_has_a_panel_per_pair_with_n_and_a_line_per_method():
    many = [
        entry(sample, 0.5, method, source)
        for sample in "ab"
        for method in ("d-ig", "random")
        for source in (0, 2)
    ]
    figure = draw_report(report(*many))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["cytosol → mitochondrion\nn = 2", "synapse → mitochondrion\nn = 2"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["d-ig", "random"]


def test_svg_keeps_its_text(tmp_path):
    path = tmp_path / "figure.svg"
    save_figure(report(entry()), path)
    assert "cytosol → mitochondrion" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", ["pdf", "png"])
def test_other_endings_are_written(tmp_path, suffix):
    path = tmp_path / f"figure.{suffix}"
    save_figure(report(entry()), path)
    assert path.stat().st_size > 1000


def test_unknown_ending_and_nothing_to_draw_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"\.svg, \.pdf or \.png"):
        save_figure(report(entry()), tmp_path / "figure.doc")
    with pytest.raises(DataError, match="contains no curve"):
        draw_report(report(entry("a", 0.0, degenerate=True)))
