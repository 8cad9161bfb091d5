"""Random walks over all controls: nothing fails, and what is shown is what is computed.

``QUAC_WALK_EVENTS`` sets the number of events of each walk, ``QUAC_WALK_SEED`` its seed, and
``QUAC_WALK_REPLAY`` names a file of recorded events that are performed instead. With
``QUAC_WALK_FAULTS=5``, a random fault is injected before every fifth event: into a call of a
network, a step in the compute thread, or a step of writing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_quac.errors import QuacError
from napari_quac.gui.dock import QuacDock
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.testing import CornerSamples, corner_classifier, corner_image

from .conftest import explain, load, open_dock, use_corners, wait
from .injections import RandomFaults
from .invariants import lasting_violations, violations
from .random_walk import Faults, Walker

CLASSES = ("left", "right", "both")
MOST_FINDINGS = 20
FAULTS_EVERY = int(os.environ.get("QUAC_WALK_FAULTS", "0"))
SEEDS = [int(seed) for seed in os.environ.get("QUAC_WALK_SEED", "0,1,2,3").split(",")]


def kind_of(text: str) -> str:
    """Return a finding without its numbers."""
    return re.sub(r"[\d.]+", "#", text)[-300:]


def new_violations(dock: QuacDock, findings: dict[str, str]) -> list[str]:
    """Return lasting violations; one that was found before is not waited for."""
    now = violations(dock)
    return [] if all(kind_of(text) in findings for text in now) else lasting_violations(dock)


class SwappedNetwork(torch.nn.Module):
    """The corner network with its first two classes exchanged."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.inner, self.n_classes = corner_classifier().module, n_classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.inner(images)[:, [1, 0, 2]][:, : self.n_classes]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Write samples, a stack, classifiers and a file that is none of these."""
    for index in range(9):
        folder = tmp_path / "samples" / CLASSES[index % 3]
        folder.mkdir(parents=True, exist_ok=True)
        image = corner_image(index % 3, 32, index)[0].numpy()
        tifffile.imwrite(folder / f"{index}.tif", (255 * image).astype(np.uint8))
    stack = np.stack([corner_image(n % 3, 32, n)[0].numpy() for n in range(5)])
    tifffile.imwrite(tmp_path / "stack.tif", (255 * stack).astype(np.uint8))
    for name, n_classes in (("three.pt", 3), ("two.pt", 2)):
        network = torch.jit.trace(SwappedNetwork(n_classes).eval(), torch.zeros(1, 1, 32, 32))
        network.save(str(tmp_path / name))
    (tmp_path / "notes.txt").write_text("no image and no network")
    names = ("samples", "stack.tif", "three.pt", "two.pt", "notes.txt", "absent")
    return [tmp_path / name for name in names]


def texts_to_type(paths: list[Path]) -> dict[str, list[str]]:
    return {
        "filter_edit": ["mispredicted", "explained", "score > 0.5", "confidence < 0.6", "",
                        "p(left) > 0.5", "label = right", "nonsense", "target = both", "(",
                        "failed"],
        "class_names": ["left, right, both", "a, b, c", "a, b", "x, x, y", ""],
        "classifier_path": [str(p) for p in paths], "generator_path": [str(p) for p in paths],
        "samples_path": [str(p) for p in paths], "_path": [str(p) for p in paths],
        "folder": [str(paths[0].parent / "explained"), str(paths[-1])],
        "size": ["32", "16", "48", "7"], "value": ["0", "-1", "1"], "tries": ["1", "3"],
    }  # fmt: skip


def read_events(folder: Path) -> list[dict[str, Any]]:
    """Return the recorded events, if there are any, with paths in this folder."""
    replay = os.environ.get("QUAC_WALK_REPLAY")
    if not replay:
        return []
    text = re.sub(r"/[^\"]*/test_a_random_walk_shows_nothi\d+", folder.as_posix(),
                  Path(replay).read_text())  # fmt: skip
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def walker(
    request: pytest.FixtureRequest, make_napari_viewer: Any, paths: list[Path]
) -> Iterator[Walker]:
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    docks = [open_dock(viewer)]

    def reopen() -> QuacDock:
        viewer.window.remove_dock_widget(docks[-1])
        docks[-1].shut_down()
        docks.append(open_dock(viewer))
        start(docks[-1])
        return docks[-1]

    def start(dock: QuacDock) -> None:
        use_corners(dock)
        try:
            wait(lambda: dock.results.prediction and not dock.controller.running)
        except AssertionError as error:
            state = dock.status.line.text(), dock.choices.samples, [*dock.controller.running]
            raise AssertionError(f"a dock that was opened again is not ready: {state}") from error
        recipe = ClassifierRecipe(paths[2], class_names=CLASSES)
        dock.networks.use_recipes(recipe, dock.choices.generator)

    start(docks[0])
    recorded = read_events(paths[0].parent)
    walk = Walker(docks[0], request.param, texts_to_type(paths), paths, reopen, recorded)
    yield walk
    walk.close()
    docks[-1].shut_down()
    QApplication.processEvents()


def expect_only_known_failures(dock: QuacDock, faults: Faults) -> None:
    """Note failures that no sentence of ours explains."""

    def on_failed(fault: Any) -> None:
        is_injected = FAULTS_EVERY and RandomFaults.has_caused(repr(fault.error))
        if not (isinstance(fault.error, QuacError | OSError) or is_injected):
            faults.note(f"unexpected failure: {fault.sentence}: {fault.error!r}")

    dock.controller.failed.connect(on_failed)


def test_the_checker_is_content_with_every_step_of_a_normal_walk(dock: QuacDock) -> None:
    assert not lasting_violations(dock)
    load(dock)
    assert not lasting_violations(dock)
    explain(dock)
    assert not lasting_violations(dock)
    dock.threshold.slider.setValue(1)
    dock.choices.sample_index = 3
    wait(lambda: not dock.controller.running)
    assert not lasting_violations(dock)


def test_the_checker_notices_what_is_stale(explained: QuacDock) -> None:
    dock = explained
    wait(lambda: not violations(dock))
    tamperings = {
        "threshold_line": lambda: dock.threshold.line.setText("mask 99.9%"),
        "sample_line": lambda: dock.navigator.line.setText("predicted nothing 0.10"),
        "prediction_query_0": lambda: dock.predictions.bars["query", 0].set_value(0.123),
        "layer 'query'": lambda: setattr(
            dock.layers.layers["query"], "data", np.zeros((32, 32), np.float32)
        ),
        "markerMaskSize": lambda: dock.curve_dock.plot.show_marker((0.5, 0.5)),
        "confusion_matrix": lambda: dock.all_samples.matrix.setProperty("counts", [[1]]),
        "method_score_random": lambda: dock.methods.scores["random"].setText("0.12"),
        "chip_all": lambda: dock.all_samples.chips.chips["all"].setChecked(False),
    }
    for name, tamper in tamperings.items():
        before = len(violations(dock))
        tamper()
        found = violations(dock)
        assert len(found) > before and any(name in text for text in found), (name, found)


@pytest.mark.long
@pytest.mark.parametrize("walker", SEEDS, indirect=True)
def test_a_random_walk_shows_nothing_stale_and_raises_nothing(
    walker: Walker, tmp_path: Path
) -> None:
    assert len(CornerSamples()) == 9
    faults = Faults()
    expect_only_known_failures(walker.dock, faults)
    n_events = len(walker.events) or int(os.environ.get("QUAC_WALK_EVENTS", "150"))
    log = Path(os.environ.get("QUAC_WALK_LOG", tmp_path / "events.jsonl"))
    watched, findings = walker.dock, {}
    injections = RandomFaults(tmp_path, len(log.name) + n_events)
    with ExitStack() as stack:
        stack.enter_context(faults.watch())
        stack.callback(walker.write, log)  # also after an exception
        stack.callback(injections.end)
        for number in range(n_events):
            if FAULTS_EVERY and number % FAULTS_EVERY == FAULTS_EVERY - 1:
                injections.renew()
            walker.go_on()
            if walker.dock is not watched:
                watched = walker.dock
                expect_only_known_failures(watched, faults)
            wrong, faults.texts = [*faults.texts, *new_violations(watched, findings)], []
            for text in wrong:
                is_injected = FAULTS_EVERY and RandomFaults.has_caused(text)
                if kind_of(text) not in findings and not is_injected:
                    injections.end()
                    walker.write(log)
                    last = "\n".join(map(str, walker.log[-8:]))
                    findings[kind_of(text)] = f"after {number + 1} events:\n{text}\n{last}\n"
                    print(findings[kind_of(text)], flush=True)
            if number % 100 == 99:
                n_faults = injections.n_failed
                print(
                    f"{number + 1} events, {n_faults} faults, {len(findings)} findings", flush=True
                )
            if len(findings) >= MOST_FINDINGS:
                break
    assert not findings, f"{log}\n" + "\n".join(findings.values())
