"""Tables of synapses in the window: rows, sites, labels of neurons."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from napari_quac.gui.dock import QuacDock

from .conftest import wait
from .test_points import made_volume, open_table, placed, samples, settle

__all__ = ["placed"]
ROOT = 720575940628842314


def write(path: Path, rows: list[list[Any]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def synapses(tmp_path: Path) -> Path:
    names = ["id", "pre_z", "pre_y", "pre_x", "post_z", "post_y", "post_x", "pre_root_id",
             "cleft_score"]  # fmt: skip
    rows = [
        [n, *place, place[0], place[1] + 3, place[2], ROOT + n % 2, 10 * n]
        for n, place in enumerate(made_volume()[1].astype(int).tolist())
    ]
    return write(tmp_path / "synapses.csv", [names, *rows])


def enter(edit: Any, text: str) -> None:
    edit.setFocus()
    edit.setText(text)
    QTest.keyClick(edit, Qt.Key.Key_Return)


def test_rows_site_and_labels_are_chosen(placed: QuacDock, tmp_path: Path) -> None:
    panel = open_table(placed, synapses(tmp_path))
    rows, box = panel.rows_box, panel.table_box
    assert not rows.isHidden() and not box.site_row.isHidden()
    assert box.columns == ("pre_z", "pre_y", "pre_x")
    assert box.group_menu.currentData() == "pre_root_id"
    enter(rows.rows_edit, "cleft_score >= 20")
    wait(lambda: panel.table is not None and len(panel.table) == 4)
    assert "4 of 6 rows are read: cleft_score >= 20." in box.preview.text()
    box.site_menu.setCurrentIndex(box.site_menu.findData("post"))
    assert box.columns == ("post_z", "post_y", "post_x")
    neurons = write(tmp_path / "neurons.csv", [["root_id", "nt"], [ROOT, "left"]])
    enter(rows.labels_field.edit, str(neurons))
    wait(lambda: panel.label_menu.currentData() == "nt (neurons.csv)")
    assert "2 of 4 points have one, 2 have no counterpart." in box.preview.text()
    assert rows.value_menu.currentData() == "nt"
    assert box.site == "post"
    panel.use_button.click()
    settle(placed)
    points = samples(placed)
    assert len(points) == 4 and points.classes == ("left",)
    assert [points.group(n) for n in range(4)] == [str(ROOT + n % 2) for n in range(4)]
    assert [points.label(n) for n in range(4)] == [0, None, 0, None]
    middle = made_volume()[1][2]
    voxel = points.volume.finest.transform.to_voxel(points.center_world(0))
    np.testing.assert_allclose(voxel, np.add(middle, (0, 3, 0)))


def test_ambiguous_labels_ask_for_the_column(placed: QuacDock, tmp_path: Path) -> None:
    panel = open_table(placed, synapses(tmp_path))
    rows = panel.rows_box
    names = ["root_id", "super", "hemilineage"]
    neurons = write(
        tmp_path / "neurons.csv", [names, [ROOT, "left", "a"], [ROOT + 1, "right", "b"]]
    )
    enter(rows.labels_field.edit, str(neurons))
    wait(lambda: "Which column" in panel.message.text())
    assert rows.value_menu.currentIndex() == -1
    rows.value_menu.setCurrentIndex(rows.value_menu.findData("super"))
    wait(lambda: panel.label_menu.currentData() == "super (neurons.csv)")
    assert "Which column" not in panel.message.text()


def test_wrong_conditions_are_a_sentence(placed: QuacDock, tmp_path: Path) -> None:
    panel = open_table(placed, synapses(tmp_path))
    for text, words in (("cleft_score >", "incomplete"), ("nothing = 1", "no column 'nothing'"),
                        ("cleft_score > 999", "None of the 6 rows")):  # fmt: skip
        enter(panel.rows_box.rows_edit, text)
        wait(lambda words=words: words in panel.message.text())
        assert panel.table is not None and len(panel.table) == 6
    enter(panel.rows_box.rows_edit, "cleft_score > 5")
    wait(lambda: panel.table is not None and len(panel.table) == 5)
    assert panel.message.text() == ""


def test_long_tables_ask_for_rows(
    placed: QuacDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    monkeypatch.setattr("napari_quac.data.tables.point_table.MANY_ROWS", 1000)
    n = 5000
    places = np.random.default_rng(0).integers((0, 20, 20), (6, 180, 200), (n, 3))
    places[: n // 2] += 10_000
    columns = {"id": np.arange(n), **dict(zip("zyx", places.T, strict=True))}
    parquet.write_table(pyarrow.table(columns), tmp_path / "long.parquet")
    panel = placed.points_panel
    enter(panel.table_field.edit, str(tmp_path / "long.parquet"))
    wait(lambda: "has 5 000 rows" in panel.message.text())
    assert panel.table is None and not panel.rows_box.isHidden()
    panel.rows_box.random_spin.setValue(40)
    wait(lambda: panel.table is not None)
    assert len(panel.table) == 40
    assert "40 at random of 2 500 (seed 0)" in panel.table_box.preview.text()
    panel.use_button.click()
    settle(placed)
    assert len(samples(placed)) == 40 and samples(placed).n_outside == 0


def test_neurons_vote_and_filter_their_samples(placed: QuacDock, tmp_path: Path) -> None:
    dock, neurons = placed.all_samples, tmp_path / "neurons.csv"
    assert dock.tabs["neurons"].isHidden()
    panel = open_table(placed, synapses(tmp_path))
    write(neurons, [["root_id", "nt"], [ROOT, "left"], [ROOT + 1, "left"]])
    enter(panel.rows_box.labels_field.edit, str(neurons))
    wait(lambda: panel.label_menu.currentData() == "nt (neurons.csv)")
    panel.use_button.click()
    settle(placed)
    wait(lambda: not dock.tabs["neurons"].isHidden())
    QTest.mouseClick(dock.tabs["neurons"], Qt.MouseButton.LeftButton)
    rows = dock.groups.rows
    wait(lambda: rows.rowCount() == 2)
    predicted = placed.results.predictions.predicted
    assert [group.n_predicted for group in rows.groups] == [3, 3]
    for group in rows.groups:
        assert group.votes == tuple(np.bincount(predicted[list(group.indices)], minlength=3))
    wrong = [group.is_wrong for group in rows.groups]
    assert wrong == sorted(wrong, reverse=True) and any(wrong)
    assert "2 neurons" in dock.groups.line.text() and "mispredicted" in dock.groups.line.text()
    view = dock.groups.table
    place = view.visualRect(rows.index(0, 0)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    wait(lambda: len(placed.results.order) == 3)
    assert placed.choices.filter_text == f'neuron = "{rows.groups[0].name}"'
    assert dock.tabs["table"].isChecked()
    assert set(placed.results.order.indices) == set(rows.groups[0].indices)


def test_points_in_the_file_of_a_volume_are_offered(placed: QuacDock, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    volume, points = made_volume()
    with h5py.File(tmp_path / "sample.hdf", "w") as file:
        file["volumes/raw"] = volume
        file["volumes/raw"].attrs["resolution"] = (40.0, 4.0, 4.0)
        file["annotations/ids"] = np.arange(6)
        file["annotations/locations"] = points * (40, 4, 4)
    panel = placed.points_panel
    panel.open_volume(tmp_path / "sample.hdf")
    wait(lambda: "also holds points" in panel.message.text())
    button = panel.message.findChild(QPushButton)
    assert button.text() == "Use them"
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    wait(lambda: panel.table is not None and "6 of 6 inside" in panel.table_box.preview.text())
    panel.use_button.click()
    settle(placed)
    assert len(samples(placed)) == 6
    np.testing.assert_allclose(samples(placed).center_world(2), points[2] * (40, 4, 4))
