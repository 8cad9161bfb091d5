"""What is written is what the QuAC library accepts, and comes back as it was."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import tifffile
import torch
from torch import nn

from napari_quac.data.image_file import read_image
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import DataError
from napari_quac.explain.curve import threshold_grid
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.opening import open_report
from napari_quac.reports.quac_write import FileNames, safe_name, write_quac_report
from reports.reports_for_tests import entry, report

# The keyword arguments of the library's Explanation in version 0.2.1; any other key of a result
# is a TypeError there.
ACCEPTED = {
    "query_path",
    "counterfactual_path",
    "mask_path",
    "query_prediction",
    "counterfactual_prediction",
    "source_class",
    "target_class",
    "score",
    "normalized_mask_sizes",
    "score_changes",
    "generated_path",
    "attribution_path",
    "generated_prediction",
    "optimal_threshold",
    "method",
}


def full_entry(
    sample: str = "cytosol/a.png", method: str = "d-ig", channels: int = 1, **more
) -> ReportEntry:
    """Return an entry with arrays and a curve of 200 thresholds."""
    random = np.random.default_rng(len(sample))
    arrays = {
        name: random.random((channels, 6, 7), dtype=np.float32)
        for name in ("query", "generated", "counterfactual", "attribution", "mask")
    }
    sizes = np.concatenate([np.ones(100), np.linspace(0.9, 0, 100)])
    values = {
        "thresholds": threshold_grid(),
        "mask_sizes": sizes,
        "score_changes": sizes * 0.5,
        "query_prediction": (0.8, 0.1, 0.1),
        "generated_prediction": (0.1, 0.8, 0.1),
        "counterfactual_prediction": (0.3, 0.6, 0.1),
        "optimal_threshold": 0.25,
        "completeness": 0.01,
        "n_tried": 7,
        "read": arrays.__getitem__,
    } | more
    return entry(sample, 0.25, method, **values)


def documents(folder) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in folder.rglob("*.json")}


@pytest.mark.parametrize("channels", [1, 3])
def test_what_was_written_reads_back(tmp_path, channels):
    before = report(*(full_entry(method=m, channels=channels) for m in ("d-ig", "random")))
    done = write_quac_report(before, tmp_path / "out").result()
    assert done.n_written == 2
    # the library takes the last axis for the channels
    page = tifffile.imread(tmp_path / "out/source/cytosol/a.tif")
    assert page.shape == ((6, 7) if channels == 1 else (6, 7, 3))
    after = open_report(tmp_path / "out")
    assert after.methods == before.methods
    assert after.class_names == before.class_names
    for one, same in zip(before, after, strict=True):
        for name in ("sample_id", "source", "target", "method", "quac_score", "switches"):
            assert getattr(one, name) == getattr(same, name)
        for name in ("optimal_threshold", "completeness", "n_tried", "query_prediction"):
            assert getattr(one, name) == getattr(same, name)
        for name in ("thresholds", "mask_sizes", "score_changes"):
            np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        for name in ("query", "generated", "counterfactual", "attribution", "mask"):
            np.testing.assert_array_equal(one.array(name), same.array(name))


def test_results_have_the_accepted_keys_and_the_json_is_standard(tmp_path):
    odd = full_entry(completeness=math.nan, score_changes=np.full(200, np.nan))
    write_quac_report(report(odd), tmp_path / "out").result()
    text = (tmp_path / "out/reports/d-ig/default_report.json").read_text()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert set(document) == {"name", "metadata", "results"}
    assert set(document["results"][0]) == ACCEPTED
    assert document["results"][0]["score_changes"] == [None] * 200
    assert document["metadata"]["class_names"] == ["cytosol", "mitochondrion", "synapse"]


def test_every_noted_file_is_there_in_the_librarys_layout(tmp_path):
    write_quac_report(report(full_entry()), tmp_path / "out").result()
    (told,) = documents(tmp_path / "out")["d-ig"]["results"]
    places = {
        key: str(np.char.replace(told[key], str(tmp_path / "out") + "/", ""))
        for key in told
        if key.endswith("_path")
    }
    assert places == {
        "query_path": "source/cytosol/a.tif",
        "generated_path": "generated_images/latent/cytosol/mitochondrion/a.tif",
        "counterfactual_path": "counterfactuals/d-ig/cytosol/mitochondrion/a.tif",
        "attribution_path": "attributions/d-ig/cytosol/mitochondrion/a.npy",
        "mask_path": "masks/d-ig/cytosol/mitochondrion/a.npy",
    }
    for place in places.values():
        assert (tmp_path / "out" / place).is_file()
    assert np.load(tmp_path / "out" / places["mask_path"]).dtype == np.float32


def test_methods_are_in_one_order_and_carry_their_name(tmp_path):
    entries = [full_entry("b.png"), full_entry("a.png"), full_entry("a.png", "ig")]
    write_quac_report(report(*entries, full_entry("b.png", "ig")), tmp_path / "out").result()
    found = documents(tmp_path / "out")
    assert {name: document["name"] for name, document in found.items()} == {
        "d-ig": "d-ig",
        "ig": "ig",
    }
    for document in found.values():
        assert [result["query_path"][-5:] for result in document["results"]] == ["a.tif", "b.tif"]


def test_names_have_no_dots_and_never_collide(tmp_path):
    entries = [full_entry("cytosol/x.0.png"), full_entry("cytosol/x_0.tif")]
    write_quac_report(report(*entries), tmp_path / "out").result()
    results = documents(tmp_path / "out")["d-ig"]["results"]
    names = [result["attribution_path"].rsplit("/", 1)[1] for result in results]
    assert names == ["x_0.npy", "x_0_2.npy"]
    after = open_report(tmp_path / "out")
    assert [one.sample_id for one in after] == ["cytosol/x.0.png", "cytosol/x_0.tif"]


def test_names_that_differ_in_capitals_only():
    names = FileNames()
    assert [names("c", "c/A.png"), names("c", "c/a.png"), names("c", "c/A.png")] == [
        "A",
        "a_2",
        "A",
    ]
    assert safe_name("../..") == "unnamed"
    assert safe_name("ß μ.x") == "ß_μ_x"


def test_8_bit_pictures_are_rounded_and_the_drift_is_noted(tmp_path):
    class Mean(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            mean = images.flatten(1).mean(1)
            return torch.stack([-100 * mean, 100 * mean - 100, mean], dim=1)

    classifier = Classifier(Mean().eval(), ("a", "b", "c"), 1, (6, 7), PRESETS["unit"])
    one = full_entry()
    done = write_quac_report(report(one), tmp_path / "png", "png", classifier).result()
    after = read_image(tmp_path / "png/source/cytosol/a.png").numpy()
    assert np.abs(after - one.array("query")).max() <= 0.5 / 255 + 1e-6
    drift = documents(tmp_path / "png")["d-ig"]["metadata"]["prediction_drift"][0]
    moved = classifier.predict(torch.from_numpy(after)[None]) - classifier.predict(
        torch.from_numpy(one.array("query"))[None]
    )
    assert drift["query"] == pytest.approx(float(moved.abs().max()))
    assert done.largest_drift == max(drift.values()) > 0
    exact = write_quac_report(report(one), tmp_path / "tif", "tif", classifier).result()
    assert exact.largest_drift == 0


def test_entries_without_arrays_are_left_out_with_a_reason(tmp_path):
    bare = full_entry("b.png", read=None)
    done = write_quac_report(report(full_entry(), bare), tmp_path / "out").result()
    assert done.n_written == 1
    assert "b.png" in done.skipped[0]
    with pytest.raises(DataError, match="No entry can be written"):
        write_quac_report(report(bare), tmp_path / "none").result()
    assert not (tmp_path / "none").exists()


def test_all_entries_of_dapi_are_refused_with_their_number(tmp_path):
    entries = (full_entry("a.png"), full_entry("b.png"))
    dapi = report(*entries, settings=ExplainSettings.from_preset("dapi"))
    with pytest.raises(DataError, match="All 2 entries are skipped: DAPI"):
        write_quac_report(dapi, tmp_path / "out").result()
    assert not (tmp_path / "out").exists()
    quac = report(*entries, settings=ExplainSettings.from_preset("quac"))
    assert write_quac_report(quac, tmp_path / "out").result().n_written == 2


def test_volumes_are_left_out(tmp_path):
    volume = np.zeros((1, 4, 6, 7), np.float32)
    with pytest.raises(DataError, match="two-dimensional"):
        write_quac_report(report(full_entry(read=lambda name: volume)), tmp_path / "out").result()


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DataError, match="not empty"):
        write_quac_report(report(full_entry()), tmp_path).result()


def test_stopped_work_leaves_a_report_of_what_is_finished(tmp_path):
    steps = write_quac_report(report(full_entry("a.png"), full_entry("b.png")), tmp_path / "out")
    next(steps)
    next(steps)
    steps.close()
    assert [entry.sample_id for entry in open_report(tmp_path / "out").entries] == ["a.png"]
