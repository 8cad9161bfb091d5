"""Classes of a generator that have other names are never matched by their position."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from commands.test_explain import arguments
from napari_quac.cli import main

SPELLED = {"dark": "night", "bright": "day"}


@pytest.fixture
def renamed(folders: Path) -> Path:
    """The folders of generated images, named in other words."""
    top = folders / "made/latent"
    for folder in sorted(top.glob("*/*"), reverse=True):
        folder.rename(folder.with_name(SPELLED[folder.name]))
    for folder in sorted(top.glob("*")):
        folder.rename(folder.with_name(SPELLED[folder.name]))
    return folders


def test_other_classes_are_refused_until_they_are_matched(worked_example, renamed, capsys):
    (renamed / "samples/dark/b.npy").unlink()
    command = arguments(worked_example, renamed, "--samples", str(renamed / "samples"))
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "none of the classes" in error
    assert "--class-map" in error
    assert not (renamed / "out/store.json").exists()
    assert main([*command, "--class-map", "night=dark,day=brigth"]) == 2
    assert "'brigth'" in capsys.readouterr().err
    assert main([*command, "--class-map", "night=dark,day=bright"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["class_map"] == {"day": "bright", "night": "dark"}
    assert all(record["switches"] for record in document["explanations"])
    plan = json.loads((renamed / "out/store.json").read_text())["plan"]
    assert plan["class_map"] == {"night": "dark", "day": "bright"}
    plan["output"] = str(renamed / "again")
    (renamed / "plan.yaml").write_text(yaml.safe_dump(plan))
    assert main(["run", "--trust", str(renamed / "plan.yaml")]) == 0


def test_another_spelling_is_an_assumption(worked_example, renamed, capsys):
    for folder in sorted((renamed / "made/latent").glob("*/*"), reverse=True):
        folder.rename(folder.with_name({"night": "Dark", "day": "BRIGHT"}[folder.name]))
    for folder in sorted((renamed / "made/latent").glob("*")):
        folder.rename(folder.with_name({"night": "Dark", "day": "BRIGHT"}[folder.name]))
    (renamed / "samples/dark/b.npy").unlink()
    assert main(arguments(worked_example, renamed, "--samples", str(renamed / "samples"))) == 0
    document = json.loads(capsys.readouterr().out)
    assert any("'Dark' is taken for 'dark'" in text for text in document["assumptions"])
    assert all(record["switches"] for record in document["explanations"])


@pytest.mark.parametrize("text", ["night", "=dark"])
def test_a_map_needs_pairs(text, capsys):
    with pytest.raises(SystemExit):
        main(["explain", "--class-map", text])
    assert "GENERATOR_CLASS=CLASSIFIER_CLASS" in capsys.readouterr().err
