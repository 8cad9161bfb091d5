"""Reports with values of another kind: one sentence, and one record costs only itself."""

from __future__ import annotations

import json
import random
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from napari_quac.errors import DataError, QuacError
from napari_quac.explain.pipeline import explain
from napari_quac.explain.settings import ExplainSettings
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.opening import open_report
from napari_quac.reports.population import populations
from napari_quac.reports.record import explained_record
from napari_quac.reports.restored import restore_explanations
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo
from napari_quac.reports.task_images import images_of
from napari_quac.testing import CLASSES, CornerSamples, corner_classifier, corner_generator

SETTINGS = ExplainSettings(("random",))
WORDS = ("null", "-1", "1e400", "NaN", '"x"', "[]", "{}", "true", "99999999999", '[["a"]]',
         '"\\ud800"', '["a", "b"]', '{"a": 1}', "Infinity", '""', "0.5")  # fmt: skip
QUAC = {
    "metadata": {"method": "ig", "thresholds": [0, 0.5, 1], "class_names": ["a", "b"],
                 "sample_ids": ["a/1", "b/2"], "n_tried": [1, 2], "completeness": [0.1, 0.2]},
    "results": [
        {"query_path": f"/x/a/{n}.png", "generated_path": f"/g/a/b/{n}.png", "source_class": 0,
         "target_class": 1, "score": 0.5, "optimal_threshold": 0.1, "thresholds": [0, 0.5, 1],
         "normalized_mask_sizes": [1, 0.5, 0], "score_changes": [0.9, 0.5, 0],
         "query_prediction": [0.9, 0.1], "generated_prediction": [0.2, 0.8]}
        for n in range(2)
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "out"
    network = NetworkIdentity("network")
    store = ExplanationStore.create(folder, StoreInfo(CLASSES, network, network, SETTINGS))
    samples, networks = CornerSamples(size=8), (corner_classifier(8), corner_generator(8))
    for index in (0, 2):
        explained = [*explain(samples[index], 1, *networks, SETTINGS).result().values()]
        pair = explained[0].pair
        record = explained_record(pair, explained, CLASSES, settings=SETTINGS, targets=[1])
        store.write(record, images_of(pair, explained), {"": 1.0})
    return folder


def paths_of(node: Any, above: tuple = ()) -> list[tuple]:
    children = node.items() if isinstance(node, dict) else enumerate(node)
    inner = [(*above, key) for key, _ in children]
    nested = [p for p in inner if isinstance(node[p[-1]], dict | list)]
    return inner + [path for place in nested for path in paths_of(node[place[-1]], place)]


def mutate(document: dict, generator: random.Random) -> dict:
    changed = deepcopy(document)
    *above, last = generator.choice(paths_of(changed))
    node: Any = changed
    for key in above:
        node = node[key]
    if generator.random() < 0.2:
        del node[last]
    else:
        node[last] = json.loads(generator.choice(WORDS))
    return changed


def use(path: Path) -> None:
    report = open_report(path)
    report.to_frame()
    list(populations(report))
    for entry in report:
        try:
            entry.array("query")
        except QuacError:
            continue


def use_store(folder: Path) -> None:
    store = ExplanationStore.open(folder)
    store.finished("all")
    for key, record in store.records():
        try:
            store.image(key, "query")
            entries = [e for e in store.entries_of(key, record) if isinstance(e, ReportEntry)]
            restore_explanations(entries, store.info.settings, store.info.class_names, store=store)
        except QuacError:
            continue


def refused(read: Any, path: Path) -> int:
    try:
        read(path)
    except QuacError as error:
        assert "\n" not in str(error)
        return 1
    return 0


def test_mutated_reports_of_the_quac_library_raise_only_our_own_errors(tmp_path: Path) -> None:
    generator = random.Random(0)
    for _ in range(60):
        (tmp_path / "report.json").write_text(json.dumps(mutate(QUAC, generator)))
        refused(use, tmp_path)


@pytest.mark.long
def test_mutated_stores_raise_only_our_own_errors(written: Path, tmp_path: Path) -> None:
    generator = random.Random(0)
    for number in range(80):
        folder = tmp_path / str(number)
        shutil.copytree(written, folder)
        path = generator.choice(
            [p for p in folder.rglob("*.json") if p.parent.name != "images.zarr"]
        )
        path.write_text(json.dumps(mutate(json.loads(path.read_text()), generator)))
        refused(use, folder)
        refused(use_store, folder)


@pytest.mark.parametrize(
    "change",
    [
        {"id": ["x"]}, {"classes": [*CLASSES][::-1]}, {"predictions": 3}, {"methods": {"ig": 1}},
        {"n_tried": "b"}, {"switches": "x"}, {"failed_methods": {"ig": 1}},
        {"methods": {"ig": {"curve": {"n_thresholds": 10**11, "index": [0], "mask_sizes": [1]}}}},
    ],
)  # fmt: skip
def test_a_damaged_record_costs_only_itself(written: Path, tmp_path: Path, change: dict) -> None:
    shutil.copytree(written, tmp_path / "out")
    path = sorted((tmp_path / "out" / "records").iterdir())[0]
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    report = open_report(tmp_path / "out")
    assert len(report) == 1
    assert "1 records cannot be read" in report.notes[0]
    assert len(ExplanationStore.open(tmp_path / "out").finished("all")) in (1, 2)


def test_damaged_timings_cost_no_record_and_a_deep_record_only_itself(
    written: Path, tmp_path: Path
) -> None:
    shutil.copytree(written, tmp_path / "out")
    (tmp_path / "out" / "timings" / "a.jsonl").write_text(
        '{"key": "a", "seconds": 5}\n{"key": [], "seconds": {}}\n' + "[" * 100_000 + "\n7\n"
    )
    (tmp_path / "out" / "records" / "deep.json").write_text("[" * 100_000)
    report = open_report(tmp_path / "out")
    assert len(report) == 2
    assert report.entries[0].seconds is None
    assert "1 records cannot be read" in report.notes[0]


def test_class_numbers_and_names_of_a_report_are_limited(tmp_path: Path) -> None:
    document = deepcopy(QUAC)
    document["results"][1]["source_class"] = 10**10
    (tmp_path / "report.json").write_text(json.dumps(document))
    report = open_report(tmp_path)
    assert len(report) == 1
    assert "class 10000000000" in report.notes[0]
    document["results"][0]["query_path"] = "/" + "x" * 3000
    document["results"][1] = {**document["results"][0], "query_path": "/", "mask_path": "/"}
    (tmp_path / "report.json").write_text(json.dumps(document))
    for entry in open_report(tmp_path):
        with pytest.raises(DataError):
            entry.array("query")
