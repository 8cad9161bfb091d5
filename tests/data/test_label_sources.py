"""Labels of images in tables and in names of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_quac.data.image_datasets import ImageFolder, ImageFolderRecipe
from napari_quac.data.label_pattern import suggest_patterns
from napari_quac.errors import DataError


def write(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 5), 128, np.uint8)).save(path)
    return root


def labels_of(dataset: ImageFolder) -> dict[str, str | None]:
    classes, labels = dataset.classes, map(dataset.label, range(len(dataset)))
    names = (None if label is None else classes[label] for label in labels)
    return dict(zip(map(dataset.sample_id, range(len(dataset))), names, strict=True))


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    return write(tmp_path / "data", "a.png", "b.png", "c.tif", "d.png")


EXPECTED = {"a.png": "ach", "b.png": "gaba", "c.tif": "ach", "d.png": "gaba"}


@pytest.mark.parametrize(
    "text",
    [
        "file,label\na.png,ach\nb.png,gaba\nc.tif,ach\nd.png,gaba\n",
        "id;Klasse\na;ach\nb;gaba\nc;ach\nd;gaba\n",
        "sep=;\nDatei;Größe;Klasse\na.png;1,5;ach\nb.png;2,5;gaba\nc.tif;1,5;ach\nd.png;2,5;gaba\n",
        "\ufefflabel\tpath\nach\tdata/a.png\ngaba\tdata/b.png\nach\tdata/c.tif\ngaba\tdata/d.png\n",
        "a.png,ach\nb.png,gaba\nc.tif,ach\nd.png,gaba\n",
        "x,file,nt_type\n0.1,./a.png,ach\n0.2,/home/me/data/b.png,gaba\n0.3,c.jpg,ach\n0.4,D,gaba\n",
        "image,ach,gaba\na,1,0\nb,0.0,1.0\nc,1,0\nd,0,1\n",
        "name,what,score\na,ach,0.5\nb,gaba,0.25\nc,ach,0.5\nd,gaba,0.125\n",
        "# made by hand\nfile,label\nc.tif,ach\n\nb.png,gaba\na.png,ach\nd.png,gaba\n",
    ],
)
def test_table_in_the_folder_gives_the_labels_and_is_stated(flat: Path, text: str) -> None:
    (flat / "labels.csv").write_text(text, encoding="utf-8")
    dataset = ImageFolder(flat)
    assert labels_of(dataset) == EXPECTED
    assert dataset.classes == ("ach", "gaba")
    assert dataset.layout.source == "table"
    assert [assumption.kind for assumption in dataset.stated_assumptions] == ["labels"]
    assert "'labels.csv'" in str(dataset.stated_assumptions[0])
    assert dataset.layout.notes == ()


def test_columns_that_are_named_are_no_assumption(flat: Path, tmp_path: Path) -> None:
    table = tmp_path / "my.tsv"
    table.write_text("f\tone\ttwo\na\tach\tx\nb\tgaba\tx\nc\tach\ty\nd\tgaba\ty\n")
    recipe = ImageFolderRecipe(flat, None, "", table, "two", "f")
    dataset = recipe.load()
    assert dataset.classes == ("x", "y")
    assert dataset.stated_assumptions == ()
    with pytest.raises(DataError, match=r"2 columns that may be labels \('one', 'two'\)"):
        ImageFolderRecipe(flat, labels=table).load()
    with pytest.raises(DataError, match=r"no column 'three', but 'f', 'one', 'two'"):
        ImageFolderRecipe(flat, labels=table, label_column="three").load()


def test_table_above_a_folder_of_images(tmp_path: Path) -> None:
    write(tmp_path / "data" / "images", "a.png", "b.png", "c.png", "d.png")
    (tmp_path / "data" / "labels.csv").write_text("file,label\na,x\nb,x\nc,y\nd,y\n")
    for folder in (tmp_path / "data", tmp_path / "data" / "images"):
        assert ImageFolder(folder).classes == ("x", "y")


def test_unclear_table_is_a_remark_and_images_stay_without_labels(flat: Path) -> None:
    (flat / "all.csv").write_text("file,one,two\na,p,x\nb,q,x\nc,p,y\nd,q,y\n")
    dataset = ImageFolder(flat)
    assert dataset.classes == ()
    assert "2 columns that may be labels" in dataset.layout.summary


def test_two_tables_are_offered_and_none_is_taken(flat: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (flat / name).write_text("file,label\na,x\nb,x\nc,y\nd,y\n")
    dataset = ImageFolder(flat)
    assert dataset.classes == ()
    assert [path.name for path in dataset.layout.tables] == ["one.csv", "two.csv"]
    assert "2 tables name the images" in dataset.layout.summary


def test_rows_and_images_without_a_counterpart_are_named(flat: Path) -> None:
    (flat / "labels.csv").write_text("file,label\na,x\nb,x\nb,y\nc,NaN\nz,y\nd,y\n")
    dataset = ImageFolder(flat)
    assert labels_of(dataset) == {"a.png": "x", "b.png": None, "c.tif": None, "d.png": "y"}
    assert dataset.layout.remarks == (
        "1 row of 'labels.csv' without an image (z)",
        "1 image without a label in 'labels.csv' (c.tif)",
        "1 image with several labels in 'labels.csv' (b.png)",
    )


def test_table_of_other_files_is_refused_when_named(flat: Path) -> None:
    table = flat.parent / "labels.csv"
    table.write_text("file,label\nz,x\nq,y\n")
    assert ImageFolder(flat).classes == ()
    with pytest.raises(DataError, match=r"No column of 'labels.csv' names the images"):
        ImageFolder(flat, labels=table)
    with pytest.raises(DataError, match="Save the table of labels as CSV"):
        ImageFolder(flat, labels=table.with_suffix(".xlsx"))


def test_numbers_are_sorted_by_value_and_zeros_in_front_do_not_matter(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", *(f"{number:04d}.png" for number in range(12)))
    rows = "".join(f"{number},{number}\n" for number in range(12))
    (folder / "labels.csv").write_text(f"id,label\n{rows}")
    dataset = ImageFolder(folder)
    assert dataset.classes == tuple(map(str, range(12)))
    assert dataset.label(10) == 10


def test_same_name_in_two_folders_needs_its_path(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", "s1/a.png", "s2/a.png", "s1/b.png")
    table = tmp_path / "t.csv"
    table.write_text("file,label\ns1/a.png,x\ns2/a.png,y\nb,x\n")
    expected = {"s1/a.png": "x", "s1/b.png": "x", "s2/a.png": "y"}
    assert labels_of(ImageFolder(folder, labels=table)) == expected
    table.write_text("file,label\na.png,x\nb,x\n")
    assert labels_of(ImageFolder(folder, labels=table))["s1/a.png"] is None


def test_split_column_selects_samples(flat: Path) -> None:
    (flat / "labels.csv").write_text("file,label,split\na,x,train\nb,y,test\nc,x,train\nd,y,test\n")
    dataset = ImageFolder(flat)
    assert len(dataset) == 4
    assert "test, train" in str(dataset.stated_assumptions[1])
    assert list(labels_of(ImageFolder(flat, split="train"))) == ["a.png", "c.tif"]


def test_table_labels_images_in_folders_of_splits(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", "train/a.png", "train/b.png", "test/c.png")
    table = tmp_path / "t.csv"
    table.write_text("file,label\na,x\nb,y\nc,x\n")
    assert labels_of(ImageFolder(folder, split="test", labels=table)) == {"test/c.png": "x"}


@pytest.mark.parametrize(
    ("names", "pattern", "classes"),
    [
        (("ach_1.png", "ach_2.png", "gaba_1.png", "gaba_2.png"), "{label}_*.png", ("ach", "gaba")),
        (("ach_1.png", "ach_2.png", "gaba_1.png", "gaba_2.png"), "{label}_*", ("ach", "gaba")),
        (("1-ach.png", "2-gaba.png"), "*-{label}", ("ach", "gaba")),
        (("s1/x-ach.png", "s2/x-gaba.png"), "*/*-{label}.png", ("ach", "gaba")),
        (("day1/ach/1.png", "day2/gaba/1.png"), "*/{label}/*", ("ach", "gaba")),
        (("ach1.png", "gaba1.png"), r"([a-z]+)\d+", ("ach", "gaba")),
        (("1_ach_l.png", "2_gaba_r.png"), r"\d_(?P<label>\w+)_([lr])", ("ach", "gaba")),
    ],
)
def test_pattern_gives_labels(tmp_path: Path, names, pattern: str, classes) -> None:
    dataset = ImageFolder(write(tmp_path, *names), pattern=pattern)
    assert dataset.classes == classes
    assert None not in labels_of(dataset).values()
    assert dataset.layout.source == "file names"


@pytest.mark.parametrize(
    "pattern",
    [
        *("{label}_{label}", "(", "abc", "(a)(b)", "z{label}", "(([a-z]+)+)_.*", "((a|ac|c|h)*)!"),
        *("{label}*" + "a*" * 30, "(?P<label>.*.*.*.*.*.*.*.*)!", "(a{99999999999})", "(" * 5000),
    ],
)
def test_impossible_pattern_is_refused_with_an_example(flat: Path, pattern: str) -> None:
    with pytest.raises(DataError, match=r"\{label\}_\*\.tif"):
        ImageFolder(flat, pattern=pattern)


def test_labels_in_names_are_offered_and_not_applied(tmp_path: Path) -> None:
    folder = write(tmp_path, "ach_1.png", "ach_2.png", "gaba_1.png", "gaba_2.png")
    dataset = ImageFolder(folder)
    assert dataset.classes == ()
    assert [s.pattern for s in dataset.layout.suggestions] == ["{label}_*"]
    assert "ach, gaba ({label}_*) (--label-pattern)" in dataset.layout.hint


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (("ach001", "ach002", "gaba001", "gaba002"), [r"([^\W\d_]+)\d+"]),
        (("1_left_ach", "2_left_ach", "1_left_gaba", "2_left_gaba"), ["*_{label}"]),
        (("1_a", "2_b", "3_c"), []),
        (("s1_a", "s1_b", "s2_a", "s2_b"), ["{label}_*", "*_{label}"]),
        (("img1", "img2"), []),
        (("1", "2"), []),
    ],
)
def test_suggestions_are_words_that_repeat(names, patterns) -> None:
    suggestions = suggest_patterns([Path(f"{name}.png") for name in names])
    assert [suggestion.pattern for suggestion in suggestions] == patterns
