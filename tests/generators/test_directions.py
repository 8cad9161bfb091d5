"""``SOURCE:TARGET=FILE`` with any class names."""

from __future__ import annotations

import pytest

from napari_quac.errors import CheckpointError
from napari_quac.generators.cyclegan.recipe import quote_direction, split_direction


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.pt"
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("names", "classes", "expected"),
    [
        ("left:right", (), ("left", "right")),
        (" left : right ", (), ("left", "right")),
        ("..:x y", (), ("..", "x y")),
        ("a=b:c", (), ("a=b", "c")),
        ("a:b=c", (), ("a", "b=c")),
        ("a:b:c", ("a:b", "c"), ("a:b", "c")),
        ("a:b:c", ("a", "b:c"), ("a", "b:c")),
        ('"a:b":c', (), ("a:b", "c")),
        ('"a:b":"c=d"', (), ("a:b", "c=d")),
        ('"a""b":c', (), ('a"b', "c")),
        ("x" * 300 + ":y", (), ("x" * 300, "y")),
        ("a\nb:c", (), ("a\nb", "c")),
    ],
)
def test_names_are_read(file, names, classes, expected) -> None:
    text = f"{names}={file}"
    assert split_direction(text, classes) == (*expected, file)
    assert split_direction(quote_direction(text, classes)) == (*expected, file)


def test_path_may_have_an_equals_sign(tmp_path) -> None:
    path = tmp_path / "lr=1:a" / "net.pt"
    path.parent.mkdir()
    path.write_bytes(b"")
    assert split_direction(f"a:b={path}") == ("a", "b", path)
    assert split_direction(str(path)) == ("", "", path)
    assert quote_direction(str(path), ()) == str(path)


def test_several_readings_are_refused(file) -> None:
    with pytest.raises(CheckpointError, match=r"in 2 ways.*double quotes"):
        split_direction(f"a:b:c={file}")


@pytest.mark.parametrize("text", ["a={}", ":b={}", "a:={}", "=net.pt"])
def test_missing_names_are_refused(file, text) -> None:
    with pytest.raises(CheckpointError, match="SOURCE:TARGET=FILE"):
        split_direction(text.format(file))


def test_missing_file_keeps_its_names(tmp_path) -> None:
    assert split_direction("a:b=missing.pt")[:2] == ("a", "b")
