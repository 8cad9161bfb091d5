"""Measuring sessions: marks become numbers in nm, saved at once with their coordinates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_quac.cli import main
from napari_quac.errors import DataError, ShapeError
from napari_quac.study.answers import CANNOT_TELL
from napari_quac.study.features import Feature
from napari_quac.study.folder import Study
from napari_quac.study.key import read_key
from napari_quac.study.measure import Mark
from napari_quac.study.measuring_session import Marking, MeasuringSession
from napari_quac.study.rating_session import RatingSession
from napari_quac.study.unblinding import end_study, unblind_study

from .studies_for_tests import ANN, BOB, sealed_study

PIXEL = 5.0
FEATURES = (
    Feature("diameter", quantity="length"),
    Feature("discs", quantity="count"),
    Feature("gray", quantity="intensity"),
)
SIZE = 48


def disc(diameter: float) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    return np.where(np.hypot(y, x) <= diameter / 2, 60, 200).astype(np.uint8)


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of small and of large discs; a diameter is told by the area of dark pixels."""
    folder, rng = tmp_path_factory.mktemp("discs"), np.random.default_rng(3)
    for name, mean in (("large", 24), ("small", 18)):
        (folder / name).mkdir()
        for number in range(16):
            picture = disc(rng.normal(mean, 2))
            Image.fromarray(picture).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def study(tmp_path: Path, discs: Path) -> Study:
    return sealed_study(
        tmp_path, discs, kind="measure", paired=False, features=FEATURES, raters=(ANN, BOB),
        primary=("diameter",), pixel_size=(PIXEL,), n_per_stratum=12,
    ).study  # fmt: skip


def line(start: tuple[float, float], end: tuple[float, float]) -> Marking:
    return Marking((Mark("path", np.array([start, end])),))


def measure_all(study: Study, rater: str, seed: int) -> None:
    """Draw the diameter of each disc with an error of half a pixel at both ends."""
    session, rng = MeasuringSession(study.folder, rater), np.random.default_rng(seed)
    while not session.is_complete:
        if session.quantity != "length":
            session.answer_and_advance(1 if session.quantity == "count" else CANNOT_TELL)
            continue
        dark = session.images()[0][0] < 0.5
        radius = np.sqrt(dark.sum() / np.pi)
        center, errors = SIZE / 2, rng.normal(0, 0.5, 2)
        ends = center - radius + errors[0], center + radius + errors[1]
        session.save(line((center, ends[0]), (center, ends[1])))
    session.close()


@pytest.mark.long
def test_measurements_of_a_sealed_study_find_the_difference_of_the_classes(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, rater in enumerate(("Ann", "Bob")):
        measure_all(study, rater, number)
    end_study(study, "Grace")
    folder = str(study.folder)
    assert main(["study", "analyze", folder]) == 2, "blinded"
    assert "must be unblinded" in capsys.readouterr().err
    unblind_study(study, "Grace")
    table = study.folder / "table.csv"
    assert main(["study", "analyze", folder, "--csv", str(table), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    row = next(r for r in document["rows"] if r["part"] == "all" and r["feature"] == "diameter")
    assert row["high"] < 0, "small minus large"
    assert row["large"] == row["small"] == 12 and row["p_holm"] < 0.001
    agreement = [r for r in document["rows"] if r["part"] == "agreement"]
    alpha = next(r for r in agreement if r["feature"] == "diameter" and r["group"] == "raters")
    assert alpha["estimate"] > 0.9
    assert table.read_text().startswith("part,feature,primary")
    assert (study.folder / "export" / "results.md").read_text().startswith("# Results")
    trials = read_key(study).by_id()
    lines = (study.folder / "raters" / "Ann.jsonl").read_text().splitlines()
    answers = [json.loads(text) for text in lines]
    lengths = {"large": [], "small": []}  # type: ignore[var-annotated]
    for answer in answers:
        if answer["feature"] == "diameter" and not answer["training"]:
            lengths[trials[answer["trial_id"]].source].append(answer["answer"])
    assert np.mean(lengths["large"]) == pytest.approx(24 * PIXEL, rel=0.06)
    assert np.mean(lengths["small"]) == pytest.approx(18 * PIXEL, rel=0.06)


def test_each_quantity_takes_its_marks_only(study: Study) -> None:
    session = MeasuringSession(study.folder, "Ann")
    both = Marking((*line((0, 0), (3, 4)).marks, Mark("points", np.array([[1.0, 1], [2, 2]]))))
    assert session.measure(both).amount == pytest.approx(5 * PIXEL)
    assert session.measure(both).text() == "25 nm"
    with pytest.raises(DataError, match="No mark measures 'diameter'"):
        session.save(Marking(both.marks[1:]))
    session.save(both)
    assert session.measure(both).amount == 2 and session.measure(Marking()).amount == 0
    session.save(Marking())
    assert session.quantity == "intensity"
    painted = np.zeros((SIZE, SIZE), dtype=np.int32)
    painted[22:26, 22:26] = 1
    inside = session.measure(Marking((), painted))
    assert inside.amount == pytest.approx(60 / 255, abs=0.02) and inside.unit == "gray"
    session.close()


def test_marks_return_from_the_line_of_an_answer(study: Study) -> None:
    session = MeasuringSession(study.folder, "Ann")
    painted = np.zeros((SIZE, SIZE), dtype=np.int32)
    painted[3:6, 40:] = 2
    painted[-1, -1] = 5
    session.save(Marking(line((1.23456, 2), (9, 8)).marks, painted))
    session.close()
    resumed = MeasuringSession(study.folder, "Ann")
    assert resumed.feature_number == 1
    marking = resumed.withdraw()
    assert marking is not None and marking.labels is not None
    np.testing.assert_array_equal(marking.labels, painted)
    np.testing.assert_allclose(marking.marks[0].vertices, [[1.235, 2], [9, 8]])
    assert resumed.feature_number == 0 and resumed.n_open() == 3
    assert resumed.withdraw() is None
    resumed.close()


@pytest.mark.parametrize(
    "plain",
    [{"marks": [{"kind": "ring"}]}, {"marks": 3}, {"labels": {"shape": [-1], "runs": [[0]]}},
     {"marks": [{"kind": "path", "vertices": [[0, 0]]}]}],
)  # fmt: skip
def test_damaged_marks_are_left_out(plain: dict[str, object]) -> None:
    assert Marking.from_plain(plain).marks == ()


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf"), True, "4"])
def test_only_numbers_are_measurements(study: Study, amount: object) -> None:
    session = MeasuringSession(study.folder, "Ann")
    with pytest.raises(DataError, match="is no answer"):
        session.answer(amount)  # type: ignore[arg-type]
    session.close()


def test_kinds_open_in_their_own_windows(study: Study, tmp_path: Path, pairs: Path) -> None:
    with pytest.raises(DataError, match="another window"):
        RatingSession(study.folder, "Ann")
    (tmp_path / "compare").mkdir()
    compared = sealed_study(tmp_path / "compare", pairs).study
    with pytest.raises(DataError, match="another window"):
        MeasuringSession(compared.folder, "Ann")


def test_pixel_size_fits_the_images(tmp_path: Path, discs: Path) -> None:
    plan = {"kind": "measure", "paired": False, "features": FEATURES, "primary": ("diameter",)}
    with pytest.raises(ShapeError, match="3 numbers, the images 2 axes"):
        sealed_study(tmp_path, discs, pixel_size=(40.0, 4.0, 4.0), **plan)
    with pytest.raises(DataError, match="not positive"):
        sealed_study(tmp_path, discs, pixel_size=(0.0,), **plan)
