"""Each kind of work of the window, as a user starts it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
import torch
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QApplication, QDialogButtonBox, QFileDialog, QLineEdit

from napari_quac.data.synthetic import SyntheticSynapses
from napari_quac.example.example import draw_example_volume
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.samples.samples_dock import SamplesDock
from napari_quac.testing import corner_classifier

N_IMAGES, N_ROWS = 60, 300_000


def draw_files(folder: Path) -> None:
    """Write samples in class folders, a volume, a long table of points and a program."""
    dataset = SyntheticSynapses(12, seed=5)
    pixels = [(dataset[index].image[0].numpy() * 255).astype(np.uint8) for index in range(12)]
    for number in range(N_IMAGES):
        label = dataset[number % 12].label
        assert label is not None
        place = folder / "images" / dataset.classes[label]
        place.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(place / f"{number:03d}.tif", pixels[number % 12])
    tifffile.imwrite(folder / "volume.tif", np.stack(pixels * 8))
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(0, 96, (N_ROWS, 3)), columns=["z", "y", "x"])
    table.to_csv(folder / "points.csv", index=False)
    network = torch.jit.trace(corner_classifier().module.eval(), torch.zeros(1, 1, 32, 32))
    network.save(str(folder / "program.pt"))


class Desk:
    """A viewer with a dock, and the files in a folder."""

    n_explained = N_IMAGES
    """Number of samples that *Explain these* explains."""

    def __init__(self, viewer: Any, folder: Path) -> None:
        self.viewer, self.folder = viewer, folder
        self.dock = self.open_dock()

    def open_dock(self) -> QuacDock:
        """Open a dock in the viewer, in place of one that was closed."""
        self.dock = QuacDock(self.viewer)
        self.viewer.window.add_dock_widget(
            self.dock, name="QuAC", area="right", add_vertical_stretch=False
        )
        return self.dock

    @property
    def is_idle(self) -> bool:
        """True while nothing runs and all layers are drawn."""
        dock = self.dock
        is_busy = dock.controller.running or dock.training.is_running
        return not is_busy and not dock.layers.has_pending_update

    def wait(self, condition: Callable[[], Any], text: str, seconds: float = 120) -> None:
        """Let the event loop run until a condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            QApplication.processEvents()
            # without a running event loop, nothing else deletes what waits for its deletion
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            time.sleep(0.002)
            if time.monotonic() > end:
                running = [*self.dock.controller.running]
                status = self.dock.status.line.text()
                raise TimeoutError(f"waited for {text}; running: {running}; status: {status}")

    def rest(self, seconds: float) -> None:
        """Let the event loop run."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end, "time")

    def use_example(self) -> None:
        """Open the example, and wait for its prediction."""
        results = self.dock.results
        if results.prediction is None or results.loaded_generator is None:
            self.dock.try_example()
        self.wait(lambda: results.prediction and results.loaded_generator, "the example")
        self.wait(lambda: self.is_idle, "rest")

    def use_explained(self) -> None:
        """Explain a sample of the example by two quick methods, unless one is explained."""
        self.use_example()
        self.dock.choices.update_settings(methods=("residual", "d-ingrad"), max_tries=20)
        if self.dock.results.displayed_hybrid is None:
            self.dock.search.explain_button.click()
        self.wait(lambda: self.dock.results.displayed_hybrid, "an explanation")
        self.wait(lambda: self.is_idle, "rest")

    def use_images(self) -> None:
        """Use the folder of images with the networks of the example."""
        self.use_example()
        self.dock.session.open_samples(self.folder / "images")
        self.wait(lambda: self.dock.results.loaded_samples is not None
                  and len(self.dock.results.loaded_samples) == N_IMAGES
                  and self.dock.results.prediction, "the images")  # fmt: skip
        self.wait(lambda: self.is_idle, "rest")

    def answer_dialog(self, path: Path) -> None:
        """Choose a path in the next file dialog, as soon as it is open."""

        def answer() -> None:
            dialog = QApplication.activeModalWidget()
            if isinstance(dialog, QFileDialog):
                dialog.findChild(QLineEdit, "fileNameEdit").setText(str(path))
                buttons = dialog.findChild(QDialogButtonBox)
                accept = buttons.ButtonRole.AcceptRole
                next(b for b in buttons.buttons() if buttons.buttonRole(b) == accept).click()
            elif time.monotonic() < end:
                QTimer.singleShot(20, answer)

        end = time.monotonic() + 30
        QTimer.singleShot(20, answer)


def nothing(desk: Desk) -> None:
    """Prepare nothing."""


def cleared(desk: Desk) -> None:
    """Choose nothing."""
    choices = desk.dock.choices
    choices.classifier = choices.generator = choices.samples = choices.report_source = None
    desk.wait(lambda: desk.is_idle, "rest")


@dataclass(frozen=True)
class Work:
    """A kind of work.

    Attributes
    ----------
    start : callable
        What the user does.
    prepare : callable
        What has to be there before.
    seconds : float
        Usual duration.
    has_result : callable
        True if the result of the work is there as a whole.
    """

    start: Callable[[Desk], None]
    prepare: Callable[[Desk], None] = nothing
    seconds: float = 1.0
    has_result: Callable[[Desk], Any] = lambda desk: False


def explain(desk: Desk) -> None:
    desk.dock.search.explain_button.click()


def explain_by(*methods: str) -> Callable[[Desk], None]:
    """Return work that explains the sample by methods."""

    def start(desk: Desk) -> None:
        desk.dock.choices.update_settings(methods=methods, max_tries=100)
        explain(desk)

    return start


def without_generator(desk: Desk) -> None:
    desk.use_example()
    desk.dock.choices.generator = None
    desk.wait(lambda: desk.is_idle and desk.dock.without_generator.isEnabled(), "rest")


def is_explained(desk: Desk) -> bool:
    """Return True if all methods have explained the sample."""
    explanations = desk.dock.results.explanations
    return explanations is not None and explanations.is_complete and not explanations.failures


def all_explained(desk: Desk) -> bool:
    """Return True if each sample has been explained."""
    many = desk.dock.all_samples.many
    return many.state == "done" and not many.summary.n_failed


def all_predicted(desk: Desk) -> bool:
    """Return True if each sample has been predicted."""
    table = desk.dock.results.predictions
    return table is not None and table.is_complete and not table.failures


def has(name: str) -> Callable[[Desk], bool]:
    """Return a check for one of the results."""
    return lambda desk: getattr(desk.dock.results, name) is not None


def unexplained(desk: Desk) -> None:
    """Choose a sample of the example that has no explanation yet."""
    desk.use_example()
    choices = desk.dock.choices
    choices.sample_index = (choices.sample_index or 0) + 1
    desk.wait(lambda: desk.dock.results.prediction is not None and desk.is_idle, "a prediction")


def unused(folder: Path, name: str, suffix: str = "") -> Path:
    """Return a path that does not exist."""
    return next(p for n in range(10**6) if not (p := folder / f"{name}{n}{suffix}").exists())


def explain_many(desk: Desk) -> None:
    table: SamplesDock = desk.dock.all_samples
    desk.dock.bottom_docks.raise_samples()
    if table.many_card.isHidden():
        table.many_button.click()
    table.many_card.folder.setText(str(unused(desk.folder, "explained")))
    table.many_card.start_button.click()


def quick_methods(desk: Desk) -> None:
    desk.use_images()
    desk.dock.choices.filter_text = f"number <= {desk.n_explained}"
    desk.dock.choices.update_settings(methods=("residual", "random"), max_tries=10)
    desk.rest(0.1)


def unpredicted(desk: Desk) -> None:
    """Use the folder of images without predicting all of them."""
    desk.dock.choices.predict_up_to = 0
    desk.dock.choices.samples = None
    desk.use_images()


def train(family: str) -> Callable[[Desk], None]:
    """Return work that trains a generator of a family."""

    def start(desk: Desk) -> None:
        panel = desk.dock.train
        panel.set_open(True)
        panel.settings.folder.edit.setText(str(unused(desk.folder, "trained")))
        menu = panel.settings.family_menu
        menu.setCurrentIndex(menu.findData(family))
        panel.train_button.click()

    return start


def exaggerate(desk: Desk) -> None:
    desk.dock.exaggeration.start_button.click()


def exaggerated(desk: Desk) -> None:
    desk.use_explained()
    if desk.dock.results.exaggeration is None:
        exaggerate(desk)
    desk.wait(lambda: desk.dock.results.exaggeration, "the path")


def save_path(desk: Desk) -> None:
    """Write path, change and ladder as stacks and animation."""
    folder = unused(desk.folder, "path")
    folder.mkdir()
    desk.answer_dialog(folder)
    desk.dock.exaggeration.save_button.click()


def export_regions(desk: Desk) -> None:
    desk.answer_dialog(unused(desk.folder, "regions", ".csv"))
    desk.dock.regions.export_button.click()


def with_regions(desk: Desk) -> None:
    desk.use_explained()
    open_regions(desk)
    desk.wait(lambda: desk.dock.results.regions, "the regions")


def open_regions(desk: Desk) -> None:
    desk.dock.stages.show_stage("explore")
    desk.dock.regions.set_open(True)
    desk.dock.morphometry.set_open(True)


def save_plan(desk: Desk) -> None:
    desk.dock.all_samples.many_card.open()
    desk.answer_dialog(unused(desk.folder, "plan", ".yaml"))
    desk.dock.all_samples.many_card._save_plan()


def use_dask_layer(desk: Desk) -> None:
    """Use a layer that dask computes in its own threads."""
    import dask.array as da

    name = f"computed {len(desk.viewer.layers)}"
    stack = da.random.default_rng(0).random((400, 128, 128), chunks=(20, 64, 64))
    desk.viewer.add_image(stack, name=name, contrast_limits=(0, 1))
    desk.dock.samples.layer_menu.choose(name)
    desk.dock.samples.use_layer_button.click()


def use_volume(desk: Desk) -> None:
    desk.dock.points_panel.open_volume(desk.folder / "volume.tif")
    desk.dock.points_panel.open_table(desk.folder / "points.csv")


def side_by_side(desk: Desk) -> None:
    desk.dock.threshold.side_by_side_button.click()
    slider = desk.dock.exaggeration.slider
    for step in range(slider.minimum(), slider.maximum()):
        QTimer.singleShot(20 * step, partial(set_value, slider, step))


def set_value(slider: Any, value: int) -> None:
    """Move a slider, unless it is gone."""
    with suppress(RuntimeError):
        slider.setValue(value)


def blink(desk: Desk) -> None:
    """Hold the key that shows the query in place of the hybrid."""
    desk.dock.comparison.blink(True)


def open_menu(desk: Desk) -> None:
    desk.dock.opening.show_menu(desk.dock.stages.open_button)


def draw_sample_data(desk: Desk) -> None:
    """Draw as napari's menu of sample data does: in a thread, with an event loop of its own."""
    from napari_quac.errors import CancelledError
    from napari_quac.gui.sample_data import run_with_event_loop

    try:
        run_with_event_loop(draw_example_volume())
    except CancelledError:
        desk.folder.joinpath("canceled").touch()


def ask_to_close(desk: Desk) -> None:
    explain(desk)
    desk.dock.close_guard.ask(lambda: None, window_closes=True)


def many_folder(desk: Desk) -> None:
    """Have a folder of explanations."""
    if not (desk.folder / "kept" / "store.json").exists():
        quick_methods(desk)
        explain_many(desk)
        work = desk.dock.all_samples.many
        desk.wait(lambda: work.n_done >= 2, "two explanations")
        work.cancel()
        desk.wait(lambda: desk.is_idle, "rest")
        work._folder.rename(desk.folder / "kept")  # type: ignore[union-attr]


WORKS: dict[str, Work] = {
    "open the example": Work(lambda desk: desk.dock.try_example(), cleared, 1, has("agreement")),
    "open the example volume": Work(
        lambda desk: desk.dock.try_example_volume(), cleared, 2, has("agreement")
    ),
    "search and explain": Work(explain, unexplained, 1.5, is_explained),
    "explain by all gradients": Work(
        explain_by("d-ig", "ig", "d-gc", "smoothgrad", "lrp", "occlusion"),
        unexplained,
        4,
        is_explained,
    ),
    "explain by FIDO": Work(explain_by("fido", "bbmp"), unexplained, 4, is_explained),
    "explain without a generator": Work(
        lambda desk: desk.dock.without_generator.explain_button.click(),
        without_generator,
        2,
        is_explained,
    ),
    "explain many": Work(explain_many, quick_methods, 4, all_explained),
    "predict all": Work(
        lambda desk: desk.dock.all_samples.predict_all(), unpredicted, 0.5, all_predicted
    ),
    "compare with labels": Work(
        lambda desk: desk.dock.agreement.check_button.click(), Desk.use_images, 2, has("agreement")
    ),
    "compare methods": Work(
        lambda desk: desk.dock.compare_methods(), Desk.use_explained, 5, has("comparison")
    ),
    "compare methods on samples": Work(
        lambda desk: desk.dock.compare_methods(4), Desk.use_explained, 5, has("comparison")
    ),
    "train a StarGAN": Work(train("stargan"), Desk.use_images, 5),
    "train a simulator": Work(train("warp"), Desk.use_images, 5),
    "read a folder of samples": Work(
        lambda desk: desk.dock.session.open_samples(desk.folder / "images"), cleared, 0.6
    ),
    "read a volume and a table": Work(use_volume, seconds=2),
    "use a layer of dask": Work(use_dask_layer, Desk.use_example, 2),
    "exaggerate": Work(exaggerate, Desk.use_explained, 1, has("exaggeration")),
    "write path and animation": Work(save_path, exaggerated, 1.5),
    "measure regions": Work(open_regions, Desk.use_explained, 1.5, has("regions")),
    "export regions": Work(export_regions, with_regions, 0.7),
    "save a plan": Work(save_plan, Desk.use_images, 0.7),
    "slide side by side": Work(side_by_side, exaggerated, 1),
    "blink": Work(blink, Desk.use_explained, 0.5),
    "question of consent": Work(
        lambda desk: desk.dock.open_path(desk.folder / "program.pt"), seconds=0.7
    ),
    "dialog for files": Work(lambda desk: desk.dock.opening.choose_plan(), seconds=0.5),
    "menu Open": Work(open_menu, Desk.use_example, 0.4),
    "table of keys": Work(lambda desk: desk.dock.show_keys(), seconds=0.4),
    "question before closing": Work(ask_to_close, unexplained, 0.5),
    "open explanations": Work(
        lambda desk: desk.dock.session.open_explanations(desk.folder / "kept"), many_folder, 0.5
    ),
    "sample data": Work(draw_sample_data, seconds=1.5),
}
