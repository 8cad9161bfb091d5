"""Tables as spreadsheets, services and scripts write them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from napari_quac.data.tables.column_names import guess_columns
from napari_quac.data.tables.point_table import PointTable, read_point_table
from napari_quac.errors import DataError

ID = 2**60 + 1


def read(tmp_path: Path, text: str | bytes, name: str = "a.csv") -> PointTable:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_point_table(path)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (f'"id";"x";"y";"z"\n"{ID}";"1,5";"2";"3,25"\n', "a.csv", [3.25, 2, 1.5]),
        ("x\ty\tz\n-1,5\t2\t3\n", "a.tsv", [3, 2, -1.5]),
        ("x;y;z\n1.234,5;2.345;12,0\n", "a.csv", [12, 2.345, 1234.5]),
        ("x;y;z\n1.25;2.5;3\n", "a.csv", [3, 2.5, 1.25]),
        ("sep=;\nz;y;x\n1;2;3\n", "a.csv", [1, 2, 3]),
        ("# exported today\n\nz,y,x\n1,2,3\n", "a.csv", [1, 2, 3]),
        ("# z y x\n1 2 3\n", "a.txt", [1, 2, 3]),
        ("z  y  x\n 1  2  3 \n", "a.txt", [1, 2, 3]),
        ("z,y,x\r1,2,3\r", "a.csv", [1, 2, 3]),
        ("z,y,x,\r\n1,2,3,\r\n", "a.csv", [1, 2, 3]),
        ("\ufeffz,y,x\n1,2,3\n", "a.csv", [1, 2, 3]),
        ("z,y,x\n1,2,3\n".encode("utf-16"), "a.csv", [1, 2, 3]),
        ('id,position\n7,"[3, 2, 1]"\n', "a.csv", [1, 2, 3]),
        ('id,position\n7,"[3 2 1.5]"\n', "a.csv", [1.5, 2, 3]),
        ('id,at\n7,"[np.int64(3), np.int64(2), np.float64(1.5)]"\n', "a.csv", [1.5, 2, 3]),
        ('id,at\n7,"(np.float32(3.0), 2, 1)"\n', "a.csv", [1, 2, 3]),
        ('id,at\n7,"array([3, 2, 1])"\n', "a.csv", [1, 2, 3]),
        ('id,at\n7,"array([3, 2, 1], dtype=int32)"\n', "a.csv", [1, 2, 3]),
        ("id,at\n7,\"{'coordinates': [3, 2, 1], 'type': 'Point'}\"\n", "a.csv", [1, 2, 3]),
        ('id,at\n7,"{""x"": 3, ""y"": 2, ""z"": 1}"\n', "a.csv", [1, 2, 3]),
        ("id,at\n7,\"{'srid': 9157, 'x': 3, 'y': 2, 'z': 1}\"\n", "a.csv", [1, 2, 3]),
        ('Coordinate 1,Tags\n"(3, 2, 1)",\n', "a.csv", [1, 2, 3]),
        (gzip.compress(b"x,y,z\n3,2,1\n", mtime=0), "a.csv.gz", [1, 2, 3]),
        ("connector_id,X,Y,Z\n1,3,2,1\n", "a.df", [1, 2, 3]),
        ("centroid-0,centroid-1,centroid-2\n1,2,3\n", "a.csv", [1, 2, 3]),
        ("centerX,centerY,centerZ\n3,2,1\n", "a.csv", [1, 2, 3]),
    ],
)  # fmt: skip
def test_coordinates_come_out_in_the_order_z_y_x(
    tmp_path: Path, text: str | bytes, name: str, expected: list[float]
) -> None:
    table = read(tmp_path, text, name)
    columns = guess_columns(tuple(table.columns)).coordinates
    np.testing.assert_array_equal(table.coordinates(columns), [expected])


def test_ids_stay_exact_and_decimal_commas_are_told(tmp_path: Path) -> None:
    table = read(tmp_path, f"id;x;y;z\n{ID};1,5;2;3\n{ID + 1};4;5;6\n")
    assert table.texts("id") == (str(ID), str(ID + 1))
    assert table.notes(("z", "y", "x"), "id") == ["Commas are interpreted as decimal commas."]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('x,y,z\n"1,234",2,3\n', "'1,234' in the column 'x'.* with a decimal point"),
        ("x;y;z\n12.34,5;2;3\n", "'12.34,5' in the column 'x'"),
        ("x;y;z\n1,2,3;2;3\n", "'1,2,3' in the column 'x'"),
        ("x,y,z\n1 nm,2,3\n", "'1 nm'"),
        ("x,y,z\ninf,2,3\n", "not a position"),
        ("x,y,z\n,2,3\nNaN,1,1\n", "No row .* has numbers in all of z, y, x"),
        ('x,y,z,n\n1,2,3,"two\nlines"\n1,2\n', "Line 4 .* has 2 values"),
        ("x,y,z,Größe\n1,2,3,ä\n".encode("cp1252"), "line 1 is not UTF-8. Save it again"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(
    tmp_path: Path, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, text).positions(("z", "y", "x"))


def test_rows_without_a_position_are_left_out_and_counted(tmp_path: Path) -> None:
    table = read(tmp_path, "z,y,x,class\n1,2,3,a\n,,,\nnan,2,3,b\n4,5,,c\n7,8,9,d\n")
    values, rows = table.positions(("z", "y", "x"))
    assert rows.tolist() == [0, 3] and values.tolist() == [[1, 2, 3], [7, 8, 9]]
    assert table.notes(("z", "y", "x")) == ["2 rows have no position and will be skipped."]
    assert table.names_of(rows) == ["point 0", "point 3"]


def test_floating_point_ids_beyond_2_to_the_53_are_told(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"id": [float(ID), 5.0], "small": [5.0, 6.0], "position": [[3, 2, 1], [6, 5, 4]]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    table = read_point_table(tmp_path / "a.parquet")
    axes = guess_columns(tuple(table.columns)).coordinates
    assert table.coordinates(axes).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert "ids above 2⁵³ were rounded" in table.notes(axes, "id")[0]
    assert table.texts("small") == ("5", "6") and not table.notes(axes, "small")


@pytest.mark.parametrize(
    ("ids", "is_rounded"),
    [
        (["7.20576E+17", "7.20577E+17"], True),
        (["7,20576E+17", "7,20577E+17"], True),
        (["7.205759406e+17", "7.205759407e+17"], True),
        (["720575940600000000", "720575940700000000"], True),
        (["720575940628857210", "720575940628857211"], False),
        (["1000000", "2000000"], False),
        (["1e5", "2e5"], False),
        (["a", "b"], False),
    ],
)
def test_ids_that_a_spreadsheet_has_rounded(
    tmp_path: Path, ids: list[str], is_rounded: bool
) -> None:
    table = read(tmp_path, "id;z;y;x\n" + "".join(f"{text};1;2;3\n" for text in ids))
    notes = table.notes(("z", "y", "x"), "id")
    assert any("rounded" in note for note in notes) is is_rounded
