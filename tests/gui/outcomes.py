"""Results of work in the window, compared with those of undisturbed work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from gui.works import Desk
from napari_quac.explain.pipeline import explain, explain_pair

COMPARED = ("predictions", "agreement", "comparison", "exaggeration", "regions", "report")
TIMES = ("seconds", "duration", "begun", "created", "finished")
RELATIVE, ABSOLUTE = 1e-3, 1e-4
"""Batches of another size, as after memory ran out, give other roundings of float32."""
MOST_DEPTH = 12


def numbers_of(value: Any, depth: int = 0) -> Iterator[np.ndarray]:
    """Return all numbers in a value of dataclasses, containers, tables and arrays, in order."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, pd.DataFrame):
        value = value.drop(columns=[name for name in value if name in TIMES])
        value = {name: value[name].to_numpy() for name in value}
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            yield value.astype(np.float64).ravel()
    elif isinstance(value, (bool, int, float)):
        yield np.array([value], np.float64)
    elif depth == MOST_DEPTH or isinstance(value, (str, bytes, type, torch.nn.Module)):
        return
    elif is_dataclass(value):
        for field in fields(value):
            if field.name not in TIMES:
                yield from numbers_of(getattr(value, field.name), depth + 1)
    elif isinstance(value, Mapping):
        for name in sorted(value, key=str):
            if name not in TIMES:
                yield from numbers_of(value[name], depth + 1)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from numbers_of(part, depth + 1)


def flat(value: Any) -> np.ndarray:
    """Return all numbers in a value as one array."""
    return np.concatenate([np.zeros(0), *numbers_of(value)])


def difference(value: np.ndarray, expected: np.ndarray) -> str:
    """Return how two arrays differ; empty for no difference."""
    if value.shape != expected.shape:
        return f"{value.size} numbers in place of {expected.size}"
    if np.allclose(value, expected, RELATIVE, ABSOLUTE, equal_nan=True):
        return ""
    return f"differs by up to {np.nanmax(np.abs(value - expected)):.4g}"


class Outcomes:
    """Results of undisturbed work, and the comparison of others with them."""

    def __init__(self) -> None:
        self._expected: dict[tuple[str, str, str], np.ndarray] = {}
        self.n_compared = self.n_unknown = 0

    def keep(self, work: str, desk: Desk) -> None:
        """Keep the results of undisturbed work."""
        for name, key, numbers in self._results(work, desk):
            self._expected[work, name, key] = numbers

    def compare(self, work: str, desk: Desk) -> list[str]:
        """Return how the results of work differ from undisturbed ones.

        Explanations are computed again by the library; the others are compared with what the same
        work gave before for the same sample, where it was done.
        """
        problems = {}
        for name, key, numbers in self._results(work, desk):
            expected = self._expected.get((work, name, key))
            self.n_unknown += expected is None
            if expected is not None:
                self.n_compared += 1
                problems[name] = difference(numbers, expected)
        explanations = desk.dock.results.explanations
        if explanations is not None and not explanations.is_restored:
            self.n_compared += 1
            present, expected = summary(explanations), summary(explained_again(desk))
            for part in expected.keys() | present.keys():
                problems[part] = difference(flat(present.get(part)), flat(expected.get(part)))
        return [f"{name}: {text}" for name, text in problems.items() if text]

    def _results(self, work: str, desk: Desk) -> Iterator[tuple[str, str, np.ndarray]]:
        results = desk.dock.results
        sample = results.sample.id if results.sample is not None else ""
        for name in COMPARED:
            value = getattr(results, name)
            if value is not None and value is not desk.earlier.get(name):
                yield name, sample, flat(content(name, value))


def content(name: str, value: Any) -> Any:
    """Return the part of a result that has to be equal."""
    return value.report.to_frame() if name == "report" else value


def summary(explanations: Any) -> dict[str, Any]:
    """Return images, predictions, maps and scores of explanations."""
    pair = explanations.pair
    images = {"generated": pair.generated, "query_prediction": pair.query_prediction}
    maps = {name: explanations[name].attribution.values for name in explanations}
    scores = {f"score of {name}": explanations[name].curve.quac_score for name in explanations}
    return {**images, **maps, **scores, "source": pair.source, "target": pair.target}


def explained_again(desk: Desk) -> Any:
    """Compute the explanations that the window shows again, by the library."""
    results = desk.dock.results
    settings = desk.dock.choices.settings
    pair, classifier = results.explanations.pair, results.loaded_classifier
    if results.loaded_generator is None or results.searched_pair is None:
        return explain_pair(pair, classifier, settings).result()
    return explain(
        pair.query, pair.target, classifier, results.loaded_generator, settings, pair.source
    ).result()
