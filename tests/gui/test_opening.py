"""Recent files, the next day, drops of everything, and explanations that find their networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from qtpy.QtCore import QMimeData, QPoint, QPointF, QSettings, Qt, QTimer, QUrl
from qtpy.QtGui import QAction, QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QMenu, QWidget

from gui.conftest import explain, load, open_dock, wait
from gui.test_class_names import settle
from napari_quac.batch.plan import BatchPlan
from napari_quac.cli import main
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.generators.infill.recipe import InfillRecipe
from napari_quac.gui.dock import QuacDock
from napari_quac.live.session_state import SampleView, SessionState
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.classifier_recipe import ClassifierRecipe

SIZE = 16
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(autouse=True)
def no_memory() -> Iterator[None]:
    QSettings("napari-quac", "napari-quac").clear()
    yield
    QSettings("napari-quac", "napari-quac").clear()


@pytest.fixture
def network(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "networks" / "net.pt"
    path.parent.mkdir()
    module = Vgg(1, [[2], [4]], [4, 2], (SIZE, SIZE), [(2, 2), (2, 2)]).eval()
    torch.save(module.state_dict(), path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for level, name in enumerate(("bright", "dark")):
        (tmp_path / "patches" / name).mkdir(parents=True)
        for number in range(4):
            image = random.integers(90 * level, 90 * level + 80, (SIZE, SIZE)).astype(np.uint8)
            Image.fromarray(image).save(tmp_path / "patches" / name / f"{number}.png")
    return tmp_path / "patches"


def drop(widget: QWidget, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    more = (Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    entering = QDragEnterEvent(QPoint(5, 5), *more)
    QApplication.sendEvent(widget, entering)
    assert entering.isAccepted()
    QApplication.sendEvent(widget, QDropEvent(QPointF(5, 5), *more))


def actions_of(menu: QMenu) -> Iterator[QAction]:
    for action in menu.actions():
        if action.menu() is not None:
            yield from actions_of(action.menu())
        else:
            yield action


def in_menu(button: QWidget, use: Callable[[QMenu], Any]) -> Any:
    """Click a button and use the menu that pops up."""
    outcome: list[Any] = []
    QTest.mouseClick(button, LEFT)
    menu = wait_for_menu()
    outcome.append(use(menu))
    menu.close()
    QApplication.processEvents()
    return outcome[0]


def wait_for_menu() -> QMenu:
    found: list[QMenu] = []

    def look() -> bool:
        found[:] = [w for w in QApplication.topLevelWidgets()
                    if isinstance(w, QMenu) and w.isVisible()]  # fmt: skip
        return bool(found)

    wait(look, 5)
    return found[0]


def pick(button: QWidget, text: str) -> None:
    """Choose the entry of a menu whose text begins with a text."""

    def trigger(menu: QMenu) -> None:
        (action,) = [a for a in actions_of(menu) if a.text().startswith(text)]
        QTimer.singleShot(0, action.trigger)

    in_menu(button, trigger)


def texts(button: QWidget) -> list[str]:
    return in_menu(button, lambda menu: [action.text() for action in actions_of(menu)])


def next_day(dock: QuacDock, make_viewer: Any) -> QuacDock:
    """End a dock with its window, and open another one in another window."""
    dock.shut_down(window_closes=True)
    QApplication.processEvents()
    return open_dock(make_viewer())


def test_several_dropped_files_are_each_opened_as_what_they_are(
    dock: QuacDock, network: Path, folder: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "em.npy", np.zeros((4, 40, 40), np.uint8))
    (tmp_path / "points.csv").write_text("z,y,x\n2,20,20\n1,22,21\n")
    drop(dock, network, folder, tmp_path / "em.npy", tmp_path / "points.csv")
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_samples)
    settle(dock)
    assert dock.choices.classifier.path == network
    assert dock.choices.samples == ImageFolderRecipe(folder)
    assert "em" in [layer.name for layer in dock.viewer.layers]
    assert dock.points_panel.table is not None and dock.points_panel.table.name == "points"


def test_a_plan_is_opened_by_drop_and_from_the_menu(
    dock: QuacDock, network: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = BatchPlan(ImageFolderRecipe(folder), ClassifierRecipe(network), InfillRecipe())
    plan.write(tmp_path / "plan.yaml")
    drop(dock, tmp_path / "plan.yaml")
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_samples)
    assert dock.choices.generator == InfillRecipe()
    settle(dock)
    dock.choices.samples = None
    chosen = (str(tmp_path / "plan.yaml"), "")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: chosen)
    pick(dock.start.open_button, "Plan…")
    wait(lambda: dock.choices.samples is not None)
    settle(dock)
    assert any(text == "Plan: plan.yaml" for text in texts(dock.start.recent_button))


@pytest.mark.long
def test_the_next_day_begins_where_the_last_one_ended(
    make_napari_viewer: Any, network: Path, folder: Path
) -> None:
    dock = open_dock(make_napari_viewer())
    drop(dock, network, folder)
    wait(lambda: dock.results.order is not None and dock.results.predictions is not None)
    settle(dock)
    names = ("black", "white")
    dock.networks._name_classes(names)
    settle(dock)
    dock.choices.filter_text = "label:dark"
    dock.choices.sort_by, dock.choices.sort_ascending = "label", False
    dock.choices.sample_index = 6
    dock.stages.show_stage("explore")
    dock.methods.set_open(True)
    settle(dock)
    sample_id = dock.results.loaded_samples.sample_id(6)  # type: ignore[union-attr]
    dock = next_day(dock, make_napari_viewer)
    assert dock.choices.classifier is None and dock.stages.current == "setup"
    pick(dock.start.recent_button, "Continue with patches, net.pt")
    wait(lambda: dock.results.order is not None and dock.results.loaded_classifier is not None)
    settle(dock)
    choices = dock.choices
    assert dock.results.loaded_classifier.class_names == names  # type: ignore[union-attr]
    assert (choices.filter_text, choices.sort_by, choices.sort_ascending) == (
        "label:dark", "label", False,
    )  # fmt: skip
    assert dock.results.loaded_samples.sample_id(choices.sample_index) == sample_id  # type: ignore[union-attr, arg-type]
    assert dock.stages.current == "explore" and dock.methods.is_open
    dock.shut_down()
    QApplication.processEvents()


@pytest.mark.long
def test_threshold_and_method_return_with_the_explanation(
    make_napari_viewer: Any, network: Path, folder: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    arguments = ["explain", "--classifier", str(network), "--samples", str(folder), "--methods",
                 "residual,random", "--out", str(store), "--device", "cpu"]  # fmt: skip
    assert main(arguments) == 0
    dock = open_dock(make_napari_viewer())
    drop(dock, store)
    wait(lambda: dock.results.displayed_hybrid is not None and dock.choices.sample_index == 0)
    settle(dock)
    dock.choices.sample_index = 3
    settle(dock)
    dock.choices.shown_method = "residual"
    settle(dock)
    thresholds = dock.results.displayed_hybrid.explanation.curve.thresholds  # type: ignore[union-attr]
    dock.choices.threshold = float(thresholds[len(thresholds) // 3])
    settle(dock)
    index = dock.results.displayed_hybrid.index  # type: ignore[union-attr]
    dock = next_day(dock, make_napari_viewer)
    drop(dock, store)
    wait(lambda: dock.choices.sample_index == 3 and dock.choices.shown_method == "residual")
    settle(dock)
    assert dock.results.displayed_hybrid.index == index  # type: ignore[union-attr]
    dock.shut_down()
    QApplication.processEvents()


@pytest.mark.parametrize("methods", [("residual", "d-ig"), ("random",)])
def test_a_restored_session_displays_one_of_its_methods(
    dock: QuacDock, network: Path, methods: tuple[str, ...]
) -> None:
    dock.networks.open_path(network)
    wait(lambda: dock.choices.classifier is not None)
    settle(dock)
    dock.choices.use_settings(dock.choices.settings.with_methods(methods), methods[-1])
    state = SessionState.of(dock.choices, dock.results)
    dock.choices.use_settings(dock.choices.settings.with_methods(("occlusion",)))
    assert dock.methods.shown_menu.currentText() == dock.choices.shown_method == "occlusion"
    dock.opening.restore(state)
    wait(lambda: dock.choices.settings.methods == methods)
    assert dock.methods.shown_menu.currentText() == dock.choices.shown_method == methods[-1]
    dock.choices.use_settings(dock.choices.settings.with_methods(("occlusion",)))
    dock.opening.restore(replace(state, view=SampleView(shown_method="ig")))
    wait(lambda: dock.choices.settings.methods == methods)
    assert dock.methods.shown_menu.currentText() == dock.choices.shown_method == methods[0]


@pytest.mark.parametrize("place", ["recorded", "beside", "missing"])
def test_explanations_find_their_networks_or_ask_once(
    dock: QuacDock, network: Path, folder: Path, tmp_path: Path, place: str
) -> None:
    store = tmp_path / "results" / "store"
    arguments = ["explain", "--classifier", str(network), "--samples", str(folder), "--methods",
                 "residual", "--classes", "black,white", "--out", str(store)]  # fmt: skip
    main(arguments)
    if place == "beside":
        network.rename(tmp_path / "results" / "renamed.pt")
    elif place == "missing":
        network.rename(tmp_path / "networks" / "far.pt")
    dock.open_path(store)
    wait(lambda: dock.results.report is not None)
    settle(dock)
    assert dock.choices.generator == InfillRecipe()
    card = dock.networks.cards["classifier"]
    if place == "missing":
        assert dock.choices.classifier is None
        assert "'net.pt', which was not found" in card.text.text()
        assert card.yes_button.text() == "Choose file…"
        QTest.mouseClick(card.no_button, LEFT)
        dock.open_path(store)
        settle(dock)
        assert card.isHidden()
    else:
        assert dock.results.loaded_classifier.class_names == ("black", "white")  # type: ignore[union-attr]
        assert dock.results.explanations is not None


def test_examples_stay_reachable_after_the_first_explanation(dock: QuacDock) -> None:
    load(dock)
    explain(dock)
    assert dock.start.isHidden()
    for stage in ("setup", "explore", "study"):
        dock.stages.show_stage(stage)
        assert "Example in a volume" in texts(dock.stages.open_button)
    in_menu(
        dock.stages.open_button,
        lambda menu: QTimer.singleShot(
            0, next(a for a in actions_of(menu) if a.objectName() == "open_example").trigger
        ),
    )
    wait(
        lambda: (
            dock.results.loaded_samples is not None and "PSD" in dock.results.loaded_samples.classes
        )
    )


def test_settings_that_cannot_be_written_are_said_once(dock: QuacDock) -> None:
    load(dock)
    file = Path(dock.settings.fileName())
    file.unlink(missing_ok=True)
    file.mkdir(parents=True)  # which no program can write as a file, not even as root
    try:
        dock.opening.save()
        failure = dock.status.failure
        assert failure is not None and f"'{file}' cannot be written" in failure.sentence
        dock.status.forget_failure()
        dock.opening.save()
        assert dock.status.failure is None
        explain(dock)
        assert dock.results.displayed_hybrid is not None
    finally:
        file.rmdir()
    dock.opening.save()
    assert file.is_file()
