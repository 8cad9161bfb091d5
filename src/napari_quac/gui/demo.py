"""Automatic demo with the example, for ``napari-quac demo`` and for screenshots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QEventLoop, QObject, QTimer

from napari_quac.errors import QuacError
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.widgets import connect
from napari_quac.live.failure import Failure

TIMEOUT_SECONDS = 300
DOCK_NAME = "QuAC"


@slots
class _Demo(QObject):
    """Runs the steps of the demo one after the other."""

    def __init__(self, dock: QuacDock, side_by_side: bool) -> None:
        super().__init__(dock)
        self._dock = dock
        self._side_by_side = side_by_side
        self._stage = "load"
        self._sample_id = ""
        connect(
            self._on_prediction,
            dock.results.events.prediction,
            dock.results.events.loaded_generator,
        )
        dock.explained.connect(self._on_explained)
        dock.try_example()

    def _on_prediction(self) -> None:
        results = self._dock.results
        prediction = results.prediction
        if prediction is None or results.loaded_generator is None:
            return
        if self._stage == "load":
            self._stage = "choose"
            self._choose()
        elif self._stage == "select" and prediction.sample.id == self._sample_id:
            self._stage = "explain"
            QTimer.singleShot(0, self._explain)

    def _choose(self) -> None:
        classifier = self._dock.results.loaded_classifier

        def find() -> int:
            from napari_quac.example import load_example

            mistakes = load_example().mispredicted(classifier)  # type: ignore[arg-type]
            return mistakes[0] if mistakes else 0

        self._dock.controller.run(
            "demo", "searching for a misprediction", find, self._select,
            inputs=("loaded_samples", "loaded_classifier"),
        )  # fmt: skip

    @slot
    def _select(self, index: int) -> None:
        dataset, choices = self._dock.results.loaded_samples, self._dock.choices
        if dataset is None:
            return
        self._stage = "select"
        self._sample_id = dataset.sample_id(index)
        if choices.sample_index == index:
            self._on_prediction()
        else:
            choices.sample_index = index

    @slot
    def _explain(self) -> None:
        if not self._dock.is_closed:
            self._dock.explain()

    def _on_explained(self) -> None:
        if self._stage == "explain":
            self._stage = "done"
            if self._side_by_side:
                self._dock.comparison.set_side_by_side(True)


def open_demo(viewer: Any, side_by_side: bool = True) -> QuacDock:
    """Open the dock, load the example and explain a misprediction; return immediately.

    Parameters
    ----------
    viewer : napari viewer
        Gets the dock.
    side_by_side : bool
        Show each image in its own panel at the end.

    Returns
    -------
    dock : QuacDock
        Emits ``explained`` at the end.
    """
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name=DOCK_NAME, area="right", add_vertical_stretch=False)
    dock.setProperty("demo", _Demo(dock, side_by_side))
    return dock


def screenshot_demo(path: str | Path, theme: str = "dark", side_by_side: bool = True) -> Path:
    """Run the demo, write a screenshot of the whole window, and close it.

    Parameters
    ----------
    path : path
        A png file.
    theme : str
        Theme of napari.
    side_by_side : bool
        See :func:`open_demo`.

    Raises
    ------
    QuacError
        If a step failed or took too long.
    """
    import napari

    viewer = napari.Viewer()
    viewer.theme = theme
    viewer.window.resize(1366, 768)
    loop = QEventLoop()
    failures: list[Failure] = []
    dock = open_demo(viewer, side_by_side)
    dock.explained.connect(slot(lambda: QTimer.singleShot(1500, loop.quit)))

    def on_failed(fault: Failure) -> None:
        failures.append(fault)
        loop.quit()

    dock.controller.failed.connect(on_failed)
    timeout = QTimer()
    timeout.setSingleShot(True)
    timeout.timeout.connect(loop.quit)
    timeout.start(1000 * TIMEOUT_SECONDS)
    loop.exec()
    in_time = timeout.isActive()
    timeout.stop()
    try:
        if failures:
            raise QuacError(failures[0].sentence) from failures[0].error
        if not in_time:
            raise QuacError(
                f"The demo did not end within {TIMEOUT_SECONDS} s. Last status: "
                f"{dock.status.line.text()}"
            )
        path = Path(path)
        viewer.reset_view()
        viewer.window.screenshot(str(path), canvas_only=False, flash=False)
    finally:
        viewer.close()
    return path
