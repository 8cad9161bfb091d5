from __future__ import annotations

import numpy as np
import pytest

from napari_quac.live.filter_language import (
    KNOWN_WORDS,
    FilterError,
    cell_filter,
    parse_filter,
    quoted,
)

from .sample_tables import small_columns


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("mispredicted", [1, 2]),
        ("correct", [0]),
        ("wrong", [1, 2]),
        ("right", [0]),
        ("mispredicted and confidence < 0.6", [2]),
        ("WRONG AND Confidence<.6", [2]),
        ("predicted = T-bar", [1]),
        ("label != predicted", [1, 2]),
        ("label = predicted", [0]),
        ('label = "post synapse"', [4, 5]),
        ("label ~ syn or predicted ~ syn", [3, 4, 5]),
        ('id ~ "s12"', [2]),
        ("id = s10_x000", [0]),
        ("p(T-bar) > 0.3", [1]),
        ("p(T-bar) >= 0.3 and not wrong", []),
        ("p(cytosol) < p(T-bar)", [1, 3]),
        ("p('post synapse') > 0.1", [2, 3]),
        ("score > 0.5", [0]),
        ("score != 0.7", [1]),
        ("switched", [0]),
        ("not switched", [1, 2, 3, 4, 5]),
        ("explained and not switched", [1]),
        ("target = cytosol", [1]),
        ("failed", [5]),
        ("has_prediction", [0, 1, 2, 3]),
        ("known", [0, 1, 2, 3]),
        ("confidence != 0.5", [0, 1, 3]),
        ("number <= 2", [0, 1]),
        ("wrong or right and switched", [0, 1, 2]),
        ("(wrong or right) and switched", [0]),
        ("not (wrong or right)", [3, 4, 5]),
        ("not not wrong", [1, 2]),
    ],
)
def test_what_a_filter_holds(text: str, held: list[int]) -> None:
    assert np.flatnonzero(parse_filter(text).mask(small_columns())).tolist() == held


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("misspredicted", 0, "Did you mean 'mispredicted'?"),
        ("wrong and", 9, "the end"),
        ("wrong right", 6, "'and', 'or' or the end"),
        ("predicted = cytosl", 12, "Did you mean 'cytosol'?"),
        ("p(synapse) > 0.3", 2, "no class 'synapse'"),
        ("confidence < cytosol", 13, "a number is expected"),
        ("confidence ~ 3", 11, "is expected, not '~'"),
        ("label < 3", 6, "=, !=, ~"),
        ("(wrong", 6, "')' is missing"),
        ('id ~ "s1', 5, "not closed"),
        ("wrong @", 6, "'@'"),
        ("and", 0, "is not known"),
        ("0.5 < confidence", 0, "a column"),
        ("__import__('os').system('true')", 16, "'.' cannot be read"),
        ("id = x; import os", 6, "';' cannot be read"),
        ("(" * 5000, 100, "more than 100 levels"),
        ("not " * 240 + "wrong", 400, "more than 100 levels"),
        ("wrong or " * 5000, 10_000, "at most"),
    ],
)
def test_an_error_says_where_and_names_the_known_words(
    text: str, position: int, words: str
) -> None:
    with pytest.raises(FilterError) as error:
        parse_filter(text).mask(small_columns().head())
    assert error.value.position == position
    assert words in str(error.value)
    if "class" not in str(error.value) and len(text) < 1000:
        assert all(word in str(error.value) for word in KNOWN_WORDS)


@pytest.mark.parametrize(
    "name", ["T-bar.2", "pre synapse", "wrong", "failed", "2", 'a "b"', "Ångström"]
)
def test_every_class_name_can_be_written(name: str) -> None:
    columns = small_columns()
    listing = columns.sample_list
    object.__setattr__(listing, "classes", (name, *listing.classes[1:]))
    object.__setattr__(columns.predictions, "class_names", (name, *columns.class_names[1:]))
    assert np.flatnonzero(parse_filter(f"label = {quoted(name)}").mask(columns)).tolist() == [0, 1]
    cell = parse_filter(cell_filter(name, "T-bar")).mask(columns)
    assert np.flatnonzero(cell).tolist() == [1]


def test_the_head_knows_the_classes_and_has_no_rows() -> None:
    head = small_columns().head()
    assert len(head) == 0 and head.all_class_names == small_columns().all_class_names
    assert not len(parse_filter("wrong and p(T-bar) > 0.2 and id ~ x").mask(head))
