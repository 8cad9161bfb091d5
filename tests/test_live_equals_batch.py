"""A sample has the same question, arrays and record on every way from it to its explanations.

The quick tests cover every pair of values of {way, preset, source basis, generator, sample}; the
long ones run every way on a selection of cases that covers every pair of the other values. The
full product takes some minutes::

    QUAC_FULL_PRODUCT=1 pytest tests/test_live_equals_batch.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch

from explanation_paths import (
    BASES,
    GENERATORS,
    METHODS,
    PRESETS,
    SAMPLES,
    UNAVAILABLE,
    WAYS,
    Answer,
    Case,
    Files,
    in_python,
    write_files,
)

IS_FULL = os.environ.get("QUAC_FULL_PRODUCT") == "1"
FACTORS = (PRESETS, BASES, GENERATORS, SAMPLES)


def covering(factors: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return few combinations in which every pair of values of two factors occurs."""

    def pairs(row: tuple[str, ...]) -> set[tuple[int, str, int, str]]:
        return {(i, row[i], j, row[j]) for i, j in combinations(range(len(row)), 2)}

    rows = list(product(*factors))
    uncovered = set().union(*map(pairs, rows))
    chosen = []
    while uncovered:
        best = max(rows, key=lambda row: len(pairs(row) & uncovered))
        uncovered -= pairs(best)
        chosen.append(best)
    return chosen


def parameters_of(rows: Sequence[tuple[str, ...]]) -> list[object]:
    """Return a way and a case for each row."""
    cases = [(way, Case(*values)) for way, *values in rows]
    return [pytest.param(way, case, id=f"{way}-{case.name}") for way, case in cases]


QUICK = covering((tuple(WAYS), *FACTORS))
LONG = [row for row in ((way, *case) for case in covering(FACTORS) for way in WAYS)
        if row not in QUICK]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Files:
    return write_files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def expected(files) -> Callable[[Case], Answer]:
    """Return what answers a case by the Python call, once for each."""
    known: dict[Case, Answer] = {}

    def answer(case: Case) -> Answer:
        if case not in known:
            known[case] = in_python(case, files, Path())
        return known[case]

    return answer


@pytest.fixture(autouse=True)
def one_thread():
    """Runs use one thread of torch, and sums of several may differ in the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def check(way: str, case: Case, files: Files, expected: Answer, folder: Path) -> None:
    answer = WAYS[way](case, files, folder)
    if not answer.record:
        assert answer.rows == expected.rows
        return
    question = ("source", "target", "source_basis", "asked", "true_class")
    assert [answer.record[key] for key in question] == [expected.record[key] for key in question]
    assert list(answer.images) == list(expected.images)
    for name, image in expected.images.items():
        np.testing.assert_array_equal(answer.images[name], image, err_msg=name)
    assert answer.record == expected.record


if IS_FULL:

    @pytest.mark.parametrize(("way", "case"), parameters_of(list(product(WAYS, *FACTORS))))
    def test_every_way_answers_every_case_alike(way, case, files, expected, tmp_path):
        check(way, case, files, expected(case), tmp_path)

else:

    @pytest.mark.parametrize(("way", "case"), parameters_of(QUICK))
    def test_every_way_answers_alike(way, case, files, expected, tmp_path):
        check(way, case, files, expected(case), tmp_path)

    @pytest.mark.long
    @pytest.mark.parametrize(("way", "case"), parameters_of(LONG))
    def test_every_way_answers_a_selection_of_cases_alike(way, case, files, expected, tmp_path):
        check(way, case, files, expected(case), tmp_path)


@pytest.mark.parametrize(
    ("sample", "basis", "question"),
    [
        ("correct", "prediction", ("left", "both")),
        ("correct", "label", ("left", "both")),
        ("mispredicted", "prediction", ("left", "both")),
        ("mispredicted", "label", ("both", "left")),
    ],
)
def test_the_python_call_asks_the_documented_question(expected, sample, basis, question):
    record = expected(Case("quac", basis, "stargan", sample)).record
    assert (record["source"], record["target"]) == question
    assert [*record["methods"]] == [name for name in METHODS if name != UNAVAILABLE]
    assert [*record["failed_methods"]] == [UNAVAILABLE]


def test_the_cases_can_tell_questions_presets_and_generators_apart(expected):
    cases = [Case("quac", "prediction", generator, "mispredicted") for generator in GENERATORS]
    cases += [replace(cases[0], preset="dapi"), replace(cases[0], basis="label")]
    maps = [expected(case).images["d-ig/attribution"] for case in cases]
    for first, second in combinations(range(len(maps)), 2):
        assert not np.array_equal(maps[first], maps[second])
