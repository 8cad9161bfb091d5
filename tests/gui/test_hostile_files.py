"""Hostile files through every door of the dock: one question, and nothing runs before it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from qtpy.QtWidgets import QPushButton

from gui.conftest import wait
from gui.test_class_names import settle
from gui.test_opening import drop
from hostile import SIZE, Hostile
from napari_quac.cli import main
from napari_quac.generators.cyclegan.recipe import CycleGANRecipe, Translation
from napari_quac.generators.fido.recipe import FidoRecipe
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.panels.network_card import Card
from napari_quac.live.session_state import SessionState
from napari_quac.networks import consent
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from test_hostile_files import plan_of, write_translation


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return Hostile(tmp_path)


def questions(dock: QuacDock) -> list[QPushButton]:
    buttons = dock.findChildren(QPushButton)
    return [b for b in buttons if b.text() == "Trust and use" and b.isVisibleTo(dock)]


def write_samples(folder: Path) -> Path:
    for number, name in enumerate(("a", "b")):
        (folder / name).mkdir(parents=True)
        np.save(folder / name / "0.npy", np.full((1, SIZE, SIZE), 0.2 + 0.5 * number, np.float32))
    return folder


@pytest.mark.long
def test_nothing_runs_before_the_answer(dock: QuacDock, hostile: Hostile, tmp_path: Path) -> None:
    samples = write_samples(tmp_path / "samples")
    classifier, exported = hostile.script("evil.pt"), hostile.exported("evil.pt2")
    back = hostile.script("training/latest_net_G_B.pth", "translation")
    there = write_translation(back.with_name("latest_net_G_A.pth"))
    inpainter = hostile.script("fill.pt", "inpainter")
    translations = [{"path": str(back), "source": "a", "target": "b"}]
    cyclegan = {"kind": "cyclegan", "translations": translations}
    store = tmp_path / "store"
    assert main(["explain", "--classifier", str(classifier), "--classes", "a,b", "--samples",
                 str(samples), "--image-size", str(SIZE), "--methods", "residual", "--device",
                 "cpu", "--out", str(store)]) == 0  # fmt: skip
    assert hostile.has_run()
    consent._trusted.clear()
    consent._trusted_paths.clear()
    session = SessionState(
        classifier={"path": str(classifier)},
        generator=cyclegan,
        settings={"methods": ["fido"], "parameters": {"fido": {"inpainter": str(inpainter)}}},
    )

    def plan() -> Path:
        parameters = {"fido": {"infill": "inpainter", "inpainter": str(inpainter)}}
        return plan_of(samples, classifier, cyclegan, methods=["fido"], parameters=parameters)

    def set_parameter() -> None:
        parameters = {"fido": {"infill": "inpainter", "inpainter": inpainter}}
        dock.choices.update_settings(methods=("fido",))
        dock.choices.update_settings(parameters=parameters)

    def package() -> Path:
        weights = hostile.script("weights.pt")
        outputs = [{"axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["a", "b"]}]}]
        rdf = {"format_version": "0.5.3", "type": "model", "outputs": outputs,
               "inputs": [{"id": "raw", "axes": [{"type": "batch"}, {"type": "channel"}]}],
               "weights": {"torchscript": {"source": "weights.pt"}}}  # fmt: skip
        with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
            archive.writestr("rdf.yaml", yaml.safe_dump(rdf))
            archive.write(weights, "weights.pt")
        return tmp_path / "model.zip"

    three = {"evil.pt", "latest_net_G_B.pth", "fill.pt"}
    doors: dict[str, tuple[Callable[[], object], set[str]]] = {
        "drop": (lambda: drop(dock, classifier), {"evil.pt"}),
        "drop of .pt2": (lambda: drop(dock, exported), {"evil.pt2"}),
        "field": (lambda: dock.networks.open_path(back, "generator"), {"latest_net_G_B.pth"}),
        "folder": (lambda: drop(dock, back.parent), {"latest_net_G_B.pth"}),
        "partner": (lambda: drop(dock, there), {"latest_net_G_B.pth"}),
        "package": (lambda: drop(dock, package()), {"model.zip"}),
        "plan": (lambda: drop(dock, plan()), three),
        "session": (lambda: dock.opening.restore(session), three),
        "store": (lambda: drop(dock, store), {"evil.pt"}),
        "parameter": (set_parameter, {"fill.pt"}),
        "generator setting": (
            lambda: setattr(dock.choices, "generator", FidoRecipe("inpainter", inpainter)),
            {"fill.pt"},
        ),
    }
    for door, (use, names) in doors.items():
        dock.stages.show_stage("explore")  # the question comes to the front
        dock.networks.set_open(False)
        use()
        wait(lambda: questions(dock), 30)
        settle(dock)
        assert len(questions(dock)) == 1, door
        card = next(card for card in dock.findChildren(Card) if card.yes_button in questions(dock))
        text = card.text.text()
        assert {
            name for name in (*three, "evil.pt2", "model.zip") if f"'{name}'" in text
        } == names, text
        assert dock.choices.classifier is None, door
        card.no_button.click()
        settle(dock)
        assert not questions(dock) and dock.choices.classifier is None
        assert not hostile.has_run(), door
        dock.choices.generator = None
    dock.exaggeration.use_bin_generator(classifier)
    settle(dock)
    assert "holds no generator" in dock.status.line.text()
    assert not hostile.has_run() and dock.choices.bin_generator is None


def test_one_answer_counts_for_all_and_an_exchanged_file_is_refused(
    dock: QuacDock, hostile: Hostile, tmp_path: Path
) -> None:
    samples = write_samples(tmp_path / "samples")
    classifier = hostile.script("evil.pt")
    back = hostile.script("latest_net_G_B.pth", "translation")
    translations = [{"path": str(back), "source": "a", "target": "b"}]
    plan = plan_of(samples, classifier, {"kind": "cyclegan", "translations": translations})
    drop(dock, plan)
    wait(lambda: questions(dock))
    shutil.move(hostile.script("other.pt"), classifier)
    questions(dock)[0].click()
    wait(lambda: dock.results.loaded_generator)
    assert hostile.has_run()
    settle(dock)
    assert dock.results.loaded_classifier is None
    text = dock.networks.cards["classifier"].text.text()
    assert text == "'evil.pt' changed since you trusted it. Look at it again."
    drop(dock, classifier)
    wait(lambda: questions(dock))
    assert not hostile.has_run()
    questions(dock)[0].click()
    wait(lambda: dock.results.loaded_classifier)
    assert hostile.has_run()


def test_recipes_of_scripts_are_refused_until_they_are_trusted(
    dock: QuacDock, hostile: Hostile
) -> None:
    recipe = ClassifierRecipe(hostile.script("evil.pt"))
    dock.choices.classifier = recipe
    settle(dock)
    assert "not trusted" in dock.networks.cards["classifier"].text.text()
    assert not hostile.has_run() and dock.results.loaded_classifier is None
    generator = CycleGANRecipe((Translation(hostile.script("b.pt", "translation"), "a", "b"),))
    dock.networks.use_recipes(recipe, generator)
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)
    assert hostile.has_run()


def test_an_answer_that_cannot_be_kept_counts_and_is_stated(
    dock: QuacDock, hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(consent, "answers_file", lambda: file / "answers.txt")
    drop(dock, hostile.script("evil.pt"))
    wait(lambda: questions(dock))
    questions(dock)[0].click()
    wait(lambda: dock.results.loaded_classifier)
    settle(dock)
    assert "answers.txt' cannot be written" in dock.status.line.text()
