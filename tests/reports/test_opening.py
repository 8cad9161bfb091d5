"""Stores, and folders of ``explain``, as reports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_quac.errors import DataError
from napari_quac.explain.pipeline import explain
from napari_quac.explain.settings import ExplainSettings
from napari_quac.reports.opening import open_report
from napari_quac.reports.record import Failure, explained_record, failed_record
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo
from napari_quac.reports.task_images import images_of
from napari_quac.testing import CLASSES, CornerSamples, corner_classifier, corner_generator
from rounding import F32

METHODS = ("d-ig", "random")
EXPLAIN_FOLDER = Path(__file__).parent / "explain_folder"
SETTINGS = ExplainSettings(METHODS)


@pytest.fixture(scope="module")
def made():
    sample, classifier = CornerSamples(size=16)[0], corner_classifier(16)
    return tuple(
        explain(sample, 1, classifier, corner_generator(16), ExplainSettings(METHODS))
        .result()
        .values()
    )


def test_a_store_opens_with_its_failures_and_what_is_damaged(tmp_path, made):
    identity = NetworkIdentity("corners", {"checkpoint": "abc"})
    info = StoreInfo(CLASSES, identity, identity, SETTINGS)
    store = ExplanationStore.create(tmp_path / "out", info)
    key = store.write(
        explained_record(made[0].pair, made, CLASSES, settings=SETTINGS, truth=0, targets=[1]),
        images_of(made[0].pair, made),
    )
    store.write(failed_record("bad.png", Failure("read", "It is empty.")))
    (tmp_path / "out/records/broken.json").write_text("{")
    report = open_report(tmp_path / "out")
    assert report.methods == METHODS
    assert report.class_names == CLASSES
    assert [one.error for one in report.failures] == ["It is empty."]
    assert "1 records cannot be read" in report.notes[0]
    np.testing.assert_array_equal(report.entries[0].array("query"), store.image(key, "query"))
    assert report.conversion_rate().n == 1


def test_a_folder_that_explain_of_an_earlier_version_wrote_opens():
    for place in (EXPLAIN_FOLDER, EXPLAIN_FOLDER / "explanations.json"):
        report = open_report(place)
        assert report.class_names == ("dark", "bright")
        assert report.methods == ("d-ig", "residual")
        entry = report.entries[0]
        assert (entry.sample_id, entry.source, entry.target, entry.label) == ("dark/a.npy", 0, 1, 0)
        assert entry.quac_score == pytest.approx(0.8292919, abs=F32)
        assert len(entry.thresholds) == len(entry.mask_sizes) == 200
        assert entry.array("mask").sum() == 4
        for name in ("query", "generated", "attribution", "signed", "counterfactual"):
            assert entry.array(name).shape == (1, 8, 8)
        (failure,) = report.failures
        assert (failure.sample_id, failure.source, failure.target) == ("dark/b.npy", 0, 1)
        assert "No image was generated" in failure.error


def test_an_index_names_no_folder_elsewhere(tmp_path):
    shutil.copytree(EXPLAIN_FOLDER, tmp_path / "out")
    index = tmp_path / "out/explanations.json"
    text = index.read_text()
    for folder in (str(EXPLAIN_FOLDER / "dark/a/bright"), "../elsewhere"):
        index.write_text(text.replace('"dark/a/bright"', json.dumps(folder)))
        assert index.read_text() != text
        with pytest.raises(DataError, match="outside of its folder"):
            open_report(tmp_path / "out")


def test_a_missing_array_of_an_earlier_version_is_named(tmp_path):
    shutil.copytree(EXPLAIN_FOLDER, tmp_path / "out")
    (tmp_path / "out/dark/a/bright/generated.npy").unlink()
    entry = open_report(tmp_path / "out").entries[0]
    with pytest.raises(DataError, match=r"generated\.npy"):
        entry.array("generated")


def test_what_finds_its_files_by_itself_needs_no_re_root(tmp_path):
    (tmp_path / "explanations.json").write_text('{"classes": [], "explanations": []}')
    assert len(open_report(tmp_path)) == 0
    with pytest.raises(DataError, match=r"reports of the QuAC library have .*--re-root"):
        open_report(tmp_path, ("/old", "/new"))


def test_a_damaged_index_of_explain_is_named(tmp_path, made):
    for content in ("{", "{}", '{"classes": ["a"], "explanations": [{"methods": {}, "id": 1}, 3]}'):
        (tmp_path / "explanations.json").write_text(content)
        with pytest.raises(DataError, match=r"explanations\.json"):
            open_report(tmp_path)
