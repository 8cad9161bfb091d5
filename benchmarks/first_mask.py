"""Measure the time from the generated image to the first mask and to the exact curves.

    python benchmarks/first_mask.py [--runs 7] [--threads 1] [--window]

The pair is the example's (128 px). Runs with and without a preliminary explanation alternate, so
that their ratio is fair on a busy machine; medians and minima are printed, and processor time of
the computing thread beside the wall time. With ``--window`` (needs a display, or Xvfb) the same is
measured in the dock, until the mask is set, without drawing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import wraps

os.environ.setdefault("NAPARI_CONFIG", "")

import torch

from napari_quac.example.example import load_example
from napari_quac.explain.explanation import Explanations
from napari_quac.explain.pair import Pair
from napari_quac.explain.pipeline import explain_pair
from napari_quac.explain.search import search
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.opening import recognize_network
from napari_quac.live import rules
from napari_quac.networks.classifier import Classifier

SAMPLE, TARGET = 1, 0
MARKS = ("first mask", "exact mask of the displayed method", "all exact curves")
Marks = dict[str, tuple[float, float]]


def note(marks: Marks, explanations: Explanations | None, method: str, now: tuple[float, float]):
    """Note the marks that some explanations reach."""
    if explanations is None or method not in explanations:
        return
    marks.setdefault(MARKS[0], now)
    if not explanations[method].is_preliminary:
        marks.setdefault(MARKS[1], now)
    if explanations.is_complete:
        marks.setdefault(MARKS[2], now)


def run(pair: Pair, classifier: Classifier, settings: ExplainSettings, preview: str) -> Marks:
    method, marks = settings.methods[0], {}
    wall, processor = time.perf_counter(), time.thread_time()

    def clock() -> tuple[float, float]:
        return time.perf_counter() - wall, time.thread_time() - processor

    steps = explain_pair(pair, classifier, settings, preview=preview)
    result = steps.follow(lambda step: note(marks, step.partial, method, clock()))
    note(marks, result, method, clock())
    return marks


def measure_steps(n_runs: int) -> tuple[list[Marks], list[Marks]]:
    example, settings = load_example(), ExplainSettings()
    classifier = recognize_network(example.classifier_path).recipe.load("cpu")
    generator = recognize_network(example.generator_path).recipe.load("cpu")
    pair = search(example.dataset[SAMPLE], TARGET, classifier, generator).result()
    run(pair, classifier, settings, "")  # warms up
    plain, previewed = [], []
    for _ in range(n_runs):
        plain.append(run(pair, classifier, settings, ""))
        previewed.append(run(pair, classifier, settings, settings.methods[0]))
    return plain, previewed


def measure_window(n_runs: int) -> tuple[list[Marks], list[Marks]]:
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_quac.gui.dock import QuacDock

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + 60
        while not condition():
            QApplication.processEvents()
            time.sleep(0.0005)
            if time.monotonic() > end:
                raise TimeoutError

    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right")
    dock.try_example()
    wait(lambda: dock.results.prediction is not None and dock.results.loaded_generator is not None)
    wait(lambda: not dock.controller.running)
    starts: list[tuple[float, float]] = []
    marks: Marks = {}

    def clock() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def on_pair() -> None:
        if dock.results.pair is not None:
            starts.append(clock())

    def on_displayed() -> None:
        if starts and dock.results.displayed_hybrid is not None:
            now = tuple(b - a for a, b in zip(starts[-1], clock(), strict=True))
            note(marks, dock.results.explanations, dock.choices.shown_method, now)

    explain = rules.explain_pair

    @wraps(explain)  # the controller reads its parameters
    def without_preview(*arguments, **named):
        return explain(*arguments, **{**named, "shown_method": ""})

    dock.results.events.pair.connect(on_pair)
    dock.results.events.explanations.connect(on_displayed)
    dock.results.events.displayed_hybrid.connect(on_displayed)
    plain, previewed = [], []
    rule = rules.RULES["explanations"]
    for index in range(2 * n_runs + 4):
        dock.choices.sample_index = SAMPLE + index  # another one, as explanations are kept
        wait(lambda: not dock.controller.running)
        marks.clear()
        function = explain if index % 4 > 1 else without_preview
        object.__setattr__(rule, "function", function)  # a rule is frozen
        dock.session.explain()
        wait(lambda: dock.session.is_explained and not dock.controller.running)
        if index > 3 and len(marks) == len(MARKS):  # the first ones warm up
            (previewed if index % 4 > 1 else plain).append(dict(marks))
    viewer.close()
    return plain, previewed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--window", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    plain, previewed = (measure_window if options.window else measure_steps)(options.runs)
    median = statistics.median
    print(f"{options.runs} runs each in turn, {options.threads} thread(s), milliseconds")
    print(f"{'':36s} {'before: wall (cpu), least':>30s} {'now: wall (cpu), least':>30s}   ratio")
    for mark in MARKS:
        texts, ratios = [], []
        for runs in (plain, previewed):
            wall, cpu = ([1e3 * run[mark][kind] for run in runs] for kind in (0, 1))
            texts.append(
                f"{median(wall):6.0f} ({median(cpu):.0f}), {min(wall):.0f} ({min(cpu):.0f})"
            )
        ratios = [b[mark][1] / a[mark][1] for a, b in zip(plain, previewed, strict=False)]
        print(f"{mark:36s} {texts[0]:>30s} {texts[1]:>30s}   {median(ratios):.2f}")


if __name__ == "__main__":
    main()
