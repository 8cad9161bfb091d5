"""Masks are found by name, and each explanation is judged by the mask of its own pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_quac.data.image_file import write_image
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import DataError
from napari_quac.reports.evaluation import ORDER_MEASURES, Checks, evaluate_report
from napari_quac.reports.localization import TruthFolder, read_mask
from reports.reports_for_tests import entry, report
from reports.test_pixel_order import GENERATED, QUERY, WEIGHTS, Classifier, WeightedSum

TRUE = (WEIGHTS > 0).numpy()[0]


def put(folder, place: str, mask: np.ndarray = TRUE) -> None:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, mask)
    else:
        write_image(path, torch.from_numpy(mask[None].astype(np.float32)))


def known(folder, one, *structures: str):
    return TruthFolder(folder, structures).mask(one, report(one))


def pair_entry(sample="cytosol/a.png", method="d-ig", source=0, target=1, **more):
    arrays = {
        "query": QUERY.numpy(),
        "generated": GENERATED.numpy(),
        "attribution": WEIGHTS.numpy(),
        "mask": (WEIGHTS > 0).float().numpy(),
    }
    return entry(sample, 0.8, method, source, target, read=arrays.__getitem__, **more)


def test_mask_of_the_pair_comes_before_that_of_the_sample(tmp_path):
    one = pair_entry()
    assert known(tmp_path, one) is None
    put(tmp_path, "a.tif", TRUE.T & False | (np.arange(8) == 1))
    assert known(tmp_path, one).sum() == 8
    put(tmp_path, "cytosol/a.png", np.eye(8))
    assert known(tmp_path, one).sum() == 8
    put(tmp_path, "cytosol/mitochondrion/a.npy")
    assert known(tmp_path, one).sum() == 4
    assert known(tmp_path, pair_entry(target=2)).sum() == 8


def test_masks_of_structures_speak_for_pairs_with_structure_on_one_side(tmp_path):
    put(tmp_path, "synapse/a.png")
    put(tmp_path, "cytosol/a.png")
    structures = ("mitochondrion", "synapse")
    away = pair_entry("synapse/a.png", source=2, target=0)
    swapped = pair_entry("synapse/a.png", source=2, target=1)
    appears = pair_entry("cytosol/a.png", source=0, target=2)
    assert known(tmp_path, away, *structures) is not None
    assert known(tmp_path, swapped, *structures) is None
    assert known(tmp_path, appears, *structures) is None
    assert known(tmp_path, swapped) is not None


def test_mask_of_a_sample_does_not_speak_for_a_pair_that_leaves_another_class(tmp_path):
    put(tmp_path, "synapse/a.png")
    assert known(tmp_path, pair_entry("synapse/a.png", source=0, target=1, label=2)) is None
    assert known(tmp_path, pair_entry("synapse/a.png", source=2, target=1, label=2)) is not None


def test_names_never_lead_out_of_the_folder(tmp_path):
    put(tmp_path, "secret.png")
    (tmp_path / "masks").mkdir()
    for name in ("../secret.png", str(tmp_path / "secret.png"), "..\\secret.png"):
        assert known(tmp_path / "masks", pair_entry(name)) is None


def test_colour_masks_and_volumes(tmp_path):
    colour = np.zeros((3, 4, 4), np.float32)
    colour[1, 2, 2] = 1
    write_image(tmp_path / "colour.png", torch.from_numpy(colour))
    assert read_mask(tmp_path / "colour.png").sum() == 1
    np.save(tmp_path / "volume.npy", np.ones((5, 4, 4), np.uint8))
    assert read_mask(tmp_path / "volume.npy").shape == (5, 4, 4)
    np.save(tmp_path / "nan.npy", np.full((4, 4), np.nan))
    with pytest.raises(DataError, match="NaN"):
        read_mask(tmp_path / "nan.npy")


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        TruthFolder(tmp_path / "missing")


def test_baselines_stand_beside_the_methods_that_were_explained(tmp_path):
    put(tmp_path, "cytosol/mitochondrion/a.png")
    judgement = evaluate_report(report(pair_entry()), TruthFolder(tmp_path)).result()
    found = judgement.localization()
    assert set(found) == {"d-ig", "residual", "random"}
    assert (found["d-ig"].energy, found["d-ig"].iou) == (1, 1)
    # seven equal pixels, four of them true; no mask was made of it
    assert found["residual"].energy == pytest.approx(4 / 7)
    assert found["residual"].average_precision == pytest.approx(4 / 7)
    assert found["residual"].iou is None
    assert found["random"].energy < 0.3
    assert judgement.areas() == {}


def test_own_baselines_are_not_made_again(tmp_path):
    put(tmp_path, "cytosol/mitochondrion/a.png")
    both = report(pair_entry(), pair_entry(method="residual"), pair_entry(method="random"))
    found = evaluate_report(both, TruthFolder(tmp_path)).result().localization()
    assert [one.n for one in found.values()] == [1, 1, 1]
    assert found["residual"].energy == 1  # the map of the report, here that of d-ig


def test_what_has_no_answer_or_ranked_nothing_is_counted(tmp_path):
    put(tmp_path, "cytosol/mitochondrion/a.png")
    put(tmp_path, "cytosol/mitochondrion/empty.png", TRUE & False)
    many = report(
        pair_entry(),
        pair_entry("cytosol/b.png"),
        pair_entry("cytosol/empty.png"),
        pair_entry("cytosol/a.png", method="ig", degenerate=True),
    )
    judgement = evaluate_report(many, TruthFolder(tmp_path)).result()
    assert judgement.n_without_truth == 3
    assert judgement.localization()["d-ig"].n == 1
    assert "ig" not in judgement.localization()
    assert judgement.class_pairs() == ((0, 1),)


def test_one_that_cannot_be_judged_does_not_stop_the_others(tmp_path):
    put(tmp_path, "cytosol/mitochondrion/a.png")
    put(tmp_path, "cytosol/mitochondrion/b.png", np.ones((4, 4)))
    judgement = evaluate_report(
        report(pair_entry(), pair_entry("cytosol/b.png")), TruthFolder(tmp_path)
    ).result()
    assert judgement.localization()["d-ig"].n == 1
    assert "cytosol/b.png, d-ig" in judgement.problems[0]
    with pytest.raises(DataError, match="No explanation can be evaluated"):
        evaluate_report(report(entry("cytosol/a.png")), TruthFolder(tmp_path)).result()


def test_areas_are_found_without_any_truth(tmp_path):
    classifier = Classifier(WeightedSum().eval(), ("0", "1"), 1, (8, 8), PRESETS["unit"])
    judgement = evaluate_report(report(pair_entry()), None, classifier, Checks(True)).result()
    areas = judgement.areas()
    assert set(areas["d-ig"]) == {"n", *ORDER_MEASURES}
    assert areas["d-ig"]["counterfactual_insertion"] > areas["random"]["counterfactual_insertion"]
    assert areas["d-ig"]["counterfactual_deletion"] < areas["random"]["counterfactual_deletion"]
    assert judgement.localization() == {}
