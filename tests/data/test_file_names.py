"""Any text as a file name that every usual file system accepts, and no two the same."""

from __future__ import annotations

import ntpath
import sys
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_quac.data.file_names import file_name, file_names, file_path, safe_name
from napari_quac.reading import path_exists

ODD_NAMES = (
    *("..", ".", "", " ", "a/b", "a\\b", "a:b", "a=b,c", "a\nb", "a\0b", "😀", "ü" * 200),
    *("x" * 300, "con", "CON", "nul.txt", "COM1", "a.", "a ", " a", ".hidden", "e\u0301", "\ud800"),
    *("a?", "a*", 'a"b', "<a>", "a|b", "a_b", "a~0123456789", "\u2028", "~"),
)


def is_reserved(name: str) -> bool:
    if sys.version_info >= (3, 13):
        return ntpath.isreserved(name)
    return PureWindowsPath(name).is_reserved()


@pytest.mark.parametrize("name", ["GABA", "ACh +", "α-synuclein", "a=b,c", "layer 2.3", "😀"])
def test_usual_names_are_unchanged(name: str) -> None:
    assert file_name(name) == name


def test_odd_names_are_files_and_differ(tmp_path) -> None:
    names = [file_name(name) for name in ODD_NAMES]
    assert len({name.casefold() for name in names}) == len(ODD_NAMES) - 0
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.json").write_text("{}")
        assert not is_reserved(name)
        assert name == name.strip(" .")
    assert {path.name for path in tmp_path.iterdir()} == set(names)


@given(st.text(max_size=60), st.text(max_size=60))
def test_two_texts_have_two_names(first: str, second: str) -> None:
    for text in (first, second):
        name = file_name(text)
        assert name not in ("", ".", "..")
        assert len(name.encode()) <= 100
        assert not set(name) & set('<>:"/\\|?*\0\n')
    assert (file_name(first) == file_name(second)) == (first == second)
    both = file_names([first, second])
    assert len({name.casefold() for name in both.values()}) == len({first, second})


def test_paths_stay_in_their_folder() -> None:
    assert file_path("top/a").as_posix() == "top/a"
    for text in ("../../etc/passwd", "/etc/passwd", "a\\..\\b", "..", ""):
        path = file_path(text)
        assert not path.is_absolute()
        assert not {"..", ".", ""} & set(path.parts)


def test_path_that_is_too_long_does_not_exist() -> None:
    assert not path_exists("x" * 5000)
    assert not path_exists("a\0b")


def test_names_for_the_quac_library_are_words() -> None:
    assert safe_name("cell 3.0/left") == "cell_3_0_left"
    assert len(safe_name("x" * 300)) <= 100
    assert safe_name("x" * 300) != safe_name("x" * 301)
