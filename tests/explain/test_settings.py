"""Settings are one frozen value: validated, compared, hashed, pickled and serialized."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from napari_quac.errors import DataError, QuacError, UnknownNameError
from napari_quac.explain.mask import Masking
from napari_quac.explain.method_parameters import check_methods
from napari_quac.explain.methods import METHODS
from napari_quac.explain.procedure import Procedure
from napari_quac.explain.settings import (
    DEFAULT_METHODS,
    PRESETS,
    ExplainSettings,
    FrozenMapping,
    SearchSettings,
)

CHANGED = ExplainSettings(
    methods=("d-ig", "random"),
    masking=Masking(closing=4, blur=1),
    grid="corrected",
    search=SearchSettings(7, keep="first"),
    parameters={"d-ig": {"n_steps": 20}},
    procedure=Procedure(min_confidence=0.5),
    source_basis="label",
    targets=("b", "c"),
    seed=5,
)


def test_settings_do_not_import_torch() -> None:
    code = "import sys, napari_quac.explain.settings; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_default_methods_are_five_and_exist() -> None:
    assert ExplainSettings().methods == DEFAULT_METHODS
    assert DEFAULT_METHODS == ("d-ig", "d-deeplift", "d-ingrad", "residual", "random")
    for preset in PRESETS.values():
        assert set(preset.settings.methods) <= set(METHODS)
        check_methods(preset.settings)


def test_presets_are_recognized() -> None:
    for name in PRESETS:
        assert ExplainSettings.from_preset(name).preset == name
    changed = replace(ExplainSettings.from_preset("dapi"), masking=Masking(blur=1))
    assert changed.preset == "dapi"
    assert CHANGED.preset is None
    with pytest.raises(UnknownNameError, match="Did you mean 'dapi'"):
        ExplainSettings.from_preset("dabi")


def test_equal_settings_are_equal_and_hash_equally() -> None:
    parameters = {"random": {"sigma": 2.0, "seed": 1}}
    reordered = {"random": {"seed": 1, "sigma": 2.0}}
    first, second = (ExplainSettings(parameters=p) for p in (parameters, reordered))
    assert first == second and hash(first) == hash(second)
    assert first != ExplainSettings()
    assert ExplainSettings(parameters={"random": {}}) == ExplainSettings()
    assert ExplainSettings(methods=["d-ig"]) == ExplainSettings(("d-ig",))  # type: ignore[arg-type]
    assert ExplainSettings(targets="b") == ExplainSettings(targets=("b",))


def test_parameters_cannot_be_changed_from_outside() -> None:
    parameters = {"random": {"seed": 1}}
    settings = ExplainSettings(parameters=parameters)
    parameters["random"]["seed"] = 2
    assert settings.parameters["random"]["seed"] == 1
    assert isinstance(settings.parameters["random"], FrozenMapping)
    assert not hasattr(settings.parameters, "__setitem__")


@pytest.mark.parametrize("settings", [ExplainSettings(), CHANGED, PRESETS["dapi"].settings])
def test_settings_survive_pickle_and_json(settings: ExplainSettings) -> None:
    assert pickle.loads(pickle.dumps(settings)) == settings
    plain = json.loads(json.dumps(settings.to_dict()))
    assert ExplainSettings.from_dict(plain) == settings


def test_missing_settings_keep_their_default() -> None:
    assert ExplainSettings.from_dict({}) == ExplainSettings()
    assert ExplainSettings.from_dict({"masking": {"blur": 1}}).masking == Masking(blur=1)
    dapi = ExplainSettings.from_dict({"preset": "dapi", "masking": {"blur": 1}})
    assert dapi.masking == Masking(blur=1, channel_wise=False)
    assert dapi.procedure == PRESETS["dapi"].settings.procedure


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"sead": 3}, UnknownNameError, "setting of 'settings' 'sead'. Did you mean 'seed'"),
        ({"seed": "many"}, DataError, "'settings.seed' is 'many'"),
        ({"search": {"max_trys": 3}}, UnknownNameError, "settings.search.*'max_tries'"),
        ({"search": {"max_tries": 0}}, DataError, "'max_tries' is 0; at least 1"),
        ({"search": {"block": 0}}, DataError, "'block' is 0; at least 1"),
        ({"search": {"keep": "best"}}, DataError, "settings.search.keep"),
        ({"masking": {"blur": 4}}, DataError, "'settings.masking': The blur kernel needs an odd"),
        ({"masking": 4}, DataError, "'settings.masking' is '4'"),
        ({"procedure": {"inti": "query"}}, UnknownNameError, "Did you mean 'into'"),
        ({"methods": []}, DataError, "'methods' is empty"),
        ({"methods": ["ig", "ig"]}, DataError, "'methods' contains 'ig' twice"),
        ({"methods": "d-ig"}, DataError, "'settings.methods' is 'd-ig'"),
        ({"targets": []}, DataError, "'targets' is empty"),
        ({"targets": ["b", "b"]}, DataError, "'targets' contains 'b' twice"),
        ({"grid": "fine"}, DataError, "settings.grid"),
        ({"source_basis": "guess"}, DataError, "settings.source_basis"),
        ({"parameters": {"ig": {"n_steps": 3}}}, UnknownNameError, "'ig'. Did you mean 'd-ig'"),
        ({"preset": "dabi"}, UnknownNameError, "Did you mean 'dapi'"),
        ([], DataError, "mapping"),
    ],
)
def test_mistakes_are_named(values: Any, error: type[QuacError], text: str) -> None:
    with pytest.raises(error, match=text):
        ExplainSettings.from_dict(values)


@pytest.mark.parametrize(("name", "value"), [("grid", "fine"), ("source_basis", "guess")])
def test_unknown_choices_are_refused_in_python(name: str, value: str) -> None:
    with pytest.raises(UnknownNameError, match=value):
        ExplainSettings(**{name: value})


def test_methods_and_their_parameters_are_checked_against_the_classes() -> None:
    check_methods(CHANGED)
    with pytest.raises(UnknownNameError, match="Did you mean 'd-ig'"):
        check_methods(ExplainSettings(("d-igg",)))
    with pytest.raises(UnknownNameError, match="n_steps"):
        check_methods(ExplainSettings(("d-ig",), parameters={"d-ig": {"steps": 3}}))


def test_other_methods_keep_parameters_of_methods_and_preset() -> None:
    dapi = ExplainSettings.from_preset("dapi")
    few = dapi.with_methods(("d-ingrad", "ig"))
    assert few.parameters == {"d-ingrad": {"absolute": True}}
    assert few.with_methods(("residual",)).parameters == {"residual": {"absolute": True}}
    changed = few.with_methods(("d-ingrad", "ig"), {"ig": {"n_steps": 9}})
    assert changed.parameters == {"d-ingrad": {"absolute": True}, "ig": {"n_steps": 9}}
    kept = CHANGED.with_methods(("d-ig",))
    assert kept == replace(CHANGED, methods=("d-ig",))


def test_the_former_key_of_a_masking_is_read() -> None:
    settings = ExplainSettings.from_dict({"masking": {"closing": 4, "centred": True}})
    assert settings.masking == Masking(closing=4, centered=True)
    assert settings.to_dict()["masking"]["centered"] is True
    with pytest.raises(UnknownNameError, match="Did you mean 'centered'"):
        ExplainSettings.from_dict({"masking": {"centerd": True}})
