"""The store: what is written is there as a whole, and what can be read of it is read."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError, StorageError
from napari_quac.explain.pipeline import explain
from napari_quac.explain.search import MAX_PROPOSALS
from napari_quac.explain.settings import ExplainSettings
from napari_quac.reports.entry import FailedEntry, ReportEntry
from napari_quac.reports.record import Failure, explained_record, failed_record, plain, to_json
from napari_quac.reports.store import ExplanationStore, estimate_bytes, task_key
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo
from napari_quac.reports.task_images import images_of
from napari_quac.testing import CLASSES, CornerSamples, corner_classifier, corner_generator

METHODS = ("d-ig", "residual")
SETTINGS = ExplainSettings(METHODS)


@pytest.fixture(scope="module")
def made():
    """A sample of the corner networks with two explanations."""
    sample, classifier = CornerSamples(size=16)[0], corner_classifier(16)
    return tuple(explain(sample, 1, classifier, corner_generator(16), SETTINGS).result().values())


@pytest.fixture
def info() -> StoreInfo:
    generator = NetworkIdentity("corners", {"path": "abc"})
    return StoreInfo(CLASSES, NetworkIdentity("classifier"), generator, SETTINGS)


@pytest.fixture
def store(tmp_path, info) -> ExplanationStore:
    return ExplanationStore.create(tmp_path / "out", info)


def record_of(made, **changes):
    record = explained_record(made[0].pair, made, CLASSES, settings=SETTINGS, truth=0, targets=[1])
    return {**record, **changes}


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_is_written_is_read_again(store, made):
    key = store.write(record_of(made), images_of(made[0].pair, made), {"": 0.5, "d-ig": 0.25})
    again = ExplanationStore.open(store.folder)
    assert again.keys() == (key,)
    assert again.info == store.info
    entries = list(again.entries())
    assert [entry.method for entry in entries] == list(METHODS)
    for entry, explanation in zip(entries, made, strict=True):
        curve = explanation.curve
        np.testing.assert_array_equal(entry.thresholds, curve.thresholds)
        np.testing.assert_array_equal(entry.mask_sizes, curve.mask_sizes)
        np.testing.assert_array_equal(entry.score_changes, curve.score_changes)
        assert entry.quac_score == curve.quac_score
        assert (entry.source, entry.target, entry.label) == (0, 1, 0)
        np.testing.assert_array_equal(entry.array("query"), made[0].pair.query.image)
        np.testing.assert_array_equal(entry.array("signed"), explanation.attribution.signed)
        np.testing.assert_array_equal(
            entry.array("counterfactual"), explanation.counterfactual.image
        )
    assert entries[0].seconds == 0.25
    assert entries[1].seconds is None


@pytest.mark.parametrize("shape", [(1, 9, 7), (3, 8, 8), (1, 4, 6, 5), (2, 3, 5, 4)])
def test_images_of_any_shape_lie_in_one_store(store, shape):
    images = {name: np.random.rand(*shape).astype("f4") for name in ("query", "generated")}
    images["d-ig/mask"] = np.zeros(shape, "f4")
    for sample, scale in (("a", (2.0,) * (len(shape) - 1)), ("b", None)):
        record = {"id": sample, "target": "right", "scale": scale, "unit": "nm"}
        key = store.write(record, images)
        for name, image in images.items():
            np.testing.assert_array_equal(store.image(key, name), image)


def test_images_are_ome_zarr_with_their_place_in_the_world(store):
    images = {name: np.full((1, 4, 5), 0.5, "f4") for name in ("query", "d-ig/signed")}
    place = {"scale": (8.0, 4.0), "translate": (80.0, 40.0), "unit": "nm"}
    key = store.write({"id": "a", "target": "right", **place}, images)
    group = zarr.open_group(store.folder / "images.zarr", mode="r", zarr_format=3)
    ome = group[key].attrs["ome"]
    (image,) = ome["multiscales"]
    assert [axis["name"] for axis in image["axes"]] == ["c", "y", "x"]
    assert image["axes"][1]["unit"] == "nanometer"
    (dataset,) = image["datasets"]
    assert dataset["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 8.0, 4.0]},
        {"type": "translation", "translation": [0.0, 80.0, 40.0]},
    ]
    assert [channel["label"] for channel in ome["omero"]["channels"]] == list(images)
    assert group[key][dataset["path"]].shape == (2, 4, 5)
    assert group[key][dataset["path"]].chunks == (1, 4, 5)


@pytest.mark.needs_qt
def test_napari_reads_the_images_without_us(store, made):
    from napari_builtins.io._read import napari_get_reader

    key = store.write(record_of(made), images_of(made[0].pair, made))
    for path in (store.folder / "images.zarr" / key, store.folder / "images.zarr"):
        reader = napari_get_reader(str(path))
        assert reader is not None
        ((data, *_),) = reader(str(path))
        stack = np.asarray(data[0] if isinstance(data, list) else data)
        assert stack.shape == (2 + 4 * len(METHODS) + MAX_PROPOSALS - 1, 16, 16)
        np.testing.assert_array_equal(stack[1], made[0].pair.generated[0])


def test_equal_explanations_have_equal_bytes(tmp_path, info, made):
    folders = []
    for name in ("one", "two"):
        store = ExplanationStore.create(tmp_path / name, info)
        store.write(record_of(made), images_of(made[0].pair, made), {"": float(len(name))})
        folders.append(store.folder)
    for path in sorted(folders[0].rglob("*")):
        twin = folders[1] / path.relative_to(folders[0])
        if path.is_file() and path.parent.name != "timings":
            assert path.read_bytes() == twin.read_bytes(), path.name


def test_no_number_of_a_record_is_nan():
    values = {"a": float("nan"), "b": [float("inf"), np.float32(0.5)], "c": torch.tensor([1.0])}
    assert json.loads(to_json(plain(values))) == {"a": None, "b": [None, 0.5], "c": [1.0]}


def test_a_failure_is_an_entry_with_its_stage(store):
    store.write(failed_record("a", Failure("read", "It is no image."), None, None))
    store.write(failed_record("b", Failure("search", "None found."), "left", "right"))
    entries = {entry.sample_id: entry for entry in ExplanationStore.open(store.folder).entries()}
    assert (entries["a"].target, entries["a"].stage) == (None, "read")
    assert (entries["b"].target, entries["b"].error) == (1, "None found.")


def test_a_method_that_failed_stands_beside_those_that_worked(store, made):
    failures = {"deeplift": Failure("attribution", "Not on this network.")}
    record = explained_record(made[0].pair, made[:1], CLASSES, settings=SETTINGS, failures=failures)
    key = store.write(record, images_of(made[0].pair, made[:1]))
    worked, failed = store.entries_of(key)
    assert isinstance(worked, ReportEntry)
    assert isinstance(failed, FailedEntry)
    assert failed.error == "Not on this network."


def test_keys_differ_and_are_file_names_everywhere():
    ids = ["a/b.png", "a_b.png", "A/b.png", "ä" * 300, "../../etc", "CON", "a\\b", ""]
    keys = [task_key(sample, target) for sample in ids for target in ("x/y", None)]
    assert len({key.lower() for key in keys}) == len(keys)
    for key in keys:
        assert len(key) < 180
        assert not set(key) & set('/\\:*?"<>| ')
        assert not key.startswith(".")


def test_records_that_come_later_are_seen(store, made):
    reader = ExplanationStore.open(store.folder)
    assert len(reader) == 0
    key = store.write(record_of(made), images_of(made[0].pair, made))
    assert reader.refresh() == (key,)
    assert reader.refresh() == ()
    store.forget(key)
    reader.refresh()
    assert len(reader) == 0


def test_opening_reads_no_record(store, made, monkeypatch):
    store.write(record_of(made), images_of(made[0].pair, made))
    monkeypatch.setattr(ExplanationStore, "record", lambda *_: pytest.fail("it was read"))
    assert len(ExplanationStore.open(store.folder)) == 1


def test_a_damaged_record_is_named_and_the_others_are_read(store, made):
    good = store.write(record_of(made), images_of(made[0].pair, made))
    bad = store.write(record_of(made, id="bad"), images_of(made[0].pair, made))
    path = store.folder / "records" / f"{bad}.json"
    for content in (path.read_bytes()[:500], b"[1]", b'{"id": "bad", "target": "right"}'):
        path.write_bytes(content)
        again = ExplanationStore.open(store.folder)
        assert {entry.sample_id for entry in again.entries()} == {"corner/0"}
        assert list(again.damaged) == [bad]
        assert "damaged" in again.damaged[bad]
    assert again.record(good)["id"] == "corner/0"


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_images_are_never_taken_for_black_ones(store, made, damage):
    key = store.write(record_of(made), images_of(made[0].pair, made))
    path = next((store.folder / "images.zarr" / key).glob("0/c.*"))
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[40] ^= 255
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.unlink()
    with pytest.raises(DataError, match=r"damaged|missing"):
        store.image(key, "query")
    assert len(list(store.entries())) == len(METHODS)


def test_a_newer_store_opens_read_only_with_the_reason(store, made):
    store.write(record_of(made), images_of(made[0].pair, made))
    path = store.folder / "store.json"
    values = json.loads(path.read_text())
    values["settings"] |= {"novelty": 1, "masking": {**values["settings"]["masking"], "depth": 2}}
    path.write_text(json.dumps({**values, "schema": 99, "version": "9.0", "novelty": 1}))
    newer = ExplanationStore.open(store.folder)
    assert "newer format" in newer.read_only
    assert len(list(newer.entries())) == len(METHODS)
    with pytest.raises(StorageError, match="newer format"):
        newer.write(record_of(made, id="more"), images_of(made[0].pair, made))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "napari-quac explanations"}'])
def test_a_damaged_description_is_made_up_for_by_the_records(store, made, content):
    store.write(record_of(made), images_of(made[0].pair, made))
    (store.folder / "store.json").write_text(content)
    rescued = ExplanationStore.open(store.folder)
    assert "damaged" in rescued.read_only
    assert rescued.info.class_names == CLASSES
    assert [entry.method for entry in rescued.entries()] == list(METHODS)
    (next((store.folder / "records").iterdir())).unlink()
    with pytest.raises(DataError, match="no record"):
        ExplanationStore.open(store.folder)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path, info):
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(DataError, match=tmp_path.name):
        ExplanationStore.create(tmp_path, info)
    with pytest.raises(DataError, match=tmp_path.name):
        ExplanationStore.open(tmp_path)
    assert files_of(tmp_path) == ["thesis.tex"]


def test_two_runs_do_not_begin_one_store(store, info):
    with pytest.raises(DataError, match="contains explanations"):
        ExplanationStore.create(store.folder, info)


def test_what_a_killed_writer_left_is_removed_but_not_that_of_others(store):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = os.uname().nodename
    left = store.folder / "records" / f".a.json~{host}~{gone.pid}~0.part"
    alive = store.folder / "images.zarr" / f".b~{host}~{os.getppid()}~0.part"
    elsewhere = store.folder / "records" / ".c.json~another~1~0.part"
    left.parent.mkdir()
    left.write_text("")
    alive.mkdir()
    elsewhere.write_text("")
    assert store.clean() == 1
    assert not left.exists()
    assert alive.exists()
    assert elsewhere.exists()
    assert len(store) == 0


def test_a_full_disk_leaves_nothing_half_written(store, made):
    """The kernel refuses to write, as a full disk does, by a limit on the size of files."""
    before = files_of(store.folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(StorageError, match="disk is full") as caught:
            store.write(record_of(made), images_of(made[0].pair, made))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert isinstance(caught.value, DataError)
    assert files_of(store.folder) == before
    store.write(record_of(made), images_of(made[0].pair, made))
    assert len(list(store.entries())) == len(METHODS)


def test_replacing_a_record_replaces_its_images(store, made):
    first = images_of(made[0].pair, made)
    key = store.write(record_of(made), first)
    store.write(record_of(made), {"query": 1 - first["query"]})
    np.testing.assert_array_equal(store.image(key, "query"), 1 - first["query"])
    with pytest.raises(DataError, match="no image 'generated'"):
        store.image(key, "generated")


def test_the_estimate_is_an_upper_bound(store, made):
    noise = {name: np.random.rand(1, 16, 16) for name in images_of(made[0].pair, made)}
    store.write(record_of(made), noise)
    files = [*store.folder.glob("records/*"), *store.folder.rglob("c.*")]
    written = sum(path.stat().st_size for path in files)
    estimate = estimate_bytes((1, 16, 16), len(METHODS), 1)
    assert written <= estimate
    assert estimate_bytes((1, 128, 128), 2, 1000) == pytest.approx(1000 * 15 * 65536, rel=0.1)


def test_a_sample_is_finished_when_all_that_it_asks_is_answered(store, made):
    store.write(record_of(made, asked=["right", "both"]), images_of(made[0].pair, made))
    store.write(failed_record("failed", Failure("search", "None."), "left", "right"))
    assert store.finished() == {"corner/0": False, "failed": False}
    store.write(record_of(made, target="both", asked=["right", "both"]), {})
    assert store.finished()["corner/0"] is True


def test_differences_are_told_in_words_and_names_of_files_do_not_count(info):
    renamed = replace(info, generator=NetworkIdentity("elsewhere", {"path": "abc"}))
    assert info.differences(renamed) == []
    other = replace(
        info,
        settings=replace(info.settings, seed=1, targets="all"),
        generator=NetworkIdentity("corners", {"path": "abd"}),
    )
    text = "; ".join(other.differences(info))
    assert "seed 1, not 0" in text
    assert "targets" not in text
    assert "the generator is another file" in text


def test_a_sample_keeps_its_place_in_the_world(made):
    sample = Sample("a", made[0].pair.query.image, 2, (4.0, 4.0), (1.0, 2.0), "nm")
    record = explained_record(replace(made[0].pair, query=sample), made, CLASSES, settings=SETTINGS)
    assert record["translate"] == [1.0, 2.0]
    assert record["label"] == 2
    assert json.loads(to_json(record)) == record
