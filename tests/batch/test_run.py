"""Running a plan: every sample on record, whoever did the work and however often it was ended."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from batch.conftest import PER_CLASS, contents
from napari_quac.batch import run as batch
from napari_quac.batch.workers import start_workers
from napari_quac.cli import main
from napari_quac.errors import DataError, StorageError
from napari_quac.reports.opening import open_report
from napari_quac.reports.store import ExplanationStore, task_key
from napari_quac.testing import CLASSES

N_SAMPLES = PER_CLASS * len(CLASSES)
N_TASKS = N_SAMPLES * (len(CLASSES) - 1)


@pytest.fixture(scope="module")
def undisturbed(corner_files, tmp_path_factory):
    """What a run leaves that nobody disturbed."""
    plan = batch.BatchPlan.read(corner_files / "plan.yaml")
    plan = replace(plan, output=tmp_path_factory.mktemp("undisturbed") / "out")
    batch.run(plan)
    return contents(plan.output)


def with_settings(plan, **changes):
    return replace(plan, settings=replace(plan.settings, **changes))


def write_plan(plan, folder):
    path = folder / "plan.yaml"
    plan.write(path)
    return path


def test_every_sample_has_a_record(plan):
    seen = []
    summary = batch.run(plan, report=seen.append)
    assert (summary.n_samples, summary.n_explained, summary.n_failed) == (N_SAMPLES, N_TASKS, 0)
    assert [advance.done for advance in seen] == list(range(1, N_SAMPLES + 1))
    store = ExplanationStore.open(plan.output)
    assert len(store) == N_TASKS
    assert set(store.finished().values()) == {True}
    pairs = {(entry.source, entry.target) for entry in store.entries()}
    assert pairs == {(s, t) for s in range(3) for t in range(3) if s != t}
    assert {entry.source_basis for entry in store.entries()} == {"label"}


def test_a_run_that_was_killed_at_random_moments_ends_as_an_undisturbed_one(
    plan, tmp_path, undisturbed
):
    path = write_plan(plan, tmp_path)
    command = [sys.executable, "-m", "napari_quac", "run", str(path), "--trust", "--resume"]
    seen: dict[str, bytes] = {}
    chance = random.Random(0)
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        goal = len(seen) + chance.randint(1, 8)
        while process.poll() is None and len(list(plan.output.glob("records/*.json"))) < goal:
            time.sleep(chance.uniform(0.001, 0.02))
        process.kill()
        process.wait()
        found = contents(plan.output)
        recorded = {name: text for name, text in found.items() if name.endswith(".json")
                    and name.startswith("records/") and ".part" not in name}  # fmt: skip
        assert seen.items() <= recorded.items()
        for text in recorded.values():
            json.loads(text)
        seen = recorded
    assert 0 < len(seen)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert contents(plan.output) == undisturbed


def test_two_workers_leave_the_same_bytes(plan, undisturbed):
    with start_workers(2) as client:
        summary = batch.run(plan, client)
    assert summary.n_explained == N_TASKS
    assert contents(plan.output) == undisturbed
    stems = {path.stem for path in (plan.output / "timings").iterdir()}
    assert len(stems) == 2
    assert not any(stem.endswith(f"-{os.getpid()}") for stem in stems)


def test_a_failed_sample_is_a_record_and_is_tried_again(plan, corner_files, undisturbed, capsys):
    bad = corner_files / "samples" / "left" / "0.npy"
    good = bad.read_bytes()
    path = write_plan(plan, plan.output.parent)
    try:
        bad.write_bytes(b"no image")
        assert main(["run", str(path), "--trust", "--json"]) == 2
    finally:
        bad.write_bytes(good)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["n_failed"] == 1
    assert "left/0.npy" in printed.err.splitlines()[-1]
    failed = [e for e in ExplanationStore.open(plan.output).entries() if hasattr(e, "error")]
    assert [(entry.sample_id, entry.stage) for entry in failed] == [("left/0.npy", "read")]
    assert main(["run", str(path), "--trust", "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_samples"] == 1
    assert contents(plan.output) == undisturbed


def test_results_are_not_touched_without_resume(plan, capsys):
    path = write_plan(plan, plan.output.parent)
    assert main(["run", str(path), "--trust"]) == 0
    before = contents(plan.output)
    assert main(["run", str(path), "--trust"]) == 2
    assert "--resume" in capsys.readouterr().err
    assert contents(plan.output) == before


def test_results_of_another_plan_are_not_mixed_in(plan):
    batch.run(plan)
    with pytest.raises(DataError, match="seed 0, not 3"):
        batch.run(with_settings(plan, seed=3))


def test_an_unknown_target_is_refused_before_anything_is_written(plan):
    with pytest.raises(DataError.__base__, match="lefft"):
        batch.run(with_settings(plan, targets=("lefft",)))
    assert not plan.output.exists()


def test_a_fault_of_ours_is_a_record_with_its_traceback(plan, monkeypatch, capsys):
    from napari_quac.generators.generated.lookup import GeneratedImages

    propose = GeneratedImages.propose

    def fails_once(self, request, first, n):
        if request.query_id == "right/1.npy":
            raise TypeError("a mistake of ours")
        return propose(self, request, first, n)

    monkeypatch.setattr(GeneratedImages, "propose", fails_once)
    assert main(["run", str(write_plan(plan, plan.output.parent)), "--trust"]) == 1
    assert "right/1.npy" in capsys.readouterr().err
    store = ExplanationStore.open(plan.output)
    failed = [entry for entry in store.entries() if hasattr(entry, "error")]
    assert [entry.stage for entry in failed] == ["search", "search"]
    (first, _) = sorted((plan.output / "faults").iterdir())
    assert "fails_once" in first.read_text()
    assert len(store) == N_TASKS


def test_workers_with_several_threads_are_refused(plan):
    client = SimpleNamespace(nthreads=lambda: {"tcp://a": 1, "tcp://b": 4})
    with pytest.raises(DataError, match="4 threads each"):
        batch.run(plan, client)
    assert not plan.output.exists()


def test_workers_without_distributed_are_refused_with_the_way_out(plan, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    path = write_plan(plan, plan.output.parent)
    assert main(["run", str(path), "--trust", "--workers", "2"]) == 2
    assert "napari-quac[batch]" in capsys.readouterr().err
    assert main(["run", str(path), "--trust", "--workers", "1"]) == 0


def test_a_run_that_is_asked_to_end_says_how_to_go_on(plan, tmp_path, undisturbed):
    path = write_plan(plan, tmp_path)
    command = [sys.executable, "-m", "napari_quac", "run", str(path), "--trust"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(plan.output.glob("records/*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    if process.returncode != 0:  # it may have been at its last sample
        assert process.returncode == 143
        assert f"run {path} --trust --resume" in told
        assert "Traceback" not in told
    assert contents(plan.output).items() <= undisturbed.items()
    assert main(["run", str(path), "--trust", "--resume"]) == 0
    assert contents(plan.output) == undisturbed


def test_an_unreachable_scheduler_is_named(plan, monkeypatch, capsys):
    monkeypatch.setattr("napari_quac.batch.workers.CONNECT_SECONDS", 1)
    path = write_plan(plan, plan.output.parent)
    assert main(["run", str(path), "--trust", "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "tcp://127.0.0.1:9" in capsys.readouterr().err


def test_order_of_samples_changes_nothing(plan, undisturbed):
    from napari_quac.batch.run import describe, load_resources
    from napari_quac.batch.tasks import explain_tasks, tasks_of

    resources = load_resources(plan)
    tasks = tasks_of(resources.dataset)
    store = ExplanationStore.create(plan.output, describe(plan))
    random.Random(1).shuffle(tasks)
    parts = (resources.dataset, resources.classifier, resources.generator, plan.settings, store)
    assert explain_tasks(tasks, *parts).result().n_explained == N_TASKS
    assert contents(plan.output) == undisturbed


def test_giving_up_between_steps_keeps_what_is_finished(plan):
    from napari_quac.batch.run import describe, load_resources
    from napari_quac.batch.tasks import explain_tasks, tasks_of

    resources = load_resources(plan)
    store = ExplanationStore.create(plan.output, describe(plan))
    parts = (resources.dataset, resources.classifier, resources.generator, plan.settings, store)
    steps = explain_tasks(tasks_of(resources.dataset), *parts)
    gaps, last = [], time.perf_counter()
    for step in steps:
        gaps.append(time.perf_counter() - last)
        last = time.perf_counter()
        if step.done == 2:
            break
    steps.close()
    again = ExplanationStore.open(plan.output)
    assert len(again) == 4
    assert not list(plan.output.rglob("*.part"))
    assert all(np.isfinite(entry.array("mask")).all() for entry in again.entries())
    assert len(gaps) > 40


def test_going_on_with_more_targets_asks_about_these_too(plan, undisturbed):
    few = batch.run(with_settings(plan, targets=("left",)))
    n_other = N_SAMPLES - PER_CLASS
    assert (few.n_explained, few.n_without_target) == (n_other, PER_CLASS)
    more = batch.run(plan)
    assert more.n_explained == N_TASKS - n_other
    assert {name.removesuffix(".json") for name in contents(plan.output)} == {
        name.removesuffix(".json") for name in undisturbed
    }
    again = batch.run(plan)
    assert (again.n_existing, again.n_samples) == (N_SAMPLES, 0)


def test_a_plan_may_name_the_samples_that_are_explained(plan, tmp_path):
    chosen = replace(plan, only=("right/1.npy", "left/0.npy"), filter="wrong")
    path = write_plan(chosen, tmp_path)
    assert batch.BatchPlan.read(path) == chosen
    seen = []
    assert batch.run(chosen, report=seen.append).n_explained == 4
    assert [(one.sample_id, one.total) for one in seen] == [("left/0.npy", 2), ("right/1.npy", 2)]
    few, all_bytes = (batch.estimate_output(p, plan.samples.load(), 3) for p in (chosen, plan))
    assert few * N_SAMPLES == 2 * all_bytes
    with pytest.raises(DataError, match=r"1 of the 2 samples under 'only'.*'gone'"):
        batch.run(replace(plan, only=("left/0.npy", "gone")))


def test_a_beginning_that_was_ended_at_once_is_begun_again(plan):
    for name in ("records", "images.zarr", "timings"):
        (plan.output / name).mkdir(parents=True)
    (plan.output / "images.zarr" / "zarr.json").write_text("{}")
    assert batch.run(plan).n_explained == N_TASKS


def test_a_record_of_another_image_is_made_again(plan, tmp_path, corner_files):
    import shutil

    from napari_quac.batch.run import describe, load_resources
    from napari_quac.batch.tasks import Task, explain_tasks

    copy = tmp_path / "samples"
    shutil.copytree(corner_files / "samples", copy)
    plan = replace(plan, samples=replace(plan.samples, directory=copy))
    store = ExplanationStore.create(plan.output, describe(plan))

    def explained() -> tuple[int, int]:
        parts = load_resources(plan)
        found = explain_tasks(
            [Task(0, parts.dataset.sample_id(0))],
            parts.dataset, parts.classifier, parts.generator, plan.settings, store,
        ).result()  # fmt: skip
        return found.n_explained, found.n_existing

    assert explained() == (2, 0)
    assert explained() == (0, 2)
    changed = copy / plan.samples.load().sample_id(0)
    np.save(changed, 0.9 * np.load(changed))
    assert explained() == (2, 0)


def test_memory_is_kept_in_spite_of_the_setting_that_dask_starts_workers_with():
    if sys.platform != "linux":
        pytest.skip("glibc alone is told")
    code = (
        "import resource, sys, torch\n"
        "from napari_quac.batch.workers import disable_malloc_trim\n"
        "torch.set_num_threads(1)\n"
        "disable_malloc_trim() if sys.argv[1] == 'keep' else None\n"
        "for _ in range(60): torch.ones(1 << 18)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)\n"
    )
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    faults = [
        int(subprocess.check_output([sys.executable, "-c", code, how], env=environment))
        for how in ("keep", "leave")
    ]
    assert faults[1] - faults[0] > 30 * 256


def test_record_that_cannot_be_written_is_one_failure_everywhere(plan):
    first = batch.tasks_of(plan.samples.load())[0].sample_id
    ExplanationStore.create(plan.output, batch.describe(plan))
    blocked = plan.output / "images.zarr" / task_key(first, "left")
    blocked.write_text("a file in place of the folder")
    summary = batch.run(plan)
    assert (summary.n_failed, summary.n_explained) == (1, N_TASKS - 1)
    assert "cannot be written" in summary.first_failure
    report = open_report(plan.output)
    assert len(report.failures) == 1
    assert (report.failures[0].sample_id, report.failures[0].stage) == (first, "write")
    blocked.unlink()
    summary = batch.run(plan)
    assert (summary.n_failed, summary.n_explained) == (0, 1)
    assert len(open_report(plan.output).failures) == 0


def test_full_disk_ends_the_run(plan, monkeypatch):
    def no_space(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    ExplanationStore.create(plan.output, batch.describe(plan))
    monkeypatch.setattr("napari_quac.storage._write", no_space)
    with pytest.raises(StorageError, match="disk is full"):
        batch.run(plan)


def test_an_error_after_a_request_to_end_is_no_failure_of_a_sample(plan, monkeypatch):
    from napari_quac.generators.generated.lookup import GeneratedImages

    def interrupted_in_a_library(*_):
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            time.sleep(5)
        except KeyboardInterrupt:
            raise RuntimeError("error of a library") from None

    monkeypatch.setattr(GeneratedImages, "propose", interrupted_in_a_library)
    path = write_plan(plan, plan.output.parent)
    assert main(["run", str(path), "--trust"]) == 143
    assert not list(ExplanationStore.open(plan.output).entries())
