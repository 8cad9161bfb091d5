import pytest

from napari_quac.errors import UnknownNameError
from napari_quac.explain.method_parameters import build_method


def test_a_method_takes_the_parameters_of_its_name_only():
    parameters = {"d-ig": {"n_steps": 7}, "ig": {"n_steps": 9, "baseline": 0.0}}
    assert build_method("d-ig", parameters).n_steps == 7
    assert build_method("ig", parameters).baseline == 0.0
    assert build_method("residual", parameters) == build_method("residual")


def test_an_unknown_parameter_names_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"n_step.*Did you mean 'n_steps'"):
        build_method("d-ig", {"d-ig": {"n_step": 7}})
