from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest

from napari_quac.errors import DataError
from napari_quac.explain.mask import Masking
from napari_quac.explain.methods import METHODS
from napari_quac.explain.parameter import parameters_of


@dataclass(frozen=True)
class Everything:
    """All kinds.

    Attributes
    ----------
    count, other : int
        How many.
        Two lines.
    style : {"a", "b"}
        Which.
    """

    label: ClassVar[str] = "everything"
    count: Annotated[int, {"min": 2, "max": 5}]
    other: int = 1
    share: float = 0.5
    style: Literal["a", "b"] = "a"
    flag: bool = False
    path: Path | None = None
    pair: tuple[int, int] = (1, 2)


PARAMETERS = {parameter.name: parameter for parameter in parameters_of(Everything)}


def test_fields_are_described_by_annotations_defaults_and_docstring():
    assert list(PARAMETERS) == ["count", "other", "share", "style", "flag", "path", "pair"]
    count = PARAMETERS["count"]
    assert (count.kind, count.low, count.high, count.default) == (int, 2, 5, MISSING)
    assert count.help == PARAMETERS["other"].help == "How many. Two lines."
    assert PARAMETERS["style"].options == ("a", "b")
    assert PARAMETERS["path"].is_optional and PARAMETERS["path"].kind is Path
    assert PARAMETERS["pair"].kind is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "3", 3),
        ("share", "1e-3", 0.001),
        ("style", "b", "b"),
        ("flag", "yes", True),
        ("flag", "False", False),
        ("path", "none", None),
        ("path", "a/b", Path("a/b")),
    ],
)
def test_text_becomes_a_value(name, text, value):
    parsed = PARAMETERS[name].parse(text)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("count", "3.5", "whole number"),
        ("count", "1", "between 2 and 5"),
        ("share", "much", "a number"),
        ("style", "c", "one of a, b"),
        ("flag", "perhaps", "true or false"),
        ("pair", "1,2", "has no text form"),
    ],
)
def test_text_that_does_not_fit_is_refused(name, text, said):
    with pytest.raises(DataError, match=said):
        PARAMETERS[name].parse(text)


def test_what_is_no_dataclass_has_no_parameters():
    assert parameters_of(object) == ()


@pytest.mark.parametrize("cls", [Masking, *(METHODS[name] for name in METHODS)])
def test_our_own_parameters_can_all_be_edited_and_are_explained(cls):
    for parameter in parameters_of(cls):
        assert parameter.kind is not None
        assert parameter.help, f"{cls.__name__}.{parameter.name} has no line in the docstring"
        assert parameter.default is not MISSING
