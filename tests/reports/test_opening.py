"""Stores, and folders of ``explain``, as reports."""

from __future__ import annotations

import json

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

METHODS = ("d-ig", "random")
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
        explained_record(made[0].pair, made, CLASSES, settings=SETTINGS, truth=0, asked=[1]),
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


def explain_record(made):
    from napari_quac.commands.explain import with_whole_curves

    record = explained_record(made[0].pair, made, CLASSES, settings=SETTINGS, truth=0, asked=[1])
    methods = with_whole_curves(record["methods"], made)
    return {**record, "id": f"{CLASSES[0]}/a.png", "methods": methods, "folder": "a/there"}


def test_a_folder_of_explain_opens(tmp_path, made):
    from napari_quac.commands.score import write_arrays

    write_arrays(tmp_path / "a/there", list(made))
    np.save(tmp_path / "a/there/query.npy", made[0].pair.query.image.numpy())
    failed = {"id": "b.png", "source": CLASSES[1], "target": CLASSES[0], "error": "No image."}
    document = {
        "classes": list(CLASSES),
        "explanations": [explain_record(made), failed, {"id": "c.png", "error": "Empty."}],
    }
    (tmp_path / "explanations.json").write_text(json.dumps(document))
    for place in (tmp_path, tmp_path / "explanations.json"):
        report = open_report(place)
        one = report.entries[0]
        assert (one.source, one.target, one.label, one.method) == (0, 1, 0, "d-ig")
        assert one.quac_score == made[0].quac_score
        np.testing.assert_array_equal(one.mask_sizes, made[0].curve.mask_sizes)
        np.testing.assert_array_equal(one.array("counterfactual"), made[0].counterfactual.image)
        np.testing.assert_array_equal(one.array("signed"), made[0].attribution.signed)
        assert [(f.source, f.target) for f in report.failures] == [(1, 0), (None, None)]
        with pytest.raises(DataError, match=r"generated\.npy"):
            one.array("generated")


def test_what_finds_its_files_by_itself_needs_no_re_root(tmp_path):
    (tmp_path / "explanations.json").write_text('{"classes": [], "explanations": []}')
    assert len(open_report(tmp_path)) == 0
    with pytest.raises(DataError, match="Leave --re-root out"):
        open_report(tmp_path, ("/old", "/new"))


def test_a_damaged_index_of_explain_is_named(tmp_path, made):
    for content in ("{", "{}", '{"classes": ["a"], "explanations": [{"methods": {}, "id": 1}, 3]}'):
        (tmp_path / "explanations.json").write_text(content)
        with pytest.raises(DataError, match=r"explanations\.json"):
            open_report(tmp_path)
