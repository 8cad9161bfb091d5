from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_quac.data.coordinate_reading import Reading, check_reading, count_readings
from napari_quac.data.tables.column_names import guess_columns, guess_table_columns
from napari_quac.data.tables.point_table import read_point_table
from napari_quac.data.volume import Volume
from napari_quac.data.volume_points_recipe import VolumePointsRecipe
from napari_quac.errors import DataError
from point_tables import write_point_table
from strategies import quick

from .volumes import volume_from_array

ID = 2**63 - 25  # no float is equal to it


def volume(unit: str | None = "nm") -> Volume:
    """40 × 4 × 4 nm, 12 × 512 × 600 voxels."""
    return volume_from_array(np.zeros((12, 512, 600), np.uint8), (40, 4, 4), unit=unit, name="em")


def positions(n: int = 1210, n_out: int = 6) -> np.ndarray:
    """Return points in voxels, all but the last few inside, spread over the whole volume."""
    points = np.random.default_rng(0).uniform(0, (11, 511, 599), (n, 3))
    points[n - n_out :] += (0, 5000, 0)
    return points


@pytest.mark.parametrize("ending", ["csv", "tsv", "feather", "parquet"])
def test_ids_beyond_2_to_the_53_are_exact(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"points.{ending}"
    ids = [ID, ID + 1, ID + 2]
    if ending in ("csv", "tsv"):
        write_point_table(path, np.eye(3), more={"synapse_id": ids})
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import feather, parquet

        columns = {"synapse_id": [*ids, None], **{axis: [0.1, 0.2, 0.3, 0.4] for axis in "zyx"}}
        table = pyarrow.table(columns)
        if ending == "feather":
            feather.write_feather(table, str(path))
        else:
            parquet.write_table(table, path)
    table_read = read_point_table(path)
    assert table_read.texts("synapse_id")[:3] == tuple(map(str, ids))
    assert guess_columns(tuple(table_read.columns)).id == "synapse_id"


@given(st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3), min_size=1,
                max_size=5))  # fmt: skip
@quick
def test_writing_then_reading_coordinates_is_exact(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float, float]]
) -> None:
    path = tmp_path_factory.mktemp("points") / "a.csv"
    write_point_table(path, rows)
    again = read_point_table(path).coordinates(("z", "y", "x"))
    np.testing.assert_array_equal(again, np.array(rows))


def test_text_with_commas_and_quotes_comes_back(tmp_path: Path) -> None:
    names = ['T-bar, "large"', "µ", " plain "]
    write_point_table(tmp_path / "a.csv", np.zeros((3, 3)), more={"class": names})
    assert read_point_table(tmp_path / "a.csv").texts("class") == ('T-bar, "large"', "µ", "plain")


@pytest.mark.parametrize(
    ("names", "coordinates", "unit"),
    [
        (["z", "y", "x", "class"], ("z", "y", "x"), ""),
        (["x", "y", "z"], ("z", "y", "x"), ""),
        (["pre_x [nm]", "pre_y [nm]", "pre_z [nm]"], ("pre_z [nm]", "pre_y [nm]", "pre_x [nm]"),
         "nm"),
        (["Z_um", "Y_um", "X_um"], ("Z_um", "Y_um", "X_um"), "µm"),
        (["index", "axis-0", "axis-1", "axis-2"], ("axis-0", "axis-1", "axis-2"), "voxel"),
        (["a", "b", "c"], (), ""),
        (["post_x", "pre_y", "pre_z", "pre_x", "post_y", "post_z"], ("pre_z", "pre_y", "pre_x"),
         ""),
        (["post_x", "post_y", "post_z", "ctr_x", "ctr_y", "ctr_z"], ("ctr_z", "ctr_y", "ctr_x"),
         ""),
        (["pre_x", "pre_y", "pre_z", "x", "y", "z"], ("z", "y", "x"), ""),
        (["x_nm", "y_nm", "z", "x", "y", "z_nm"], ("z_nm", "y_nm", "x_nm"), "nm"),
        (["x_nm", "y_nm", "z"], (), ""),
        (["x_pos", "y_pos", "z_section"], ("z_section", "y_pos", "x_pos"), ""),
        (["pre_x", "post_y", "pre_z"], (), ""),
        (["bodyId_pre", "x_pre", "y_pre", "z_pre", "x_post", "y_post", "z_post"],
         ("z_pre", "y_pre", "x_pre"), ""),
        (["Connector ID", "X", "Y", "Z"], ("Z", "Y", "X"), ""),
        (["ctr_pt_position_x", "ctr_pt_position_y", "ctr_pt_position_z", "pre_pt_position_x",
          "pre_pt_position_y", "pre_pt_position_z"],
         ("pre_pt_position_z", "pre_pt_position_y", "pre_pt_position_x"), ""),
        (["ctr_pt_position[0]", "ctr_pt_position[1]", "ctr_pt_position[2]", "pre_pt_position[0]",
          "pre_pt_position[1]", "pre_pt_position[2]"],
         ("pre_pt_position[2]", "pre_pt_position[1]", "pre_pt_position[0]"), ""),
        (["ctr_pos_x_vx", "ctr_pos_y_vx", "ctr_pos_z_vx"],
         ("ctr_pos_z_vx", "ctr_pos_y_vx", "ctr_pos_x_vx"), "voxel"),
        (["presyn_x", "presyn_y", "presyn_z", "centroid_x", "centroid_y", "centroid_z"],
         ("presyn_z", "presyn_y", "presyn_x"), ""),
    ],
)  # fmt: skip
def test_columns_are_guessed(names: list[str], coordinates: tuple[str, ...], unit: str) -> None:
    guess = guess_columns(names)
    assert (guess.coordinates, guess.unit) == (coordinates, unit)


def test_columns_of_services(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "Connector ID,bodyId,type,X,Y,Z,class\n5,1,pre,1,2,3,gaba\n6,1,post,4,5,6,ach\n"
    )
    guess = guess_table_columns(read_point_table(tmp_path / "a.csv"))
    assert (guess.id, guess.label) == ("Connector ID", "class")
    (tmp_path / "b.csv").write_text("bodyId,type,x,y,z\n1,pre,1,2,3\n1,post,4,5,6\n")
    guess = guess_table_columns(read_point_table(tmp_path / "b.csv"))
    assert (guess.id, guess.label, guess.group) == ("", "", "bodyId")
    (tmp_path / "c.csv").write_text("type,x,y,z\nround,1,2,3\npre,4,5,6\n")
    assert guess_table_columns(read_point_table(tmp_path / "c.csv")).label == "type"


def test_assumptions_about_a_table_are_stated(tmp_path: Path) -> None:
    np.save(tmp_path / "em.npy", np.zeros((12, 100, 100), np.uint8))
    text = "id,pre_z,pre_y,pre_x,post_z,post_y,post_x,class\n7.20576E+17,2,50,60,3,50,60,a\n"
    (tmp_path / "a.csv").write_text(text)
    recipe = VolumePointsRecipe(tmp_path / "em.npy", tmp_path / "a.csv", (1, 16, 16))
    sentences = [str(note) for note in recipe.load().further_assumptions]
    assert sentences == [
        "The coordinates are the columns pre_z, pre_y, pre_x. The table also has post_x; choose "
        "the site.",
        "Coordinates are read in voxels in the order z-y-x: 1 of 1 inside.",
        "The ids of 'id' are used as they are, rounded: 7.20576E+17.",
        "The classes are those of the column 'class' (setting label column).",
    ]
    stated = replace(
        recipe, columns=("pre_z", "pre_y", "pre_x"), unit="voxel", id_column="-", label_column="-"
    )
    assert stated.load().further_assumptions == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "empty"),
        ("z,y,x\n", "no rows"),
        ("1,2,3\n4,5,6\n", "Add a line of column names"),
        ("z,y,x\n1,2\n", "Line 2 .* has 2 values"),
        ("z,y,z\n1,2,3\n", "two columns of the same name"),
        ("z,y,x\n1,2,three\n", "Row 1 .* has 'three' in the column 'x'"),
        ("z,y,x\n1,nan,3\n", "not a position"),
        ("z,y\n1,2\n", "no column 'x'"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_point_table(path).coordinates(("z", "y", "x"))


@pytest.mark.parametrize("unit", ["voxel", "nm", "µm"])
@pytest.mark.parametrize("order", ["z-y-x", "x-y-z"])
@pytest.mark.parametrize("known_unit", ["nm", "µm", None])
def test_reading_that_puts_most_inside_is_proposed(
    unit: str, order: str, known_unit: str | None
) -> None:
    points = positions()
    factor = {"voxel": 1, "nm": np.array([40, 4, 4]), "µm": np.array([40, 4, 4]) / 1000}[unit]
    values = points * factor if order == "z-y-x" else (points * factor)[:, ::-1]
    where = volume(known_unit)
    if known_unit == "µm":
        where = volume_from_array(where.finest.array, (0.04, 0.004, 0.004), unit="µm", name="em")
    best = count_readings(values, where)[0]
    assert (best.reading.order, best.reading.unit) == (order, unit)
    assert best.sentence() == "1 204 of 1 210 inside"
    np.testing.assert_allclose(
        where.finest.transform.to_voxel(best.reading.to_world(values, where)), points, atol=1e-6
    )


def test_names_decide_the_order_in_a_volume_of_equal_sides() -> None:
    cube = volume_from_array(np.zeros((100, 100, 100), np.uint8), (8, 8, 8), unit="nm")
    values = np.random.default_rng(1).uniform(0, 99, (50, 3))
    assert count_readings(values, cube)[0].reading == Reading("z-y-x", "voxel")


def test_reading_with_nothing_inside_is_refused_with_the_one_that_fits() -> None:
    values = positions() * (40, 4, 4)
    values[-6:] = -1e6
    with pytest.raises(DataError) as caught:
        check_reading(Reading("z-y-x", "µm"), values, volume())
    assert str(caught.value) == "0 of 1 210 inside. Read as nm (40, 4, 4): 1 204 inside."


def test_wrong_order_is_refused_and_the_right_one_is_named() -> None:
    values = np.array([[300.0, 200.0, 5.0], [310.0, 200.0, 5.0]])
    with pytest.raises(DataError) as caught:
        check_reading(Reading("z-y-x", "voxel"), values, volume())
    assert str(caught.value) == "0 of 2 inside. Read as voxels, x-y-z: 2 inside."


def test_points_that_are_outside_however_they_are_read() -> None:
    with pytest.raises(DataError, match="0 of 2 inside for every axis order and unit"):
        check_reading(Reading(), np.full((2, 3), -900.0), volume())


def test_voxel_size_is_needed_where_the_volume_has_none() -> None:
    plain = volume_from_array(np.zeros((12, 512, 600), np.uint8), name="em")
    values = positions() * (40, 4, 4)
    best = count_readings(values, plain, voxel_nm=(40, 4, 4))[0]
    assert best.reading.unit == "nm" and best.n_inside == 1204
