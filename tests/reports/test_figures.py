"""Figures for print: every pixel of the images, true scale bars, text as text, data, hashes."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from napari_quac.errors import DataError, UnknownNameError
from napari_quac.explain.pair import Pair
from napari_quac.reports.figures.curves import curves_figure
from napari_quac.reports.figures.gallery import gallery_figure
from napari_quac.reports.figures.movie import frame_seconds, morph_frames, write_movie
from napari_quac.reports.figures.output import DOTS_PER_INCH, write_published
from napari_quac.reports.figures.pair import GAP, SIDE, TITLE, pair_figure
from napari_quac.reports.figures.panels import (
    PixelGrid,
    bar_length,
    length_text,
    quantize,
)
from napari_quac.reports.figures.subject import Subject, read_subjects, subject_of
from napari_quac.reports.opening import open_report
from napari_quac.reports.store import ExplanationStore
from napari_quac.testing import CLASSES
from reports.figure_stores import SIZE, explained, write_store


@pytest.fixture(scope="module")
def subject() -> Subject:
    return subject_of(explained(), CLASSES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("stores") / "out", *map(explained, "abc", range(3)))


def svg_images(text: str) -> list[np.ndarray]:
    codes = re.findall(r'xlink:href="data:image/png;base64,([^"]+)"', text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(code)))) for code in codes]


@pytest.fixture(scope="module")
def svg(subject, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("svg") / "pair.svg"
    write_published(pair_figure(subject.select(["residual"])), path)
    return path.read_text(encoding="utf-8")


def test_svg_holds_each_image_once_at_its_own_pixels(subject, svg):
    images = [image for image in svg_images(svg) if image.shape[:2] == (SIZE, SIZE)]
    hybrid = subject.explanations["residual"].counterfactual.image
    expected = [quantize(x) for x in (subject.pair.query.image, subject.pair.generated, hybrid)]
    assert len(images) == 4  # and the attribution
    for pixels in expected:
        gray = np.repeat(pixels, 3, axis=2)
        # Matplotlib stores rows from below or from above
        flips = [any((x[..., :3] == gray[::step]).all() for x in images) for step in (1, -1)]
        assert any(flips)


def test_quantization_rounds_and_has_one_pair_of_limits(subject):
    image = subject.pair.query.image
    exact = image[0].double().numpy()
    assert np.abs(quantize(image)[..., 0] / 255 - exact).max() <= 0.5 / 255 + 1e-9
    narrow = quantize(image, (0.25, 0.75))[..., 0]
    np.testing.assert_array_equal(narrow[exact >= 0.75], 255)
    np.testing.assert_array_equal(narrow[exact <= 0.25], 0)


def test_scale_bar_of_the_svg_is_a_group_of_the_right_width(svg):
    group = svg.split('id="scale_bar"')[1].split("</g>")[0]
    xs = [float(x) for x in re.findall(r"[ML] ([\d.]+) [\d.]+", group)]
    width_points = PixelGrid.of((SIZE, SIZE), 1.7).width * 72
    nanometers = (max(xs) - min(xs)) / width_points * SIZE * 8.0
    assert nanometers == pytest.approx(bar_length(SIZE * 8.0), rel=0.01)
    assert "50 nm" in svg


def test_text_stays_text_in_svg_and_pdf(subject, svg, tmp_path):
    assert ">QuAC score" in svg and ">hybrid<" in svg and ">mask size (%)<" in svg
    write_published(pair_figure(subject), tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content and b"/Type3" not in content
    assert content.count(b"/Width %d " % SIZE) + content.count(b"/Width %d\n" % SIZE) >= 4


def test_png_shows_each_pixel_by_the_same_number_of_dots(subject, tmp_path):
    write_published(pair_figure(subject), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert round(picture.info["dpi"][0]) == DOTS_PER_INCH
        gray = np.asarray(picture.convert("L"))
    grid = PixelGrid.of((SIZE, SIZE), 1.7)
    dots = round(grid.width * DOTS_PER_INCH)
    for number, image in enumerate((subject.pair.query.image, subject.pair.generated)):
        left = round((SIDE + number * (grid.width + GAP)) * DOTS_PER_INCH)
        top = round(TITLE * DOTS_PER_INCH)
        block = gray[top : top + dots, left : left + dots]
        centers = block[dots // SIZE // 2 :: dots // SIZE, dots // SIZE // 2 :: dots // SIZE]
        np.testing.assert_array_equal(centers, quantize(image)[..., 0])


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_hash_of_the_record_is_in_the_metadata(folder, suffix, tmp_path):
    first = next(read_subjects(open_report(folder), folder))
    store = ExplanationStore.open(folder)
    record = folder / "records" / f"{store.key_of('a', 1)}.json"
    expected = hashlib.sha256(record.read_bytes()).hexdigest()
    files = write_published(pair_figure(first), tmp_path / f"a.{suffix}")
    content = files[0].read_bytes()
    if suffix == "png":
        with Image.open(files[0]) as picture:
            assert picture.text["quac:record"] == expected
    else:
        assert b"quac:record " + expected.encode() in content
    assert expected in files[1].read_text(encoding="utf-8")


def test_subject_of_a_window_has_the_hash_of_the_saved_record(tmp_path):
    explanations = explained()
    folder = write_store(tmp_path / "out", explanations)
    store = ExplanationStore.open(folder)
    subject = next(read_subjects(open_report(folder), folder))
    # the window knows the label through its question
    from napari_quac.explain.question import Question

    question = Question(0, (), "", 0)  # type: ignore[arg-type]
    live = subject_of(explanations, CLASSES, question)
    assert live.record_sha256 == subject.record_sha256 == store.record_sha256(store.keys()[0])
    assert live.pixel_nm() == subject.pixel_nm() == (8.0, 8.0)


def test_data_beside_the_figure_are_those_of_the_curve(subject, tmp_path):
    files = write_published(pair_figure(subject), tmp_path / "a.svg")
    assert [path.name for path in files] == [
        "a.svg", "a-legend.txt", "a-curve.csv", "a-predictions.csv"
    ]  # fmt: skip
    with files[2].open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "residual"]
    curve = subject.explanations["residual"].curve
    distinct = curve.distinct()
    assert [float(row["mask_size"]) for row in rows] == curve.mask_sizes[distinct].tolist()
    assert [float(row["score_change"]) for row in rows] == curve.score_changes[distinct].tolist()
    assert sum(row["is_optimum"] == "True" for row in rows) == 1
    with files[3].open(encoding="utf-8") as file:
        probabilities = {
            (r["image"], r["class"]): float(r["probability"]) for r in csv.DictReader(file)
        }
    query = subject.pair.query_prediction
    assert probabilities["query", CLASSES[0]] == pytest.approx(float(query[0]))


def test_legend_states_limits_threshold_settings_and_scale(subject):
    legend = pair_figure(subject.select(["d-ig"]), limits=(0.1, 0.9)).legend
    best = subject.explanations["d-ig"].counterfactual
    assert "black is 0.1 and white 0.9" in legend
    assert f"threshold {best.threshold:.3g}, mask {best.mask_size:.1%}" in legend
    assert "at the optimum" in legend and "seed 0" in legend and "n = 1 sample" in legend
    assert "Scale bar: 50 nm (a pixel is 8 nm)" in legend
    assert "at a chosen threshold" in pair_figure(subject.select(["d-ig"]), 0.9).legend


def test_unknown_pixel_size_is_stated_and_no_bar_is_drawn(tmp_path):
    figure = pair_figure(subject_of(explained(scale=None), CLASSES))
    write_published(figure, tmp_path / "a.svg")
    assert "pixel size is unknown" in figure.legend
    assert "scale_bar" not in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_dapi_names_the_image_into_which_it_copies():
    figure = pair_figure(subject_of(explained(preset="dapi"), CLASSES))
    assert f"increase of p({CLASSES[0]}) over the generated image" in figure.legend


def test_gallery_has_a_row_for_each_sample_and_all_hashes(folder, tmp_path):
    subjects = list(read_subjects(open_report(folder), folder))
    figure = gallery_figure(subjects)
    files = write_published(figure, tmp_path / "g.svg")
    text = files[0].read_text(encoding="utf-8")
    images = [image for image in svg_images(text) if image.shape[:2] == (SIZE, SIZE)]
    assert len(images) == 9 and text.count('id="scale_bar"') == 3
    with files[2].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["sample"] for row in rows] == ["a", "b", "c"]
    assert all(subject.record_sha256 in figure.record_text for subject in subjects)
    with pytest.raises(DataError, match="1 to 60 samples"):
        gallery_figure([])


def test_long_names_are_shortened_in_the_figure_and_whole_in_the_legend(tmp_path):
    long = "inner membrane of a mitochondrion"
    figure = pair_figure(subject_of(explained(), ("outer membrane of a vesicle", long, "c")))
    write_published(figure, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ">p(inner me…) = " in text and f"p({long})" in figure.legend


def test_middle_section_of_a_volume_is_drawn_and_stated(tmp_path):
    explanations = explained()
    volumes = {}
    for name, explanation in explanations.items():
        curve = explanation.curve
        deep = replace(curve, closed=np.repeat(curve.closed[:, None], 5, axis=1))
        volumes[name] = replace(
            explanation,
            pair=as_volume(explanation.pair),
            curve=deep,
            attribution=replace(
                explanation.attribution, signed=stacked(explanation.attribution.signed)
            ),
            counterfactual=replace(
                explanation.counterfactual,
                image=stacked(explanation.counterfactual.image),
                mask=stacked(explanation.counterfactual.mask),
            ),
        )
    deep_pair = as_volume(explanations.pair)
    subject = Subject(replace(explanations, pair=deep_pair, by_method=volumes), CLASSES)
    figure = pair_figure(subject)
    assert "Of each volume, section 3 of 5 is shown" in figure.legend
    write_published(figure, tmp_path / "a.svg")
    images = svg_images((tmp_path / "a.svg").read_text(encoding="utf-8"))
    assert sum(image.shape[:2] == (SIZE, SIZE) for image in images) == 2 + 2 * 3


def stacked(image: torch.Tensor) -> torch.Tensor:
    return image[:, None].repeat(1, 5, 1, 1)


def as_volume(pair: Pair) -> Pair:
    query = replace(pair.query, image=stacked(pair.query.image), scale=(8.0, 8.0, 8.0))
    return replace(pair, query=query, generated=stacked(pair.generated))


def test_curves_come_with_their_numbers(folder):
    figure = curves_figure(open_report(folder))
    rows = figure.tables["data"]
    medians = {row[2]: row[5] for row in rows[1:] if row[4] == 1.0}
    assert set(medians) == {"d-ig", "residual", "random"}
    assert "d-ig" in figure.legend and "n = 3" in figure.legend


def test_equal_figures_are_equal_files(subject, tmp_path):
    for name in ("a.svg", "b.svg", "a.pdf", "b.pdf"):
        write_published(pair_figure(subject), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_unknown_method_extension_and_too_many_methods_are_refused(subject, tmp_path):
    with pytest.raises(UnknownNameError, match="d-ig"):
        subject.select(["dig"])
    with pytest.raises(DataError, match=r"\.svg, \.pdf or \.png"):
        write_published(pair_figure(subject), tmp_path / "a.bmp")
    explanations = replace(subject.explanations, by_method={})
    with pytest.raises(DataError, match="1 to 8 methods"):
        pair_figure(replace(subject, explanations=explanations))


def test_names_with_markup_stay_as_they_are(tmp_path):
    figure = pair_figure(subject_of(explained("a$b$ <i>&.png"), ("<b>$x$", "b\\alpha", "c")))
    write_published(figure, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "&lt;b&gt;$x$" in text and "<b>" not in text


@pytest.mark.parametrize(
    ("nanometers", "bar", "text"), [(1024, 200, "200 nm"), (160, 50, "50 nm"), (9e3, 2e3, "2 µm")]
)
def test_length_of_the_bar(nanometers, bar, text):
    assert bar_length(nanometers) == pytest.approx(bar)
    assert length_text(bar) == text


def test_gif_blinks_once_a_second_between_query_and_hybrid(subject, tmp_path):
    explanation = subject.explanations["residual"]
    write_movie(explanation, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as movie:
        assert movie.n_frames == 2 and movie.info["loop"] == 0
        expected = (subject.pair.query.image, explanation.counterfactual.image)
        for number, image in enumerate(expected):
            movie.seek(number)
            assert movie.info["duration"] == 500
            frame = np.asarray(movie.convert("L")).astype(int)
            assert np.abs(frame - quantize(image)[..., 0]).max() <= 1


def test_animations_never_exceed_two_cycles_per_second(subject, tmp_path):
    frames = morph_frames(*(np.full((2, 2, 1), gray, np.uint8) for gray in (0, 200)))
    assert [int(frame[0, 0, 0]) for frame in frames[:11:5]] == [0, 100, 200] and len(frames) == 20
    assert frame_seconds(len(frames), 2) * len(frames) == pytest.approx(0.5)
    with pytest.raises(DataError, match="at most 2"):
        write_movie(subject.explanations["d-ig"], tmp_path / "a.gif", hertz=3)


def test_mp4_without_ffmpeg_says_what_to_install(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="ffmpeg"):
        write_movie(subject.explanations["d-ig"], tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()


def test_failure_of_ffmpeg_is_reported(subject, tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'no such codec' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="no such codec"):
        write_movie(subject.explanations["d-ig"], tmp_path / "a.mp4")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_mp4_is_written_by_ffmpeg(subject, tmp_path):
    write_movie(subject.explanations["d-ig"], tmp_path / "a.mp4", is_morph=True)
    assert (tmp_path / "a.mp4").read_bytes()[4:8] == b"ftyp"


def test_reports_of_the_quac_library_claim_no_settings(folder, tmp_path):
    from napari_quac.reports.quac_write import write_quac_report

    write_quac_report(open_report(folder), tmp_path / "quac").result()
    report = open_report(tmp_path / "quac")
    subject = next(read_subjects(report, tmp_path / "quac"))
    figure = pair_figure(subject)
    assert "settings are not recorded" in figure.legend and "seed" not in figure.legend
    assert figure.record_text == "none" and "pixel size is unknown" in figure.legend
