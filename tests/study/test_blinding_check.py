"""Files of a sealed study do not tell the images apart; those of a careless copy would."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from scipy.stats import mannwhitneyu

from napari_quac.study.auc import area_under_curve, farthest_area
from napari_quac.study.blinding_check import check_blinding
from napari_quac.study.image_differences import measure_differences, sharpness
from napari_quac.study.images import dither_width, image_folder, quantize, typical_step
from napari_quac.study.key import read_key
from napari_quac.study.sealing import SealedStudy

from .studies_for_tests import eight_bit, sealed_study, texture, write_store

Step = Callable[[np.ndarray], np.ndarray]


def contrasted(image: np.ndarray) -> np.ndarray:
    """Return an image with more contrast and without gaps in its histogram."""
    return np.clip(image * 1.7 - 0.35, 0, 1).astype(np.float32)


def stretched(image: np.ndarray) -> np.ndarray:
    """Return an image of 8 bits with gaps in its histogram, as after a stretch of its contrast."""
    return contrasted(eight_bit(image))


@pytest.mark.long
@pytest.mark.parametrize(
    ("of_query", "of_generated"),
    [(eight_bit, lambda image: image), (stretched, contrasted)],
    ids=["8 bits", "stretched"],
)
def test_over_400_images_no_file_property_tells_query_from_generated(
    tmp_path: Path, of_query: Step, of_generated: Step
) -> None:
    write_store(tmp_path / "explanations", 260, 32, of_query, of_generated)
    sealed = sealed_study(tmp_path, tmp_path / "explanations", n_per_stratum=100, seed=11)
    key = read_key(sealed.study)
    (gaps,) = [row for row in key.image_differences if row["measure"] == "gaps"]
    assert gaps["low"] <= 0.5 <= gaps["high"], "the set of gray levels"
    rows = check_blinding(sealed.study, key)
    assert min(rows[0].auc.n_first, rows[0].auc.n_second) >= 200
    names = {row.trace for row in rows}
    assert {"file size", "header", "data type and shape", "grid of gray values", "contrast limits",
            "loading time"} <= names  # fmt: skip
    for row in rows:
        assert not row.tells, row
        if row.trace != "loading time":  # measured, so that one in 20 intervals may exclude it
            assert row.auc.contains_half, row


def test_gaps_of_stretched_histograms_are_filled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    queries = [stretched(texture(rng, 64)) for _ in range(30)]
    generated = [contrasted(texture(rng, 64)) for _ in range(30)]
    width = dither_width([*queries, *generated])
    assert width == 2

    def gaps(image: np.ndarray) -> float:
        levels = np.rint(image * 255).astype(int)
        inner = np.arange(110, 145)
        return float(np.mean(~np.isin(inner, levels)))

    plain = [[gaps(eight_bit(image)) for image in images] for images in (queries, generated)]
    assert area_under_curve(*plain).high < 0.05, "without noise the gaps tell everything"
    noisy = [[gaps(quantize(i, width, rng)) for i in images] for images in (queries, generated)]
    assert area_under_curve(*noisy).contains_half


def test_a_trace_of_the_origin_is_found(sealed: SealedStudy) -> None:
    key = read_key(sealed.study)
    for number, trial in enumerate(key.trials):
        side = "a" if trial.a == "partner" else "b" if trial.b == "partner" else ""
        if side:
            folder = image_folder(sealed.study.folder, number) / side
            image = zarr.open_array(folder, mode="r")[...]
            shutil.rmtree(folder)
            zarr.save_array(folder, image.astype(np.float64) * 0.999, zarr_format=3)
    telling = {row.trace for row in check_blinding(sealed.study, key) if row.tells}
    assert {"file size", "header", "grid of gray values"} <= telling


def test_loading_time_is_measured(sealed: SealedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    key = read_key(sealed.study)
    now = [0.0]
    partners = {
        (n, side) for n, t in enumerate(key.trials)
        for side, role in (("a", t.a), ("b", t.b)) if role == "partner"
    }  # fmt: skip
    import napari_quac.study.blinding_check as module

    read = module.read_side

    def slow_read(folder: Path, number: int, side: str) -> object:
        now[0] += 2.0 if (number, side) in partners else 1.0
        return read(folder, number, side)

    monkeypatch.setattr(module, "read_side", slow_read)
    rows = check_blinding(sealed.study, key, clock=lambda: now[0])
    assert [row.trace for row in rows if row.tells] == ["loading time"]


def test_auc_is_that_of_mann_whitney_and_its_interval_covers() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 9, 40), rng.integers(2, 11, 30)
    area = area_under_curve(first, second)
    assert area.area == pytest.approx(mannwhitneyu(second, first).statistic / 1200)
    covered = 0
    for _ in range(400):
        area = area_under_curve(rng.normal(0, 1, 60), rng.normal(0.5, 1, 60))
        covered += area.low <= 0.6382 <= area.high  # of two normal distributions, exactly
    assert 0.92 <= covered / 400 <= 0.98
    assert area_under_curve([1], [2, 3]).contains_half
    assert not farthest_area(["a"] * 9, ["b"] * 9).contains_half
    assert farthest_area(["a"] * 9, ["a"] * 9).contains_half


def test_differences_of_the_images_are_measured(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    sharp = [rng.random((1, 24, 24)).astype(np.float32) for _ in range(20)]
    blurred = [(i + np.roll(i, 1, 1) + np.roll(i, 1, 2)) / 3 for i in sharp]
    assert all(sharpness(a) > sharpness(b) for a, b in zip(sharp, blurred, strict=True))
    rows = {row["measure"]: row for row in measure_differences(sharp, blurred)}
    assert rows["sharpness"]["high"] < 0.1
    assert rows["histogram distance"]["low"] > 0.9
    same = {row["measure"]: row for row in measure_differences(sharp, sharp[::-1])}
    assert all(row["low"] <= 0.5 <= row["high"] for row in same.values())


def test_typical_steps_of_gray_values() -> None:
    image = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 16, 16)
    assert typical_step(image) == pytest.approx(1, abs=1e-3)
    assert typical_step(np.zeros((1, 4, 4), np.float32)) == 0
    assert dither_width([image * 0.5 + 0.1]) == 1
    assert dither_width([image]) == 1 and dither_width([image > 0.5]) == 4
