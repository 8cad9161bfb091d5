"""``napari-quac figure``, and pages of ``report`` and ``explain``."""

from __future__ import annotations

import json

import pytest

from napari_quac.cli import main
from reports.figure_stores import explained, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("stores") / "out", *map(explained, "abc", range(3)))


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_pair_in_two_formats_with_legend_and_data(store, tmp_path, capsys):
    code, out, _ = run(
        capsys, "figure", store, "--sample", "b", "--methods", "residual,d-ig",
        "--format", "svg,png", "--output", tmp_path / "pair", "--json",
    )  # fmt: skip
    assert code == 0
    document = json.loads(out)
    assert document["kind"] == "pair" and "Query 'b'" in document["legend"]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "pair.svg",
        "pair.png",
        "pair-legend.txt",
        "pair-curve.csv",
        "pair-predictions.csv",
    }
    text = (tmp_path / "pair.svg").read_text(encoding="utf-8")
    assert text.index(">residual<") < text.index(">d-ig<") and ">random<" not in text


def test_gallery_counts_samples(store, tmp_path, capsys):
    code, out, _ = run(capsys, "figure", store, "--top", 2, "--output", tmp_path / "g.svg")
    assert code == 0 and "2 samples (n = 2), those with the highest QuAC scores" in out
    code, out, _ = run(capsys, "figure", store, "--output", tmp_path / "g.svg")
    assert code == 0 and "3 samples (n = 3), in the order of the report" in out


def test_curves_and_animation(store, tmp_path, capsys):
    code, out, _ = run(capsys, "figure", store, "--kind", "curves", "--output", tmp_path / "c.pdf")
    assert code == 0 and "QuAC curves" in out and (tmp_path / "c-data.csv").exists()
    code, _, err = run(capsys, "figure", store, "--output", tmp_path / "a.gif")
    assert code == 0 and "first of 3 pairs" in err
    assert (tmp_path / "a.gif").read_bytes().startswith(b"GIF89a")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--output", "a.doc"], ".svg, .pdf, .png, .gif or .mp4"),
        (["--output", "a.svg", "--sample", "bb"], "Did you mean 'b'"),
        (["--output", "a.svg", "--methods", "dig"], "d-ig"),
        (["--output", "a", "--format", "tiff"], "svg"),
        (["--output", "a.svg", "--limits", "0.9", "0.1"], "must be below"),
        (["--output", "a.gif", "--kind", "gallery"], "--kind pair"),
    ],
)
def test_wrong_input_says_what_to_do(store, tmp_path, capsys, monkeypatch, arguments, advice):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "figure", store, *arguments)
    assert code == 2 and advice in err and not list(tmp_path.iterdir())


def test_report_writes_a_page_of_its_filters(store, tmp_path, capsys):
    path = tmp_path / "page.html"
    code, _, _ = run(capsys, "report", store, "--method", "d-ig", "--html", path)
    text = path.read_text(encoding="utf-8")
    assert code == 0 and text.count('"levels":') == 3 and "Explanations of out" in text
    code, _, err = run(capsys, "report", store, "--html", tmp_path / "page.txt")
    assert code == 2 and ".html" in err


def test_explain_writes_a_page(worked_example, folders, tmp_path, capsys):
    page = tmp_path / "page.html"
    code, _, _ = run(
        capsys, "explain", "--classifier", worked_example.classifier, "--classes", "dark,bright",
        "--value-range", 0, 1, "--samples", folders / "samples", "--methods", "residual",
        "--device", "cpu", "--out", tmp_path / "out", "--html", page,
    )  # fmt: skip
    assert code == 0 and page.read_text(encoding="utf-8").count('"levels":') == 3
