"""Options that are written as the help prints them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from napari_quac.commands.shared import REPEATABLE, REQUIRED, add_options

OPTIONS = """
    --out|--output DIR    output folder, in
                          two lines
    --tries N             proposals [default: 100]
    --range LO HI         two numbers
    --files FILE ...      one or more
    --preset quac|dapi    a choice [default: quac]
    --target CLASS|auto   no choice (default: auto)
    --setting NAME=VALUE  any number of times
    --resume
    """


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, OPTIONS, out=REQUIRED, setting=REPEATABLE)
    return parser


def test_defaults_and_types_follow_the_text():
    assert vars(parser().parse_args(["--output", "folder"])) == {
        "out": Path("folder"),
        "tries": 100,
        "range": None,
        "files": None,
        "preset": "quac",
        "target": None,
        "setting": [],
        "resume": False,
    }
    arguments = "--out a --range 0 .5 --files b c --setting d=1 --setting e=2 --target x --resume"
    options = parser().parse_args(arguments.split())
    assert (options.range, options.files) == ([0.0, 0.5], [Path("b"), Path("c")])
    assert (options.setting, options.target, options.resume) == (["d=1", "e=2"], "x", True)


@pytest.mark.parametrize("wrong", ["--preset other", "--tries many", "--range 1"])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(argparse.ArgumentError):
        parser().parse_args(["--out", "a", *wrong.split()])


def test_the_help_joins_lines_and_names_the_default():
    text = " ".join(parser().format_help().split())
    assert "--output DIR output folder, in two lines" in text
    assert "proposals (default: 100)" in text
    assert "--preset quac|dapi a choice (default: quac)" in text
