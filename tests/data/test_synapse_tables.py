"""Tables of synapses as services and papers publish them: columns, formats, rows, labels."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_quac.data.tables.column_names import CLASS, PROBABILITY, guess_table_columns
from napari_quac.data.tables.hdf5_annotations import has_annotations
from napari_quac.data.tables.join import Join, join_labels
from napari_quac.data.tables.point_table import PointTable, read_point_table
from napari_quac.data.tables.row_filter import Condition, RowFilter, parse_conditions
from napari_quac.data.tables.sqlite_table import SqliteTable
from napari_quac.data.volume_points_recipe import VolumePointsRecipe
from napari_quac.errors import DataError
from napari_quac.large_files import LargeFileError, require_questions
from napari_quac.stepwise import Canceled
from strategies import quick

ROOT = 720575940628842314


def xyz(pattern: str) -> list[str]:
    return [pattern.replace("*", axis) for axis in "xyz"]


TRANSMITTERS = ["gaba", "ach", "glut", "oct", "ser", "da"]
LAYOUTS: dict[str, tuple[list[str], str, str, str, str]] = {
    # columns; last column of the coordinates, id, label, group
    "flywire": (["id", "pre_pt_root_id", "post_pt_root_id", "connection_score", "cleft_score",
                 *TRANSMITTERS, "neuropil", *xyz("pre_pt_position_*"), *xyz("post_pt_position_*")],
                "pre_pt_position_x", "id", CLASS, "pre_pt_root_id"),
    "codex": (["pre_root_id", "post_root_id", *"xyz"], "x", "", "", "pre_root_id"),
    "princeton": ([*xyz("pre_*"), *xyz("post_*"), *xyz("ctr_*"), "size",
                   "pre_root_id_720575940", "post_root_id_720575940", "neuropil"],
                  "pre_x", "", "", "pre_root_id"),
    "cave": (["id", "size", "pre_pt_root_id", "post_pt_root_id", "ctr_pt_position",
              "pre_pt_position", "post_pt_position"], "pre_pt_position[0]", "id", "",
             "pre_pt_root_id"),
    "cave split": (["id", *xyz("ctr_pt_position_*"), *xyz("pre_pt_position_*"),
                    "pre_pt_root_id"], "pre_pt_position_x", "id", "", "pre_pt_root_id"),
    "fafbseg": (["pre", "post", *xyz("pre_*"), *xyz("post_*"), "cleft_score", "offset"], "pre_x",
                "offset", "", "pre"),
    "neuprint synapses": (["bodyId", "type", "roi", *"xyz", "confidence"], "x", "", "", "bodyId"),
    "neuprint connections": (["bodyId_pre", "bodyId_post", *xyz("*_pre"), *xyz("*_post"),
                              "confidence_pre", "confidence_post", "roi_pre"], "x_pre", "", "",
                             "bodyId_pre"),
    "catmaid export": (["Connector ID", "X", "Y", "Z"], "X", "Connector ID", "", ""),
    "catmaid": (["connector_id", *"xyz"], "x", "connector_id", "", ""),
    "catmaid nodes": (["treenode_id", *"xyz"], "x", "treenode_id", "", ""),
    "navis": (["connector_id", "node_id", "type", *"xyz"], "x", "connector_id", "", ""),
    "synistereq": (["position_id", "skid", *"xyz", "gaba", "acetylcholine", "glutamate",
                    "serotonin", "octopamine", "dopamine"], "x", "position_id", CLASS, "skid"),
    "synister": (["synapse_id", *"xyz", "skeleton_id", "neurotransmitter"], "x", "synapse_id",
                 "neurotransmitter", "skeleton_id"),
    "bancr": (["connector_id", "pre_id", "post_id", "prepost", "size", *"XYZ"], "X",
              "connector_id", "", "pre_id"),
    "banc": (["cleft_segid", *xyz("centroid_*"), *xyz("presyn_*"), *xyz("postsyn_*")], "presyn_x",
             "cleft_segid", "", ""),
    "microns": (["id", *xyz("ctr_pos_*_vx"), "cleft_vx"], "ctr_pos_x_vx", "id", "", ""),
    "codex neurons": (["root_id", *"xyz", "da_avg", "ser_avg", "gaba_avg", "glut_avg", "ach_avg",
                       "oct_avg"], "x", "", CLASS, "root_id"),
    "classifier": (["id", *"xyz", "p(round)", "p(spiky)"], "x", "id", CLASS, ""),
    "softmax": (["id", *"xyz", "round", "spiky", "flat"], "x", "id", CLASS, ""),
}  # fmt: skip


def cell(name: str, row: int) -> Any:
    """A value as the column of that name has it."""
    low = name.lower()
    if low.endswith("position"):
        return f"[{row + 1}, {row + 2}, {row + 3}]"
    if low.replace("_", "") in ("type", "prepost"):
        return ("pre", "post")[row % 2]
    if low == "neurotransmitter":
        return TRANSMITTERS[row % 3]
    if "720575940" in low:
        return 628842314 + row
    if low.replace("_", "").replace(" ", "").endswith("id") or low in ("pre", "post", "skid",
                                                                       "offset"):  # fmt: skip
        return ROOT + row
    classes = [*TRANSMITTERS, "acetylcholine", "glutamate", "serotonin", "octopamine", "dopamine"]
    if low.removesuffix("_avg") in classes or low in ("p(round)", "round"):
        return 0.6 if low.startswith(("gaba", "p(round)", "round")) else 0.08
    if low in ("p(spiky)", "flat"):
        return 0.4 if low == "p(spiky)" else 0.1
    if low == "spiky":
        return 0.3
    return row + 1


def variants(name: str) -> list[str]:
    """Spellings of a name."""
    words = name.split("_")
    camel = words[0] + "".join(word.capitalize() if len(word) > 1 else word.upper()
                               for word in words[1:])  # fmt: skip
    return [name, name.upper(), camel, name.replace("_", " ").title(), name.replace("_", "-")]


def write_csv(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("spelling", range(5))
def test_columns_of_published_tables(tmp_path: Path, layout: str, spelling: int) -> None:
    columns, last, identifier, label, group = LAYOUTS[layout]
    names = [variants(name)[spelling] for name in columns]
    rows = [[cell(name, row) for name in columns] for row in range(4)]
    table = read_point_table(write_csv(tmp_path / "a.csv", names, rows))
    guess = guess_table_columns(table)
    respelled = dict(zip(columns, names, strict=True))
    respelled |= {f"{old}[0]": f"{new}[0]" for old, new in respelled.items()}
    prefixed = variants("pre_root_id")[spelling]
    respelled["pre_root_id"] = respelled.get("pre_root_id", prefixed)

    def found(name: str) -> str:
        return respelled.get(name, name)

    assert guess.coordinates[-1] == found(last)
    assert guess.id == found(identifier)
    if label == CLASS:
        assert guess.label == "" and len(guess.probabilities) > 1
        assert set(table.texts(CLASS)) <= {"gaba", "round"}
        assert float(table.texts(PROBABILITY)[0]) == 0.6
    else:
        assert guess.label == found(label) and CLASS not in table.columns
    if layout == "princeton" and spelling:
        return  # the prefix belongs to a name that is written as Codex does
    assert guess.group == found(group)


def test_sites_are_a_choice(tmp_path: Path) -> None:
    names = [*xyz("pre_*"), *xyz("post_*"), *xyz("ctr_*"), "pre_root_id", "post_root_id"]
    table = read_point_table(write_csv(tmp_path / "a.csv", names, [range(11)]))
    for site, column, group in (("", "pre_x", "pre_root_id"), ("pre", "pre_x", "pre_root_id"),
                                ("post", "post_x", "post_root_id"),
                                ("center", "ctr_x", "pre_root_id")):  # fmt: skip
        guess = guess_table_columns(table, site=site)
        assert (guess.coordinates[-1], guess.group) == (column, group)
        assert guess.site == (site or "pre")
        assert len(guess.others) == 2


def small_table() -> dict[str, list[Any]]:
    return {
        "synapse_id": [ROOT, ROOT + 1, ROOT + 2],
        "x": [1.5, 2.0, 3.0], "y": [4, 5, 6], "z": [7, 8, 9], "class": ["a", "b", None],
    }  # fmt: skip


def as_rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def arrow(path: Path, kind: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import feather, parquet

    table = pyarrow.table(small_table())
    parquet.write_table(table, path) if kind == "parquet" else feather.write_feather(
        table, str(path), version=2 if kind == "feather" else 1
    )


def text(path: Path, separator: str = ",", packed: bool = False) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator)
    writer.writerows([small_table(), *zip(*small_table().values(), strict=True)])
    content = stream.getvalue().encode()
    path.write_bytes(gzip.compress(content) if packed else content)


def sqlite(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE notes (text)")
        database.execute("CREATE TABLE links (synapse_id INTEGER, x REAL, y, z, class TEXT)")
        rows = [tuple(row.values()) for row in as_rows(small_table())]
        database.executemany("INSERT INTO links VALUES (?, ?, ?, ?, ?)", rows)
    database.close()


FORMATS: dict[str, Callable[[Path], None]] = {
    "csv": text,
    "tsv": lambda path: text(path, "\t"),
    "csv.gz": lambda path: text(path, packed=True),
    "tsv.gz": lambda path: text(path, "\t", packed=True),
    "df": text,
    "feather": lambda path: arrow(path, "feather"),
    "old feather": lambda path: arrow(path, "feather 1"),
    "parquet": lambda path: arrow(path, "parquet"),
    "sqlite": sqlite,
    "json list": lambda path: path.write_text(json.dumps(as_rows(small_table()))) and None,
    "json lines": lambda path: path.write_text(
        "\n".join(map(json.dumps, as_rows(small_table())))) and None,
    "json columns": lambda path: path.write_text(json.dumps(small_table())) and None,
    "json in an object": lambda path: path.write_text(
        json.dumps({"version": 3, "synapses": as_rows(small_table())})) and None,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Feather V1:DeprecationWarning")
@pytest.mark.parametrize("name", ["as it is", "a.bin", "wrong.csv"])
@pytest.mark.parametrize("kind", FORMATS)
def test_formats_are_told_by_their_content(tmp_path: Path, kind: str, name: str) -> None:
    ending = kind.split()[0] if kind != "old feather" else "feather"
    path = tmp_path / (name if name != "as it is" else f"table.{ending}")
    FORMATS[kind](path)
    table = read_point_table(path)
    guess = guess_table_columns(table)
    assert guess.id == "synapse_id" and guess.label == "class"
    assert table.texts("synapse_id") == tuple(str(ROOT + n) for n in range(3))
    assert table.texts("class") == ("a", "b", "")
    np.testing.assert_array_equal(
        table.positions(guess.coordinates)[0], [[7, 4, 1.5], [8, 5, 2], [9, 6, 3]]
    )
    chosen = read_point_table(path, RowFilter(parse_conditions(f"synapse_id = {ROOT + 1}")))
    assert chosen.texts("class") == ("b",)
    assert chosen.names_of(np.array([0]), "") == ["point 1"]
    assert chosen.facts[0].startswith("1 of 3 rows are read")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04 a", "spreadsheet"), (b"\x80\x04\x95", "pickle"), (b"%PDF-1.7", "PDF"),
        (b'{"a": [1, 2', "no complete JSON"), (b'{"a": 1}', "no list of objects"),
        (b"SQLite format 3\x00 damaged", "SQLite"), (b"PAR1 damaged PAR1", "damaged"),
        (b"\x1f\x8b damaged", "cannot be read"), (b"\x93NUMPY\x01\x00", "array"),
    ],
)  # fmt: skip
def test_other_content_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    if content[:4] in (b"PAR1", b"ARRO"):
        pytest.importorskip("pyarrow")
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_point_table(tmp_path / "a.csv")


def test_databases_with_several_tables_ask_for_one(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as database:
        for name in ("first", 'the "second"'):
            quoted = name.replace('"', '""')
            database.execute(f'CREATE TABLE "{quoted}" (id, x, y, z)')
            database.execute(f'INSERT INTO "{quoted}" VALUES (?, 1, 2, 3)', [name])
        database.execute("CREATE VIEW trap AS SELECT load_extension('evil') AS x, 1 AS y, 2 AS z")
    database.close()
    with pytest.raises(DataError, match=r"2 tables with coordinates.*--table"):
        read_point_table(path)
    assert read_point_table(path, table='the "second"').texts("id") == ('the "second"',)
    with pytest.raises(DataError, match="no table 'trap'"):
        read_point_table(path, table="trap")


def test_annotations_of_cremi_are_synapses_in_nm(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "sample.hdf"
    with h5py.File(path, "w") as file:
        file["volumes/raw"] = np.zeros((4, 20, 20), np.uint8)
        file["volumes/raw"].attrs["resolution"] = (40.0, 4.0, 4.0)
        group = file.create_group("annotations")
        group.attrs["offset"] = (40.0, 0.0, 4.0)
        group["ids"] = np.array([5, 7, 9], np.uint64)
        group["types"] = np.array([b"presynaptic_site", b"postsynaptic_site", b"soma"])
        group["locations"] = np.array([[0, 8, 8], [40, 12, 16], [80, 0, 0.0]])
        group["presynaptic_site/partners"] = np.array([[5, 7]], np.uint64)
    table = read_point_table(path)
    guess = guess_table_columns(table)
    assert guess.coordinates == ("pre_z_nm", "pre_y_nm", "pre_x_nm") and guess.unit == "nm"
    np.testing.assert_array_equal(table.positions(guess.coordinates)[0], [[40, 8, 12]])
    post = guess_table_columns(table, site="post")
    np.testing.assert_array_equal(table.positions(post.coordinates)[0], [[80, 12, 20]])
    points = VolumePointsRecipe(path, path, (1, 4, 4), dataset="volumes/raw").load()
    assert points.center_world(0) == (40, 8, 12)


STATE = {
    "dimensions": {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]},
    "layers": [
        {"type": "image", "source": "precomputed://gs://bucket/em", "name": "em"},
        {"type": "annotation", "name": "synapses", "source": "local://annotations",
         "annotations": [{"type": "line", "id": "a", "pointA": [1, 2, 3], "pointB": [4, 5, 6],
                          "description": "gaba"}]},
    ],
}  # fmt: skip


def test_states_of_neuroglancer_are_tables(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(json.dumps(STATE))
    table = read_point_table(tmp_path / "state.json")
    guess = guess_table_columns(table)
    assert (guess.id, guess.unit) == ("id", "nm")
    np.testing.assert_allclose(table.positions(guess.coordinates)[0], [[120, 8, 4]])
    post = guess_table_columns(table, site="post").coordinates
    np.testing.assert_allclose(table.positions(post)[0], [[240, 20, 16]])


def test_blank_ids_and_prefixes_are_completed_and_stated(tmp_path: Path) -> None:
    names = ["pre_root_id", "post_root_id", "x", "y", "z"]
    rows = [[ROOT, 1, 1, 1, 1], ["", "", 2, 2, 2], ["", "", 3, 3, 3], [ROOT + 1, "", 4, 4, 4],
            ["", 2, 5, 5, 5]]  # fmt: skip
    path = write_csv(tmp_path / "a.csv.gz", names, rows)
    path.write_bytes(gzip.compress(path.read_bytes()))
    table = read_point_table(path)
    assert table.texts("pre_root_id") == tuple(map(str, [ROOT] * 3 + [ROOT + 1] * 2))
    assert table.texts("post_root_id") == ("1", "1", "1", "1", "2")
    assert table.facts == (
        "Empty ids in 'post_root_id' and 'pre_root_id' are those of the row above.",
    )
    chosen = read_point_table(path, RowFilter(parse_conditions(f"pre_root_id = {ROOT}")))
    assert chosen.texts("x") == ("1", "2", "3")
    few = write_csv(tmp_path / "b.csv", names, [*rows[:1], *rows[:1], rows[1]])
    assert read_point_table(few).texts("pre_root_id")[-1] == ""
    names = ["pre_root_id_720575940", *"xyz"]
    path = write_csv(tmp_path / "c.csv", names, [[628842314, 1, 2, 3], [1, 4, 5, 6]])
    table = read_point_table(path)
    assert table.texts("pre_root_id") == (str(ROOT), "720575940000000001")
    assert "begin with 720575940" in table.facts[0]
    chosen = read_point_table(path, RowFilter(parse_conditions(f"pre_root_id in {ROOT}, 7")))
    assert chosen.texts("x") == ("1",)


def test_resolutions_of_data_frames_are_used(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"id": [1], "pre_pt_position": [[10, 20, 30]]})
    frame.attrs = {"dataframe_resolution": [4, 4, 40], "table_name": "synapses"}
    frame.to_parquet(tmp_path / "a.parquet")
    table = read_point_table(tmp_path / "a.parquet")
    columns = guess_table_columns(table).coordinates
    np.testing.assert_array_equal(table.positions(columns)[0], [[1200, 80, 40]])
    assert "40 × 4 × 4 nm (z × y × x), as the file states" in table.facts[0]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("score >= 50", [0, 2]), ("score<50", [1]), ("score = 50", [0]), ("score != 50", [1, 2]),
        ("kind = 'two words'", [1]), ("kind in a, 'two words'", [0, 1]),
        (f"id in {ROOT}, {ROOT + 2} and score > 50", [2]), (f"id = {ROOT + 1}", [1]),
        ("score in 50.0", [0]), ("score == 7e1", [2]), ("score > 1e9", []),
        (f"id >= {ROOT}", [0, 1, 2]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["csv", "parquet", "feather", "sqlite"])
def test_conditions(tmp_path: Path, text: str, rows: list[int], kind: str) -> None:
    columns: dict[str, list[Any]] = {
        "id": [ROOT, ROOT + 1, ROOT + 2, ROOT + 3], "score": [50, 3, 70, None],
        "kind": ["a", "two words", "b", None], **{axis: [1, 2, 3, 4] for axis in "xyz"},
    }  # fmt: skip
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        write_csv(path, list(columns), list(zip(*columns.values(), strict=True)))
    elif kind == "sqlite":
        with sqlite3.connect(path) as database:
            database.execute(f"CREATE TABLE t ({', '.join(columns)})")
            values = list(zip(*columns.values(), strict=True))
            database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", values)
        database.close()
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import feather, parquet

        table = pyarrow.table(columns)
        parquet.write_table(table, path) if kind == "parquet" else feather.write_feather(
            table, str(path)
        )
    wanted = RowFilter(parse_conditions(text))
    if f"id >= {ROOT}" == text:
        rows = [*rows, 3]
    if not rows:
        with pytest.raises(DataError, match="None of the 4 rows"):
            read_point_table(path, wanted)
        return
    table = read_point_table(path, wanted)
    assert table.texts("id") == tuple(str(ROOT + row) for row in rows)
    assert table.numbers is not None and table.numbers.tolist() == rows


@pytest.mark.parametrize(
    "text", ["score", "score >=", "score ~ 5", "score >= a", "a = 1 or b = 2", "a = 1 and", ">= 5",
             'a = "b'],
)  # fmt: skip
def test_conditions_that_are_none(text: str) -> None:
    with pytest.raises(DataError):
        parse_conditions(text)


PARTS = st.tuples(
    st.text(max_size=5),
    st.sampled_from(["=", "!=", "in"]),
    st.lists(st.text(max_size=5), min_size=1, max_size=3),
)


@given(st.lists(PARTS, max_size=3))
@quick
def test_written_conditions_come_back(parts: list[tuple[str, str, list[str]]]) -> None:
    made = tuple(
        Condition(name, symbol, tuple(values if symbol == "in" else values[:1]))
        for name, symbol, values in parts
    )
    made = tuple(
        entry for entry in made if not any('"' in t for t in (entry.column, *entry.values))
        and not (entry.operator == "in" and entry.values[0].endswith((".txt", ".csv")))
    )  # fmt: skip
    assert parse_conditions(" and ".join(map(str, made))) == made


def test_ids_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text(f"root_id\n{ROOT}\n{ROOT + 1}\n{ROOT}\n")
    (condition,) = parse_conditions(f"pre_root_id in '{tmp_path / 'ids.txt'}'")
    assert condition.values == (str(ROOT), str(ROOT + 1))


def test_random_rows_are_the_same_in_all_formats(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import feather, parquet

    n = 50_000
    names = np.where(np.arange(n) % 10 == 0, "rare", np.where(np.arange(n) == 777, "once", "often"))
    columns = {"id": np.arange(n), **{axis: np.arange(n) for axis in "xyz"}, "class": names}
    table = pyarrow.table(columns)
    feather.write_feather(table, str(tmp_path / "a.feather"), chunksize=1000)
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=7000)
    write_csv(tmp_path / "a.csv", list(columns), list(zip(*columns.values(), strict=True)))
    rows = RowFilter(n_random=50, seed=3)
    drawn = [read_point_table(tmp_path / f"a.{end}", rows) for end in ("csv", "feather", "parquet")]
    for one in drawn:
        counts = dict(zip(*np.unique(one.texts("class"), return_counts=True), strict=True))
        assert counts == {"often": 50, "once": 1, "rare": 50}
        assert one.texts("id") == drawn[0].texts("id")
        assert "50 at random of each class of 50 000 (seed 3)" in one.facts[0]
    other = read_point_table(tmp_path / "a.csv", RowFilter(n_random=50, seed=4))
    assert other.texts("id") != drawn[0].texts("id")
    mean = np.mean([int(name) for name in drawn[0].texts("id")])
    assert abs(mean - n / 2) < 4 * n / np.sqrt(12 * 100)  # four standard errors


def test_long_tables_ask_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    monkeypatch.setattr("napari_quac.data.tables.point_table.MANY_ROWS", 100)
    columns = {"id": np.arange(200), **{axis: np.arange(200) for axis in "xyz"}}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    outcome: list[Any] = []

    def read(rows: RowFilter) -> None:
        require_questions()
        try:
            outcome.append(len(read_point_table(tmp_path / "a.parquet", rows)))
        except LargeFileError as error:
            outcome.append(str(error))

    for rows in (RowFilter(), RowFilter(parse_conditions("x < 5"))):
        thread = threading.Thread(target=read, args=(rows,))
        thread.start()
        thread.join()
    assert "has 200 rows" in outcome[0] and outcome[1] == 5


def test_labels_of_neurons_are_joined(tmp_path: Path) -> None:
    names = ["id", "pre_root_id", *"xyz"]
    rows = [[n, ROOT + n // 2, n, n, n] for n in range(8)]
    points = read_point_table(write_csv(tmp_path / "points.csv", names, rows))
    neurons = tmp_path / "neurons.tsv"
    neurons.write_text(
        "root_id\tcell_class\ttop_nt\n"
        f"{ROOT}\tA\tgaba\n{ROOT + 1}\tB\tach\n{ROOT + 2}\tB\tglut\n{ROOT + 2}\tB\tach\n"
    )
    joined = join_labels(points, Join(neurons, value="top_nt"))
    assert joined.texts == ("gaba", "gaba", "ach", "ach", "", "", "", "")
    assert (joined.join.key, joined.join.other_key) == ("pre_root_id", "root_id")
    assert joined.sentence() == (
        "Labels are 'top_nt' of 'neurons.tsv', where 'root_id' equals 'pre_root_id': 4 of 8 points "
        "have one, 2 have no counterpart, 2 have several different ones."
    )
    with pytest.raises(DataError, match="Name both columns"):
        join_labels(points, Join(write_csv(tmp_path / "b.csv", ["a", "b"], [["q", "r"]])))
    with pytest.raises(DataError, match="is in the column 'cell_class'"):
        join_labels(points, Join(neurons, "pre_root_id", "cell_class", "top_nt"))


def test_recipe_reads_rows_labels_and_groups(tmp_path: Path) -> None:
    np.save(tmp_path / "em.npy", np.zeros((10, 50, 50), np.uint8))
    random = np.random.default_rng(0)
    names = ["id", *xyz("pre_*"), *xyz("post_*"), "pre_root_id", "cleft_score"]
    rows = [
        [n, *random.integers(0, (50, 50, 10)), *random.integers(0, (50, 50, 10)),
         ROOT + n % 3, n]
        for n in range(60)
    ]  # fmt: skip
    rows[0][1:4] = [5000, 5000, 5000]
    write_csv(tmp_path / "points.csv", names, rows)
    write_csv(tmp_path / "neurons.csv", ["root_id", "nt"], [[ROOT, "gaba"], [ROOT + 1, "ach"]])
    recipe = VolumePointsRecipe(
        tmp_path / "em.npy", tmp_path / "points.csv", (1, 8, 8), rows="cleft_score >= 30",
        site="post", labels=tmp_path / "neurons.csv",
    )  # fmt: skip
    points = recipe.load()
    assert len(points) == 30 and points.classes == ("ach", "gaba")
    assert points.group(0) == str(ROOT + 30 % 3)
    assert points.center_world(0) == tuple(float(value) for value in rows[30][6:3:-1])
    sentences = " ".join(str(entry) for entry in points.further_assumptions)
    assert "30 of 60 rows are read: cleft_score >= 30." in sentences
    assert "20 of 30 points have one, 10 have no counterpart." in sentences
    drawn = VolumePointsRecipe(tmp_path / "em.npy", tmp_path / "points.csv", (1, 8, 8), n_random=9)
    assert len(drawn.load()) == 9 and drawn.load().n_outside == 0
    with pytest.raises(DataError, match="no coordinates of the site 'center'"):
        VolumePointsRecipe(
            tmp_path / "em.npy", tmp_path / "points.csv", (1, 8, 8), site="center"
        ).load()


def test_ids_of_neurons_name_no_samples(tmp_path: Path) -> None:
    np.save(tmp_path / "em.npy", np.zeros((10, 50, 50), np.uint8))
    write_csv(tmp_path / "a.csv", ["bodyId", "type", *"xyz"], [[5, "pre", 1, 2, 3]])
    points = VolumePointsRecipe(tmp_path / "em.npy", tmp_path / "a.csv", (1, 8, 8)).load()
    assert points.sample_id(0) == "point 0" and points.classes == () and points.group(0) == "5"


def test_a_table_in_memory_has_no_numbers() -> None:
    assert PointTable({"a": ("1",)}).names_of(np.array([0])) is None


def test_annotations_elsewhere_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "inside").mkdir()
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["ids"], file["locations"] = np.arange(2), np.zeros((2, 3))
    with h5py.File(tmp_path / "inside/a.h5", "w") as file:
        file["annotations/ids"] = h5py.ExternalLink("../other.h5", "ids")
        file["annotations/locations"] = h5py.ExternalLink("../other.h5", "locations")
    assert not has_annotations(tmp_path / "inside/a.h5")
    with pytest.raises(DataError, match=r"other\.h5"):
        read_point_table(tmp_path / "inside/a.h5")


def test_damaged_packed_text_and_names_of_databases_are_refused(tmp_path: Path) -> None:
    content = gzip.compress(b"id,x,y,z\n1,2,3,4\n\xff\n" * 5000)
    (tmp_path / "a.csv.gz").write_bytes(content[:-4] + b"\0\0\0\0")
    with pytest.raises(DataError, match=r"UTF-8|cannot be read"):
        read_point_table(tmp_path / "a.csv.gz")
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE tables (id, x, y, z, labels)")
        database.execute("INSERT INTO tables VALUES (1, 2, 3, 4, 'a')")
    database.close()
    stored = (tmp_path / "a.db").read_bytes()
    (tmp_path / "a.db").write_bytes(stored.replace(b"CREATE TABLE", b"CREATE TA\xff\xffE"))
    with pytest.raises(DataError, match="SQLite database"):
        read_point_table(tmp_path / "a.db")


def test_a_query_that_takes_long_asks_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (id, x, y, z)")
        database.executemany("INSERT INTO t VALUES (?, 1, 2, 3)", [(n,) for n in range(20_000)])
    database.close()
    table = SqliteTable(path)
    for error in (LargeFileError("it is large", path), Canceled()):

        def ask(error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("napari_quac.data.tables.sqlite_table.check_time", ask)
        with pytest.raises(type(error)) as caught:
            list(table.batches(("id", "x")))
        assert caught.value is error
