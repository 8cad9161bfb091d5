"""Each kind of work of the window, as a user starts it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
import torch
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QApplication, QDialogButtonBox, QFileDialog, QLineEdit, QPushButton

from napari_quac.data.synthetic import SyntheticSynapses
from napari_quac.example.example import draw_example_volume
from napari_quac.explain.methods import METHODS
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.samples.samples_dock import SamplesDock
from napari_quac.testing import corner_classifier

N_IMAGES, N_ROWS = 60, 300_000
FEW = {"n_steps": 10, "n_samples": 2, "n_superpixels": 5}
"""Parameters of methods in a hurry."""
NOTED = (
    "loaded_samples", "loaded_classifier", "prediction", "agreement", "predictions", "comparison",
    "exaggeration", "regions", "report",
)  # fmt: skip
"""Results that may be there before some work."""


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


def parameters_of(method: type[Any]) -> set[str]:
    """Return the names of the parameters of a method."""
    return {field.name for field in fields(method)}


class Desk:
    """A viewer with a dock, and the files in a folder."""

    n_explained = N_IMAGES
    """Number of samples that *Explain these* explains."""
    is_hasty = False
    """True for methods of few steps."""

    def __init__(self, viewer: Any, folder: Path) -> None:
        self.viewer, self.folder = viewer, folder
        self.earlier: dict[str, Any] = {}
        self._ask_until = 0.0
        self._networks: tuple[Any, Any] = None, None
        self.dock = self.open_dock()

    def open_dock(self) -> QuacDock:
        """Open a dock in the viewer, in place of one that was closed."""
        self.dock = QuacDock(self.viewer)
        self.viewer.window.add_dock_widget(
            self.dock, name="QuAC", area="right", add_vertical_stretch=False
        )
        return self.dock

    def note_earlier(self) -> None:
        """Note results and files, to tell new ones from them."""
        results = self.dock.results
        self.earlier = {name: getattr(results, name, None) for name in NOTED}
        self.earlier["files"] = {
            path for path in self.folder.iterdir() if path.is_file() or any(path.iterdir())
        }
        self.earlier["layers"] = [*self.viewer.layers]

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
            time.sleep(0.005)
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
        results, choices = self.dock.results, self.dock.choices
        is_there = self._networks == (choices.classifier, choices.generator)
        if results.prediction is None or not is_there:
            self.dock.try_example()
        self.wait(lambda: results.prediction and results.loaded_generator, "the example")
        self.wait(lambda: self.is_idle, "rest")
        self._networks = choices.classifier, choices.generator

    def use_explained(self) -> None:
        """Explain a sample of the example by two quick methods, unless one is explained."""
        self.use_example()
        self.dock.choices.update_settings(methods=("residual", "d-ingrad"), max_tries=20)
        if self.dock.results.displayed_hybrid is None:
            self.dock.search.explain_button.click()
        self.wait(lambda: self.dock.results.displayed_hybrid, "an explanation")
        self.wait(lambda: self.is_idle, "rest")

    def use_methods(self, *names: str) -> None:
        """Choose methods."""
        choices = self.dock.choices
        choices.update_settings(methods=names, max_tries=100)
        if self.is_hasty:
            few = {name: parameters_of(METHODS[name]) & {*FEW} for name in names}
            parameters = {name: {key: FEW[key] for key in few[name]} for name in names}
            choices.update_settings(parameters=parameters)

    def use_images(self) -> None:
        """Use the folder of images with the networks of the example."""
        self.use_example()
        self.dock.session.open_samples(self.folder / "images")
        self.wait(lambda: self.dock.results.loaded_samples is not None
                  and len(self.dock.results.loaded_samples) == N_IMAGES
                  and self.dock.results.prediction, "the images")  # fmt: skip
        self.wait(lambda: self.is_idle, "rest")

    def click_when(self, name: str, condition: Callable[[], bool] = lambda: True) -> None:
        """Click a button of a question as soon as it is there, unless the work ends without it."""

        def click() -> None:
            buttons = [
                button
                for root in (self.dock, *QApplication.topLevelWidgets())
                for button in root.findChildren(QPushButton, name)
                if button.isVisible()
            ]
            if buttons and condition():
                buttons[0].click()
            elif time.monotonic() < self._ask_until:
                QTimer.singleShot(20, click)

        self._ask_until = time.monotonic() + 60
        QTimer.singleShot(20, click)

    def end_questions(self) -> None:
        """Close dialogs and menus that work has left, and click nothing more."""
        self._ask_until = 0.0
        self.rest(0.05)
        for widget in (QApplication.activePopupWidget(), QApplication.activeModalWidget()):
            if widget is not None:
                widget.close()

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
        True if the result of the work is there as a whole, and not that of earlier work.
    answer : callable
        How the user answers what the work asks; called before it starts.
    """

    start: Callable[[Desk], None]
    prepare: Callable[[Desk], None] = nothing
    seconds: float = 1.0
    has_result: Callable[[Desk], Any] = lambda desk: False
    answer: Callable[[Desk], None] = nothing


def explain(desk: Desk) -> None:
    desk.dock.search.explain_button.click()


def explain_by(*methods: str) -> Callable[[Desk], None]:
    """Return work that explains the sample by methods."""

    def start(desk: Desk) -> None:
        desk.use_methods(*methods)
        explain(desk)

    return start


def comparable(desk: Desk) -> None:
    """Have a pair, and methods in a hurry, if they are."""
    if not desk.is_hasty:
        desk.use_explained()
        return
    desk.use_example()
    if desk.dock.choices.settings.methods != tuple(METHODS) or not is_explained(desk):
        desk.use_methods(*METHODS)
        explain(desk)
        desk.wait(lambda: is_explained(desk), "all explanations")
    desk.wait(lambda: desk.is_idle, "rest")


def without_generator(desk: Desk) -> None:
    desk.use_example()
    desk.use_methods("fido")
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
    is_new = table is not None and table is not desk.earlier["predictions"]
    return is_new and table.is_complete and not table.failures


def has(*names: str) -> Callable[[Desk], bool]:
    """Return a check for new results without failures."""

    def check(desk: Desk) -> bool:
        results = [getattr(desk.dock.results, name) for name in names]
        earlier = [desk.earlier[name] for name in names]
        return all(
            result is not None and result is not before and not getattr(result, "failures", ())
            for result, before in zip(results, earlier, strict=True)
        )

    return check


def has_files(prefix: str) -> Callable[[Desk], bool]:
    """Return a check for a new file, or a folder with the files of the first one."""

    def names(path: Path) -> list[str]:
        return sorted(file.name for file in path.rglob("*"))

    def check(desk: Desk) -> bool:
        new = [path for path in desk.folder.glob(f"{prefix}*") if path not in desk.earlier["files"]]
        first = next(desk.folder.glob(f"{prefix}0*"), None)
        return len(new) == 1 and first is not None and names(new[0]) == names(first)

    return check


def has_layers(n: int) -> Callable[[Desk], bool]:
    """Return a check for a number of new layers."""
    return lambda desk: len({*desk.viewer.layers} - {*desk.earlier["layers"]}) >= n


def unexplained(desk: Desk) -> None:
    """Choose a sample of the example that has no explanation yet."""
    desk.use_example()
    choices = desk.dock.choices
    choices.sample_index = ((choices.sample_index or 0) + 1) % len(desk.dock.results.loaded_samples)
    if choices.sample_index == 0:  # all are explained: other settings need other explanations
        choices.update_settings(seed=choices.settings.seed + 1)
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


def with_empty_folder(desk: Desk) -> None:
    """Have a path, and an empty folder."""
    exaggerated(desk)
    if all(any(path.iterdir()) for path in desk.folder.glob("path*")):
        unused(desk.folder, "path").mkdir()


def save_path(desk: Desk) -> None:
    """Write path, change and ladder as stacks and animation, into an empty folder."""
    desk.answer_dialog(next(p for p in desk.folder.glob("path*") if not any(p.iterdir())))
    desk.dock.exaggeration.save_button.click()


def export_regions(desk: Desk) -> None:
    desk.answer_dialog(unused(desk.folder, "regions", ".csv"))
    desk.dock.regions.export_button.click()


def with_regions(desk: Desk) -> None:
    desk.use_explained()
    open_regions(desk)
    desk.wait(lambda: desk.dock.results.regions, "the regions")


def unmeasured(desk: Desk) -> None:
    """Explain a sample whose regions have not been measured."""
    desk.use_explained()
    desk.dock.regions.set_open(False)
    desk.dock.morphometry.set_open(False)
    unexplained(desk)
    explain(desk)
    desk.wait(lambda: is_explained(desk), "an explanation")
    desk.wait(lambda: desk.is_idle, "rest")


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


def without_layers(desk: Desk) -> None:
    """Remove the layers of earlier work."""
    cleared(desk)
    desk.viewer.layers.clear()
    desk.rest(0.1)


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


def with_plan(desk: Desk) -> None:
    """Have a file of a plan for the folder of images."""
    if not (desk.folder / "kept.yaml").exists():
        desk.use_images()
        save_plan(desk)
        desk.wait(lambda: [*desk.folder.glob("plan*.yaml")], "the plan")
        next(desk.folder.glob("plan*.yaml")).rename(desk.folder / "kept.yaml")
    cleared(desk)


def new_program(desk: Desk) -> None:
    """Draw a program that nobody has trusted yet, and use the example."""
    desk.use_example()
    network = torch.jit.trace(corner_classifier().module.eval(), torch.zeros(1, 1, 32, 32))
    extra = {"extra": str(time.time())}
    path = unused(desk.folder, "program", ".pt")
    torch.jit.save(network, str(path), _extra_files=extra)


def unsaved(desk: Desk) -> None:
    """Choose a folder for explanations, and a sample that has none."""
    desk.dock.all_samples.many_card.folder.setText(str(unused(desk.folder, "unsaved")))
    unexplained(desk)


def save_when_idle(desk: Desk) -> None:
    """Save explanations when all of them are there."""
    desk.click_when("close_save", lambda: desk.is_idle)


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
        lambda desk: desk.dock.compare_methods(), comparable, 5, has("comparison")
    ),
    "compare methods on samples": Work(
        lambda desk: desk.dock.compare_methods(2 if desk.is_hasty else 4),
        comparable,
        5,
        has("comparison"),
    ),
    "train a StarGAN": Work(train("stargan"), Desk.use_images, 5, has_files("trained")),
    "train a simulator": Work(train("warp"), Desk.use_images, 5, has_files("trained")),
    "read a folder of samples": Work(
        lambda desk: desk.dock.session.open_samples(desk.folder / "images"),
        cleared,
        0.6,
        has("loaded_samples"),
    ),
    "read a volume and a table": Work(use_volume, without_layers, 2, has_layers(2)),
    "use a layer of dask": Work(
        use_dask_layer, Desk.use_example, 2, has("loaded_samples", "prediction")
    ),
    "exaggerate": Work(exaggerate, Desk.use_explained, 1, has("exaggeration")),
    "write path and animation": Work(save_path, with_empty_folder, 1.5, has_files("path")),
    "measure regions": Work(open_regions, unmeasured, 1.5, has("regions")),
    "export regions": Work(export_regions, with_regions, 0.7, has_files("regions")),
    "save a plan": Work(save_plan, Desk.use_images, 0.7, has_files("plan")),
    "slide side by side": Work(side_by_side, exaggerated, 1),
    "blink": Work(blink, Desk.use_explained, 0.5),
    "question of consent": Work(
        lambda desk: desk.dock.open_path(
            max(desk.folder.glob("program*.pt"), key=lambda path: path.stat().st_mtime)
        ),
        new_program,
        0.7,
        has("loaded_classifier"),
        lambda desk: desk.click_when("classifier_card_yes"),
    ),
    "dialog for files": Work(
        lambda desk: desk.dock.opening.choose_plan(),
        with_plan,
        0.5,
        has("loaded_samples", "prediction"),
        lambda desk: desk.answer_dialog(desk.folder / "kept.yaml"),
    ),
    "menu Open": Work(open_menu, Desk.use_example, 0.4),
    "table of keys": Work(lambda desk: desk.dock.show_keys(), seconds=0.4),
    "question before closing": Work(
        ask_to_close, unsaved, 0.5, lambda desk: not desk.dock.session.cache.unsaved, save_when_idle
    ),
    "open explanations": Work(
        lambda desk: desk.dock.session.open_explanations(desk.folder / "kept"),
        many_folder,
        0.5,
        has("report"),
    ),
    "sample data": Work(draw_sample_data, seconds=1.5),
}
