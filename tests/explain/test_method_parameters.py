import pytest

from napari_quac.errors import DataError, UnknownNameError
from napari_quac.explain.method_parameters import build_method, parse_parameters


def test_a_method_takes_the_parameters_of_its_name_only():
    parameters = {"d-ig": {"n_steps": 7}, "ig": {"n_steps": 9, "baseline": 0.0}}
    assert build_method("d-ig", parameters).n_steps == 7
    assert build_method("ig", parameters).baseline == 0.0
    assert build_method("residual", parameters) == build_method("residual")


def test_an_unknown_parameter_names_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"n_step.*Did you mean 'n_steps'"):
        build_method("d-ig", {"d-ig": {"n_step": 7}})


def test_a_value_out_of_range_is_refused():
    with pytest.raises(DataError, match=r"n_steps.*between 2 and 500"):
        build_method("d-ig", {"d-ig": {"n_steps": 1}})


def test_parameters_are_read_from_text():
    texts = ["d-ig.n_steps=100", "ig.baseline=0", "d-ig.until_complete=true", "ig.baseline=0.25"]
    assert parse_parameters(texts) == {
        "d-ig": {"n_steps": 100, "until_complete": True},
        "ig": {"baseline": 0.25},
    }


@pytest.mark.parametrize("text", ["d-ig", "d-ig.n_steps", "n_steps=3", ".n_steps=3", "d-ig.=3"])
def test_text_of_another_form_is_refused_with_an_example(text):
    with pytest.raises(DataError, match=r"d-ig\.n_steps=100"):
        parse_parameters([text])


def test_an_unknown_method_or_parameter_is_refused():
    with pytest.raises(UnknownNameError, match="d-igg"):
        parse_parameters(["d-igg.n_steps=3"])
    with pytest.raises(UnknownNameError, match="Known: absolute"):
        parse_parameters(["residual.n_steps=3"])
