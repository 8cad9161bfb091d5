"""The measuring window, by real clicks on the canvas of a real viewer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDockWidget, QWidget

from napari_quac.gui.measuring.measuring_dock import MeasuringDock
from napari_quac.gui.measuring.window import open_measuring
from napari_quac.gui.rater_process import RaterProcess
from napari_quac.study.answers import read_answers
from napari_quac.study.features import Feature
from napari_quac.study.measuring_session import MeasuringSession
from napari_quac.study.states import read_changes, running_raters
from study.studies_for_tests import ANN, CLASSES, sealed_study, write_store

LEFT = Qt.MouseButton.LeftButton
PIXEL = 4.0
FEATURES = (
    Feature("vesicles", "Every round vesicle.", quantity="count"),
    Feature("cleft length", "From end to end.", quantity="length"),
    Feature("profile area", quantity="area"),
)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "explanations"
    write_store(folder, n=24, size=64)
    return folder


@pytest.fixture
def folder(tmp_path: Path, images: Path) -> Path:
    sealed = sealed_study(
        tmp_path, images, kind="measure", paired=False, features=FEATURES, raters=(ANN,),
        primary=("vesicles",), pixel_size=(PIXEL,), n_per_stratum=2,
    )  # fmt: skip
    return sealed.study.folder


@pytest.fixture
def dock(make_napari_viewer: Any, folder: Path) -> Iterator[MeasuringDock]:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    made = open_measuring(viewer, MeasuringSession(folder, "Ann"))
    made.window().activateWindow()
    settle()
    yield made
    made.close_dock()


def settle(seconds: float = 0.15) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()


def canvas(dock: MeasuringDock) -> Any:
    """Return the widget that napari draws in."""
    from vispy.app.backends._qt import CanvasBackendDesktop

    return next(w for w in dock.window().centralWidget().findChildren(CanvasBackendDesktop))


def place(dock: MeasuringDock, y: float, x: float) -> QPoint:
    """Return the position on the canvas of a pixel of the image."""
    height, width = dock.viewer.canvas.size
    camera = dock.viewer.scene.camera
    down = height / 2 + (y * PIXEL - camera.center[-2]) * camera.zoom
    across = width / 2 + (x * PIXEL - camera.center[-1]) * camera.zoom
    return QPoint(round(across), round(down))


def press(dock: MeasuringDock, *pixels: tuple[float, float]) -> None:
    """Press at the first pixel, drag over the others, release at the last one."""
    native = canvas(dock)
    points = [place(dock, *pixel) for pixel in pixels]
    kinds = QEvent.Type
    steps = [(kinds.MouseMove, points[0], Qt.MouseButton.NoButton),
             (kinds.MouseButtonPress, points[0], LEFT)]  # fmt: skip
    steps += [(kinds.MouseMove, point, LEFT) for point in points[1:]]
    steps += [(kinds.MouseButtonRelease, points[-1], Qt.MouseButton.NoButton)]
    for kind, point, buttons in steps:
        at = QPointF(point)
        pressed = LEFT if kind != kinds.MouseMove else Qt.MouseButton.NoButton
        glob = QPointF(native.mapToGlobal(point))
        event = QMouseEvent(kind, at, glob, pressed, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(native, event)
        settle(0.02)


def click_button(dock: MeasuringDock, name: str) -> None:
    widget = dock.findChild(QWidget, name)
    assert widget is not None and widget.isVisible() and widget.isEnabled(), name
    QTest.mouseClick(widget, LEFT)
    settle()


def lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "raters" / "Ann.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_points_lines_and_areas_are_measured_in_nm(dock: MeasuringDock, folder: Path) -> None:
    for pixel in ((10, 10), (20, 40), (50, 30)):
        press(dock, pixel)
    assert dock.measurement.text() == "Count: 3"
    click_button(dock, "measuring_save")
    assert dock.feature.text().startswith("cleft length")
    press(dock, (10, 10), (10, 25), (10, 40))
    assert dock.measurement.text().startswith("Length: 1")
    click_button(dock, "measuring_save")
    corners = ((20, 20), (20, 40), (40, 40), (40, 20))
    for corner in corners:
        press(dock, corner)
    picture(dock, "measuring_area")
    click_button(dock, "measuring_save")
    saved = lines(folder)
    assert saved[0]["answer"] == 3
    assert saved[1]["answer"] == pytest.approx(30 * PIXEL, rel=0.03)
    assert saved[2]["answer"] == pytest.approx((20 * PIXEL) ** 2, rel=0.06)
    assert saved[1]["view"]["unit"] == "nm" and saved[2]["view"]["unit"] == "nm²"
    vertices = np.asarray(saved[1]["view"]["marks"][0]["vertices"])
    np.testing.assert_allclose(vertices, [[10, 10], [10, 40]], atol=0.6)
    assert dock.session.position == 1 and dock.feature.text().startswith("vesicles")
    assert len(dock.viewer.layers["points"].data) == 0


def test_window_shows_one_image_without_anything_about_it(dock: MeasuringDock) -> None:
    viewer, window = dock.viewer, dock.window()
    assert [layer.name for layer in viewer.layers] == [
        "image",
        "labels",
        "areas",
        "lines",
        "points",
    ]
    image = viewer.layers["image"]
    assert image.metadata == {} and image.source.path is None
    assert tuple(image.contrast_limits) == dock.session.study.require_seal().limits
    assert window.windowTitle().startswith("Measuring: Ann")
    shown = [d for d in window.findChildren(QDockWidget) if d.isVisible()]
    assert len(shown) == 1 and shown[0].isAncestorOf(dock)
    texts = [w.text() for w in window.findChildren(QWidget) if hasattr(w, "text") and w.isVisible()
             and callable(w.text)]  # fmt: skip
    told = " ".join(map(str, texts)) + window.windowTitle() + repr(viewer.layers)
    assert not any(name in told for name in (*CLASSES, "neuron", "syn"))


def picture(dock: MeasuringDock, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        settle(1)
        dock.window().grab().save(f"{folder}/{name}.png")


def test_undo_removes_a_mark_and_then_returns_to_the_last_measurement(
    dock: MeasuringDock, folder: Path
) -> None:
    press(dock, (10, 10))
    press(dock, (20, 20))
    click_button(dock, "measuring_undo")
    assert dock.measurement.text() == "Count: 1"
    click_button(dock, "measuring_save")
    click_button(dock, "measuring_undo")
    assert dock.feature.text().startswith("vesicles") and dock.measurement.text() == "Count: 1"
    press(dock, (40, 40))
    click_button(dock, "measuring_save")
    assert [line["answer"] for line in lines(folder)] == [1, None, 2]
    standing = read_answers(folder / "raters" / "Ann.jsonl").standing()
    assert [answer.answer for answer in standing.values()] == [2]


def test_length_without_a_line_is_not_saved_but_cannot_tell_is(
    dock: MeasuringDock, folder: Path
) -> None:
    click_button(dock, "measuring_save")
    click_button(dock, "measuring_save")
    assert "No mark measures 'cleft length'" in dock.note.text()
    assert [line["answer"] for line in lines(folder)] == [0]
    click_button(dock, "measuring_cannot_tell")
    assert lines(folder)[-1]["answer"] == "cannot tell"
    assert dock.feature.text().startswith("profile area")


def test_painted_labels_are_measured_and_return(dock: MeasuringDock, folder: Path) -> None:
    click_button(dock, "measuring_save")
    click_button(dock, "measuring_cannot_tell")
    click_button(dock, "measuring_tool_labels")
    press(dock, (30, 30), (30, 40), (30, 45))
    painted = np.asarray(dock.viewer.layers["labels"].data)
    assert painted.max() == 1
    picture(dock, "measuring_labels")
    click_button(dock, "measuring_save")
    area = lines(folder)[-1]["answer"]
    assert area == pytest.approx(painted.sum() * PIXEL**2)
    click_button(dock, "measuring_undo")
    np.testing.assert_array_equal(dock.viewer.layers["labels"].data, painted)


def test_pause_hides_the_image_and_refuses_measurements(dock: MeasuringDock, folder: Path) -> None:
    click_button(dock, "measuring_pause")
    assert not dock.viewer.layers["image"].visible and not dock.save_button.isVisible()
    QTest.keyClick(canvas(dock), Qt.Key.Key_N)
    assert lines(folder) == []
    click_button(dock, "measuring_pause")
    assert dock.viewer.layers["image"].visible
    canvas(dock).setFocus()
    settle()
    QTest.keyClick(canvas(dock), Qt.Key.Key_N)
    settle()
    assert lines(folder)[-1]["answer"] == 0 and lines(folder)[-1]["paused"]


@pytest.mark.long
def test_session_killed_in_the_middle_resumes_at_the_first_open_image(
    folder: Path, make_napari_viewer: Any
) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from napari_quac.study.measure import Mark\n"
        "from napari_quac.study.measuring_session import Marking, MeasuringSession\n"
        "session = MeasuringSession(Path(sys.argv[1]), 'Ann')\n"
        "points = Marking((Mark('points', np.array([[1.0, 2.0], [3.0, 4.0]])),))\n"
        "line = Marking((Mark('path', np.array([[0.0, 0.0], [3.0, 4.0]])),))\n"
        "box = [[0.0, 0.0], [0.0, 5.0], [5.0, 5.0], [5.0, 0.0]]\n"
        "area = Marking((Mark('polygon', np.array(box)),))\n"
        "while True:\n"
        "    marks = {'count': points, 'length': line, 'area': area}[session.quantity]\n"
        "    print(session.save(marks).amount, flush=True)\n"
        "    if len(sys.argv) > 2: sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder), "slow"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    seen = []
    for _ in range(4):
        seen.append(float(process.stdout.readline()))
        process.stdin.write("\n")
        process.stdin.flush()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    saved = [line["answer"] for line in lines(folder)]
    assert seen == [2, 20, 400, 2] and saved[:4] == seen
    viewer = make_napari_viewer()
    resumed = open_measuring(viewer, MeasuringSession(folder, "Ann"))
    assert resumed.session.position == len(saved) // 3
    assert resumed.session.feature_number == len(saved) % 3
    resumed.close_dock()


@pytest.mark.long
def test_process_of_the_window_loads_neither_key_nor_networks(folder: Path) -> None:
    script = (
        "import sys\n"
        "import napari_quac.gui.measuring.window\n"
        "loaded = [name for name in sys.modules if name in ('torch', 'napari_quac.study.key') "
        "or name.startswith(('napari_quac.networks', 'napari_quac.live.'))]\n"
        "print(loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.long
def test_command_opens_the_window_and_a_signal_pauses_the_session(
    folder: Path, qapp: QApplication
) -> None:
    process = RaterProcess()
    process.start(folder, "Ann", "light")
    end = time.monotonic() + 120
    while running_raters(read_changes(folder)) != ("Ann",) and time.monotonic() < end:
        assert not process.take_error()
        time.sleep(0.1)
    time.sleep(2)  # a moment in which the window is up
    os.kill(process.pid, signal.SIGTERM)
    end = time.monotonic() + 60
    while running_raters(read_changes(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    assert read_changes(folder)[-1].state == "paused"
    process.close()


@pytest.mark.long
def test_error_of_the_process_of_a_rater_is_told_once(folder: Path, qapp: QApplication) -> None:
    process = RaterProcess()
    process.start(folder, "Eve", "dark")
    end, error = time.monotonic() + 60, ""
    while not error and time.monotonic() < end:
        error = process.take_error()
        time.sleep(0.1)
    assert error.startswith("'Eve' is not a rater of this study") and not process.take_error()
    process.close()
