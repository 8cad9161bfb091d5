"""JSON, YAML and bytes within limits, and the guard of readers."""

from __future__ import annotations

import json
import math
import os

import pytest

from napari_quac.errors import CheckpointError, DataError
from napari_quac.reading import (
    MAX_NODES,
    DocumentError,
    parse_json,
    parse_yaml,
    read_bytes,
    read_json,
    read_yaml,
    reading_errors,
)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "[" * 101 + "]" * 101, '{"a":' * 200 + "1" + "}" * 200, '{"a": 1, "a": 2}',
        "[" + "{}," * 2_000_001 + "1]", "1" * 5000, "", "{", b"\xff\xff", b"\x80",
    ],
)  # fmt: skip
def test_json_beyond_the_limits_is_refused(text):
    with pytest.raises(DocumentError):
        parse_json(text)


def test_json_is_read_as_python_writes_it():
    values = {"a": [1, 2.5, None, True, "µ"], "b": {"c": [[]] * 150}}
    text = json.dumps(values)
    for content in (text, text.encode(), text.encode("utf-8-sig"), text.encode("utf-16")):
        assert parse_json(content) == values
    assert parse_json("[" * 99 + "]" * 99)
    assert math.isnan(parse_json("[NaN]")[0])


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "text",
    [
        "? [a]\n: 1", "!!map [1]", "!!str {a: 1}", "!!timestamp x", "!!int x", "&a [*a]", LAUGHS,
        "&a {<<: *a}", "a: 1\na: 2", "a: !!python/object:os.system {x: 1}", "- " * 500 + "a",
        "[" * 5000, "\x00", "a: \ud800", "[" + "a," * MAX_NODES + "a]", b"\xff\xfe\x00",
    ],
)  # fmt: skip
def test_yaml_beyond_the_limits_is_refused(text):
    with pytest.raises(DocumentError):
        parse_yaml(text)


def test_yaml_holds_plain_values():
    assert parse_yaml("a: &x [1, 2]\nb: *x\nc: 2024-01-01\n") == {
        "a": [1, 2], "b": [1, 2], "c": "2024-01-01"
    }  # fmt: skip
    lightning = "a: !!python/object:os.system {x: 1}\nb: !!python/tuple [1, 2]"
    assert parse_yaml(lightning, with_objects=True) == {"a": {"x": 1}, "b": [1, 2]}
    assert parse_yaml("") is None


def test_files_that_are_none_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(100))
    for name in ("pipe", ".", "missing", "x" * 300, "zero\0byte"):
        for read in (read_bytes, read_json, read_yaml):
            with pytest.raises(DataError):
                read(tmp_path / name)
    with pytest.raises(DataError, match="more than"):
        read_bytes(tmp_path / "large", 99)
    assert read_bytes(tmp_path / "large", 100) == bytes(100)


@pytest.mark.parametrize(
    "error", [ValueError("a\nb"), MemoryError(), OSError(5, "Input/output error"), RecursionError()]
)
def test_the_guard_turns_errors_of_libraries_into_one_sentence(error):
    with pytest.raises(CheckpointError, match=r"'x\.pt'.*again") as caught:
        with reading_errors("x.pt", error_type=CheckpointError):
            raise error
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"^as it is$"), reading_errors("x.pt"):
        raise DataError("as it is")
    with pytest.raises(KeyboardInterrupt), reading_errors("x.pt"):
        raise KeyboardInterrupt


def test_paths_that_cannot_be_are_no_files_anywhere(tmp_path):
    from napari_quac.generators.opening import is_network_folder
    from napari_quac.live.path_kind import kind_of_path
    from napari_quac.live.previous_runs import previous_runs
    from napari_quac.live.recent import RecentFile, RecentWork
    from napari_quac.reports.opening import open_report

    path = tmp_path / ("x" * 300)
    assert not is_network_folder(path)
    assert kind_of_path(path)
    assert previous_runs(path) == ()
    assert RecentWork((RecentFile("samples", str(path)),)).existing_files == ()
    with pytest.raises(DataError):
        open_report(path)
