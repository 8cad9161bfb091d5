"""Comparison of everything that the dock shows with what is computed, after any event.

Expected texts and numbers are derived here from the results and the networks, not by the code of
the panels. A violation is a sentence; it counts if it persists while the event loop runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QWidget

from napari_quac.errors import QuacError
from napari_quac.explain.pair import Pair
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.samples.samples_dock import CHIPS

Violations = Iterator[str]
TOLERANCE = 2e-4


_index: dict[str, QWidget] = {}
"""All controls by name while the checks run: a search for each would take most of the time."""


def find(dock: QuacDock, name: str) -> Any:
    """Return the control of a name in any of the docks."""
    if name in _index:
        return _index[name]
    for whole in _docks(dock):
        widget = whole if whole.objectName() == name else whole.findChild(QWidget, name)
        if widget is not None:
            return widget
    raise LookupError(f"there is no control '{name}'")


@contextmanager
def indexed(dock: QuacDock) -> Iterator[None]:
    """Look all controls up once, for as long as the event loop does not run."""
    for whole in _docks(dock):
        for widget in (whole, *whole.findChildren(QWidget)):
            _index.setdefault(widget.objectName(), widget)
    try:
        yield
    finally:
        _index.clear()


def _docks(dock: QuacDock) -> tuple[QWidget, ...]:
    return dock, dock.all_samples, dock.curve_dock, dock.methods_compared


def differs(name: str, shown: Any, expected: Any) -> Violations:
    if shown != expected:
        yield f"{name} shows {shown!r} instead of {expected!r}"


def close_to(name: str, shown: Any, expected: Any) -> Violations:
    if (shown is None) != (expected is None):
        yield f"{name} shows {shown!r} instead of {expected!r}"
    elif shown is not None:
        a, b = (np.asarray(values, dtype=np.float64) for values in (shown, expected))
        if a.shape != b.shape:
            yield f"{name} has the shape {a.shape} instead of {b.shape}"
        elif not np.allclose(a, b, atol=TOLERANCE, equal_nan=True):
            yield f"{name} differs by up to {np.nanmax(np.abs(a - b)):.4f}"


def fresh_prediction(dock: QuacDock, image: torch.Tensor) -> torch.Tensor | None:
    """Ask the loaded classifier itself; None while the lane may use it."""
    classifier = dock.results.loaded_classifier
    if classifier is None or dock.controller.running or dock.training.is_running:
        return None
    return classifier.predict(image[None])[0]


# results among each other


def check_results(dock: QuacDock) -> Violations:
    results, choices, running = dock.results, dock.choices, dock.controller.running
    sample, dataset, prediction = results.sample, results.loaded_samples, results.prediction
    if sample is not None and dataset is not None and "sample" not in running:
        yield from differs("results.sample", sample.id, dataset.sample_id(choices.sample_index))
    if prediction is not None and not {"sample", "prediction"} & running.keys():
        if prediction.sample is not sample:
            yield "the prediction is that of another sample"
        fresh = fresh_prediction(dock, prediction.sample.image)
        if fresh is not None:
            yield from close_to("the prediction of the sample", prediction.probabilities, fresh)
    pair, explanations, displayed = results.pair, results.explanations, results.displayed_hybrid
    if pair is not None:
        if pair.query is not sample and "sample" not in running:
            yield "the pair is that of another sample"
        fresh = fresh_prediction(dock, pair.generated)
        if fresh is not None:
            yield from close_to(
                "the prediction of the generated image", pair.generated_prediction, fresh
            )
    if explanations is not None and not is_same_pair(explanations.pair, pair):
        yield "the explanations are those of another pair"
    if displayed is not None:
        expected = explanations.by_method.get(choices.shown_method) if explanations else None
        if displayed.explanation is not expected:
            yield "the displayed hybrid is that of another explanation"
        else:
            curve, threshold = expected.curve, choices.threshold
            index = curve.best if threshold is None else curve.index_at(threshold)
            yield from differs("the index of the displayed hybrid", displayed.index, index)
            fresh = fresh_prediction(dock, displayed.hybrid.image)
            if fresh is not None and pair is not None:
                yield from close_to(
                    "the prediction of the hybrid", displayed.hybrid.prediction, fresh
                )
    yield from check_dependent_results(dock)


def is_same_pair(first: Pair, second: Pair | None) -> bool:
    """Compare what pairs hold: one that was recalled is not the object that was explained."""
    if second is None or first is second:
        return first is second
    return (
        (first.query.id, first.source, first.target)
        == (second.query.id, second.source, second.target)
        and torch.equal(first.query.image, second.query.image)
        and torch.equal(first.generated, second.generated)
    )


def check_dependent_results(dock: QuacDock) -> Violations:
    results, pair = dock.results, dock.results.pair
    displayed, compared = results.displayed_hybrid, results.comparison
    if compared is not None and not compared.is_of_samples and compared.last.pair is not pair:
        yield "the comparison is that of another pair"
    if results.exaggeration is not None and dock.choices.bin_generator is None:
        if results.exaggeration.pair is not pair:
            yield "the exaggeration is that of another pair"
    if results.regions is not None:
        if displayed is None:
            yield "there are regions without a mask"
        else:
            regions = results.regions
            is_same = regions.explanation is displayed.explanation
            if not is_same or regions.index != displayed.index:
                yield "the regions are those of another mask"
    status, origin = results.explanation_status, results.origin
    if status is not None and origin is not None and status.origin != origin:
        yield "the outcomes are those of other networks or samples"
    table, classifier = results.predictions, results.loaded_classifier
    if table is not None and classifier is not None:
        yield from differs("the classes of the table", table.class_names, classifier.class_names)
        index, prediction = dock.choices.sample_index, results.prediction
        is_settled = not {"sample", "prediction"} & dock.controller.running.keys()
        if index is not None and prediction is not None and is_settled:
            if table.is_predicted[index]:
                yield from close_to(
                    f"row {index} of the table", table.probabilities[index],
                    prediction.probabilities,
                )  # fmt: skip


# the dock


def check_navigator(dock: QuacDock) -> Violations:
    results, index = dock.results, dock.choices.sample_index
    dataset, sample, prediction = results.loaded_samples, results.sample, results.prediction
    if dataset is None:
        return
    if index is not None:
        spin = find(dock, "sample_spin")
        yield from differs("sample_spin", spin.value(), index + 1)  # its text may be half typed
        yield from differs("sample_spin's end", spin.suffix(), f" of {len(dataset)}")
    if sample is None:
        yield from differs("sample_id", find(dock, "sample_id").text(), "")
        return
    yield from differs("sample_id", find(dock, "sample_id").text(), sample.id)
    line = find(dock, "sample_line").text()
    if sample.label is not None:
        if f"labeled {dataset.classes[sample.label]}" not in line:
            yield f"sample_line '{line}' lacks the label"
    if prediction is not None and prediction.sample is sample and results.loaded_classifier:
        name = results.loaded_classifier.class_names[int(prediction.probabilities.argmax())]
        text = f"predicted {name} {float(prediction.probabilities.max()):.2f}"
        if text not in line:
            yield f"sample_line '{line}' lacks '{text}'"
    elif "predicted" in line:
        yield f"sample_line '{line}' states a prediction that does not exist"


def check_bars(dock: QuacDock) -> Violations:
    results = dock.results
    classifier, prediction = results.loaded_classifier, results.prediction
    pair, displayed = results.pair or results.partial_pair, results.displayed_hybrid
    bars = dock.predictions.bars
    if classifier is None or prediction is None:
        if dock.predictions._rows.isVisibleTo(dock.predictions.body):
            yield "bars are shown without a prediction"
        return
    sources = {
        "query": prediction.probabilities,
        "generated": pair.generated_prediction if pair is not None else None,
        "hybrid": displayed.hybrid.prediction if displayed is not None else None,
    }
    if not bars:
        yield "there are no bars for the prediction"
    for (role, number), bar in bars.items():
        name = f"prediction_{role}_{number}"
        if number >= classifier.n_classes:
            yield f"{name} is about a class that the classifier does not have"
            continue
        probabilities = sources[role]
        expected = None if probabilities is None else float(probabilities[number])
        yield from close_to(name, bar.property("probability"), expected)
        title = find(dock, f"prediction_class_{number}").text()
        yield from differs(f"prediction_class_{number}", title, classifier.class_names[number])


def check_threshold(dock: QuacDock) -> Violations:
    displayed, line = dock.results.displayed_hybrid, find(dock, "threshold_line").text()
    slider = find(dock, "threshold_slider")
    if displayed is None:
        if slider.isEnabled() or ("mask" in line.split(" · ")[0] and "%" in line):
            yield f"the threshold is shown without a hybrid: '{line}'"
        return
    hybrid, pair = displayed.hybrid, displayed.explanation.pair
    scored = pair.scored_class
    for text in (
        f"mask {hybrid.mask_size:.1%}",
        f"{float(pair.query_prediction[scored]):.2f} → {float(hybrid.prediction[scored]):.2f}",
        f"score change {hybrid.score_change:.2f}",
    ):
        if text not in line:
            yield f"threshold_line '{line}' lacks '{text}'"
    names = dock.results.loaded_classifier.class_names if dock.results.loaded_classifier else ()
    if names and f"p({names[scored]})" not in line:
        yield f"threshold_line '{line}' lacks the class {names[scored]}"
    if "reliminary" in line and not displayed.explanation.is_preliminary:
        yield "threshold_line calls an exact explanation preliminary"
    if not displayed.explanation.curve.degenerate:
        positions = displayed.explanation.curve.distinct()
        yield from differs(
            "threshold_slider", slider.value(), int(np.searchsorted(positions, displayed.index))
        )


def check_curves(dock: QuacDock) -> Violations:
    results, plot = dock.results, find(dock, "curve_plot")
    explanations, displayed = results.explanations, results.displayed_hybrid
    names = list(explanations.by_method) if explanations is not None else []
    yield from differs("curve_plot", plot.property("curveNames") or [], names)
    marker = None
    if displayed is not None and not displayed.explanation.curve.degenerate:
        marker = displayed.hybrid.mask_size, displayed.hybrid.score_change
    for number, part in enumerate(("MaskSize", "ScoreChange")):
        expected = None if marker is None else marker[number]
        yield from close_to(f"marker{part}", plot.property(f"marker{part}"), expected)
    yield from differs("legend", list(dock.curve_dock.legend.buttons), names)
    for name in names:
        explanation = explanations.by_method[name]
        if name not in dock.curve_dock.legend.buttons:
            continue  # reported above
        text = dock.curve_dock.legend.buttons[name].text()
        number = "prelim" if explanation.is_preliminary else f"{explanation.quac_score:.2f}"
        if number not in text:
            yield f"legend_{name} '{text}' lacks {number}"


def check_methods(dock: QuacDock) -> Violations:
    explanations = dock.results.explanations
    for name, label in dock.methods.scores.items():
        text = label.text()
        explanation = explanations.by_method.get(name) if explanations is not None else None
        shows_number = any(character.isdigit() for character in text.split(" as ")[0])
        if explanation is None:
            if shows_number and not (explanations is not None and explanations.partial_mask):
                if "." in text:
                    yield f"method_score_{name} shows '{text}' without an explanation"
        elif not explanation.attribution.degenerate and not explanation.is_preliminary:
            if f"{explanation.quac_score:.2f}" not in text:
                yield f"method_score_{name} '{text}' lacks {explanation.quac_score:.2f}"
    menu = find(dock, "shown_method")
    yield from differs("shown_method", menu.currentText(), dock.choices.shown_method)
    for name, check in dock.methods.checks.items():
        yield from differs(
            f"method_check_{name}", check.isChecked(), name in dock.choices.settings.methods
        )


def check_verdict(dock: QuacDock) -> Violations:
    results = dock.results
    explanations, classifier = results.explanations, results.loaded_classifier
    sentences = [label.text() for label in dock.verdict.sentences if not label.isHidden()]
    explanation = explanations.by_method.get(dock.choices.shown_method) if explanations else None
    if explanation is None or classifier is None:
        if sentences:
            yield f"there is a verdict without an explanation: {sentences}"
        return
    from napari_quac.explain.verdict import verdict

    if explanation.is_preliminary:
        return
    others = [e for e in explanations.exact().values() if e is not explanation]
    for finding in verdict(explanation, others, classifier.class_names):
        if finding.text not in sentences:
            yield f"the verdict lacks '{finding.text}'"


def check_search(dock: QuacDock) -> Violations:
    pair, badge = dock.results.pair or dock.results.partial_pair, find(dock, "search_badge").text()
    if pair is None:
        yield from differs("search_badge", badge, "")
        return
    probability = f"{float(pair.generated_prediction[pair.scored_class]):.2f}"
    if not pair.infill and probability not in badge:
        yield f"search_badge '{badge}' lacks {probability}"
    if not pair.infill and pair.class_name(pair.scored_class) not in badge:
        yield f"search_badge '{badge}' lacks the target class"
    classifier, menu = dock.results.loaded_classifier, find(dock, "target_menu")
    names = [menu.itemData(row) for row in range(menu.count())]
    if classifier is not None:
        yield from differs("target_menu", names[1:], list(classifier.class_names))


# layers


def check_layers(dock: QuacDock) -> Violations:
    results, layers = dock.results, dock.layers.layers
    sample = results.sample
    if sample is None or dock.layers.has_pending_update:
        return
    pair, displayed = results.pair or results.partial_pair, results.displayed_hybrid
    explanations = results.explanations
    blank = torch.zeros_like(sample.image)
    expected = {
        "query": sample.image,
        "generated": pair.generated if pair is not None else blank,
        "hybrid": displayed.hybrid.image if displayed is not None else sample.image,
        "mask": displayed.hybrid.mask if displayed is not None else blank,
    }
    if displayed is not None and dock.layers.attribution_mode == "absolute":
        expected["attribution"] = displayed.explanation.attribution.values
    elif displayed is None:
        expected["attribution"] = blank
    if explanations is not None and explanations.partial_mask is not None:
        expected = {name: expected[name] for name in ("query", "generated")}
    for name, image in expected.items():
        if name not in layers or image.shape[0] != 1:
            continue
        data = np.squeeze(np.asarray(layers[name].data))
        yield from close_to(f"layer '{name}'", data, np.squeeze(image.numpy()[0]))
    ours = [layer for layer in dock.viewer.layers if layer in dock.layer_stack.layers.values()]
    gone = set(map(id, dock.layer_stack.layers.values())) - set(map(id, ours))
    if gone:
        yield "the stack holds layers that are not in the viewer"
    scales = {
        tuple(np.round(np.asarray(layer.scale)[-2:], 6))
        for layer in layers.values()
        if layer.ndim >= 2
    }
    if len(scales) > 1 and not dock.comparison.is_side_by_side:
        yield f"the layers have different scales: {scales}"


# the samples


def check_table(dock: QuacDock) -> Violations:
    order, model = dock.results.order, find(dock, "sample_table").model()
    yield from differs("rows of the table", model.rowCount(), 0 if order is None else len(order))
    if order is None:
        return
    titles = [model.headerData(n, Qt.Orientation.Horizontal) for n in range(model.columnCount())]
    results, index = dock.results, dock.results.sample_list
    table, origin = order.columns.predictions, results.origin
    if results.predictions is not None and table is not results.predictions:
        yield "the table shows other predictions than those of the classifier"
    if index is None:
        return
    outcomes = results.outcomes
    added = outcomes.of(origin, results.pair_settings) if outcomes is not None else {}
    report = results.report_columns
    recorded = report.status if report is not None else None
    names = table.class_names if table is not None else ()
    for row in range(min(model.rowCount(), 30)):
        at = int(order.indices[row])
        cells = {title: model.data(model.index(row, column)) for column, title in enumerate(titles)}
        yield from differs(f"number in row {row}", cells["#"], str(at + 1))
        if "predicted" in cells and table is not None:
            known = bool(table.is_predicted[at])
            probabilities = table.probabilities[at]
            name = names[int(probabilities.argmax())] if known else ""
            yield from differs(f"predicted in row {row}", cells["predicted"], name)
            text = f"{float(probabilities.max()):.3f}" if known else ""
            yield from differs(f"confidence in row {row}", cells["confidence"], text)
        if "score" in cells:
            outcome = added.get(str(index.ids[at]))
            score, status = "", ""
            if outcome is not None:
                score = "" if outcome.score is None else f"{outcome.score:.3f}"
                status = "switched" if outcome.switched else "not switched"
            elif recorded is not None and len(recorded) > at:
                value = recorded.scores[at]
                score = "" if np.isnan(value) else f"{value:.3f}"
                status = {1: "switched", 0: "not switched"}.get(int(recorded.switched[at]), "")
            if cells["status"] != "failed":
                yield from differs(f"status in row {row}", cells["status"], status)
            yield from differs(f"score in row {row}", cells["score"], score)


def check_filter(dock: QuacDock) -> Violations:
    order, text = dock.results.order, dock.choices.filter_text
    count = find(dock, "filter_count").text().replace(" ", "")
    if order is None:
        yield from differs("filter_count", count, "")
        return
    n, total = len(order), len(order.columns)
    yield from differs("filter_count", count, str(total) if n == total else f"{n}of{total}")
    table = dock.results.predictions
    expected = None
    if order.problem or not text:
        expected = total
    elif table is not None and text == "mispredicted":
        expected = int(np.sum((table.truth >= 0) & (table.truth != table.predicted)
                              & table.is_predicted))  # fmt: skip
    elif table is not None and text == "confidence < 0.6":
        expected = int(np.sum(table.probabilities.max(axis=1) < 0.6))
    if expected is not None:
        yield from differs(f"samples in view of '{text}'", n, expected)
    for key, _, chip_text, _ in CHIPS:
        yield from differs(f"chip_{key}", find(dock, f"chip_{key}").isChecked(), chip_text == text)


def check_matrix(dock: QuacDock) -> Violations:
    order, matrix = dock.results.order, find(dock, "confusion_matrix")
    table = order.columns.predictions if order is not None else None
    counts = matrix.property("counts")
    if table is None or not (table.truth >= 0).any():
        yield from differs("confusion_matrix", counts or [], [])
        return
    expected = np.zeros((len(table.class_names),) * 2, dtype=int)
    for truth, probabilities in zip(table.truth, table.probabilities, strict=True):
        if truth >= 0 and np.isfinite(probabilities).all():
            expected[truth, int(probabilities.argmax())] += 1
    yield from differs("confusion_matrix", counts, expected.tolist())
    yield from differs("its classes", matrix.property("classNames"), list(table.class_names))
    n_labeled, n_correct = int(expected.sum()), int(np.trace(expected))
    for name in ("accuracy_line", "samples_accuracy"):
        text = find(dock, name).text()
        if n_labeled and f"({n_correct} of {n_labeled})" not in text:
            yield f"{name} '{text}' lacks {n_correct} of {n_labeled}"


def check_comparison(dock: QuacDock) -> Violations:
    compared, table = dock.results.comparison, find(dock, "comparison_table")
    rows = compared.rows if compared is not None else ()
    yield from differs("rows of the comparison", table.rowCount(), len(rows))
    for number, row in enumerate(rows[: table.rowCount()]):
        score = "" if row.score is None else f"{row.score:.2f}"
        text = table.item(number, 1).text()
        if not row.reason:
            yield from differs(f"score of {row.method} in the comparison", text, score)


def check_on_demand(dock: QuacDock) -> Violations:
    results = dock.results
    for name, panel in (("regions", dock.regions), ("morphometry", dock.morphometry)):
        outcome = getattr(results, name)
        n_rows = panel.table.topLevelItemCount()
        if results.displayed_hybrid is None and n_rows:
            yield f"the section {name} has rows without a mask"
        if outcome is None and n_rows and panel.table.isEnabled():
            yield f"the rows of {name} are outdated and not marked"
    regions = results.regions
    if regions is not None and dock.regions.is_open:
        n_rows = dock.regions.table.topLevelItemCount()
        yield from differs("rows of the regions", n_rows, len(regions.regions))
    path = results.exaggeration
    yield from differs(
        "exaggeration_slider", dock.exaggeration.slider.isEnabled(), path is not None
    )
    if path is None and "exaggerated" in dock.layer_stack.layers:
        yield "the layer 'exaggerated' is there without an exaggeration"


def check_curves_page(dock: QuacDock) -> Violations:
    page = dock.all_samples.curves
    if not dock.all_samples.tabs["curves"].isChecked():
        return
    report, columns = dock.results.report, dock.results.report_columns
    is_empty = report is None or columns is None or columns.differences
    if is_empty and page.populations:
        yield "the page of curves shows explanations of other networks"
    for population in page.populations:
        shown = find(dock, f"population_n_{population.method}").text()
        yield from differs(f"population_n_{population.method}", shown, str(population.n_curves))


def check_state(dock: QuacDock) -> Violations:
    results, controller = dock.results, dock.controller
    many = dock.all_samples.many
    if many.state == "running" and "explain_many" not in controller.running:
        yield "Explain these is shown as running, but does not run"
    button = find(dock, "predict_all_button")
    if "predictions" in controller.running:
        yield from differs("predict_all_button", button.text(), "Stop")
    ready = results.loaded_classifier is not None and results.loaded_samples is not None
    if not ready and results.prediction is not None:
        yield "there is a prediction without classifier or samples"


CHECKS: tuple[Callable[[QuacDock], Violations], ...] = (
    check_results, check_navigator, check_bars, check_threshold, check_curves, check_methods,
    check_verdict, check_search, check_layers, check_table, check_filter, check_matrix,
    check_comparison, check_on_demand, check_curves_page, check_state,
)  # fmt: skip


def violations(dock: QuacDock) -> list[str]:
    """Return what is wrong in this moment."""
    if dock.is_closed:
        return []
    with indexed(dock):
        return [f"{check.__name__}: {text}" for check in CHECKS for text in found(check, dock)]


def found(check: Callable[[QuacDock], Violations], dock: QuacDock) -> list[str]:
    """Return what a check finds; while files are loaded, a network may refuse a sample."""
    try:
        return list(check(dock))
    except QuacError as error:
        return [str(error)]


def lasting_violations(dock: QuacDock, seconds: float = 1.5) -> list[str]:
    """Return what is still wrong after the event loop had time to draw."""
    end = time.monotonic() + seconds
    while wrong := violations(dock):
        if time.monotonic() > end:
            return wrong
        QApplication.processEvents()
        time.sleep(0.005)
    return []
