"""All readers of files and texts, each with valid inputs and a function that reads one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from . import seeds
from .seeds import Contents, written


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes
    ----------
    name : str
    make : callable
        Returns valid inputs.
    read : callable
        Opens an input and reads what is in it.
    n_quick : int
        Number of inputs in the quick run of the tests.
    """

    name: str
    make: Callable[[], list[Contents]]
    read: Callable[[Path], Any]
    n_quick: int = 12

    def seeds(self) -> list[Contents]:
        """Return the valid inputs, made once."""
        return _seeds_of(self)


@cache
def _seeds_of(reader: Reader) -> list[Contents]:
    return reader.make()


def read_image(path: Path) -> None:
    from napari_quac.data.image_file import open_image

    open_image(path, image_range=(0, 65535) if path.stem == "deep" else None)


def read_volume(path: Path) -> None:
    from napari_quac.data.volume_file import open_volume

    volume = open_volume(path)
    for level in volume.levels:
        level.read((0,) * len(level.shape), tuple(min(n, 50) for n in level.shape))


def read_points(path: Path) -> None:
    from napari_quac.data.tables.column_names import guess_table_columns
    from napari_quac.data.tables.point_table import read_point_table
    from napari_quac.data.tables.row_filter import RowFilter

    read_point_table(path, RowFilter(n_random=1))
    table = read_point_table(path)
    mapping = guess_table_columns(table)
    if mapping.coordinates:
        table.coordinates(mapping.coordinates)


def read_row_filter(path: Path) -> None:
    from napari_quac.data.tables.row_filter import parse_conditions
    from napari_quac.errors import QuacError

    conditions = parse_conditions(path.read_bytes().decode("utf-8", "replace"))
    for condition in conditions:
        condition.mask(["", "1", "a", "nan"])
    try:
        again = parse_conditions(" and ".join(map(str, conditions)))
    except QuacError:
        again = ()  # a name with both kinds of quotes
    assert len(again) in (0, len(conditions))


def read_labels(path: Path) -> None:
    from napari_quac.data.label_table import read_table, table_labels

    read_table(path)
    table_labels(path, [Path("/s/a/0.png"), Path("/s/a/1.png")], Path("/s"))


def read_labeled_stack(path: Path) -> None:
    from napari_quac.data.labeled_stack import LabeledStackRecipe, is_labeled_stack

    path = path / "stack.npy" if path.is_dir() else path
    is_labeled_stack(path)
    split = "train" if path.name == "med.npz" else ""
    dataset = LabeledStackRecipe(path, split=split).load()
    for index in range(len(dataset)):
        dataset[index]


def read_image_folder(path: Path) -> None:
    from napari_quac.data.image_datasets import ImageFolderRecipe

    dataset = ImageFolderRecipe(path).load()
    for index in range(len(dataset)):
        dataset[index]


def read_network(path: Path) -> None:
    from napari_quac.generators.opening import inspect_network

    inspection = inspect_network(path, False)
    if not inspection.is_program:
        inspect_network(path, True)


def read_program(path: Path) -> None:
    from napari_quac.generators.opening import inspect_network

    inspect_network(path, True)


def read_report(path: Path) -> None:
    from napari_quac.errors import QuacError
    from napari_quac.reports.opening import holds_explanations, open_report

    holds_explanations(path)
    for entry in list(open_report(path))[:2]:
        for name in ("query", "generated", "attribution", "mask", "counterfactual"):
            try:
                entry.array(name)
            except QuacError:  # costs this array only
                continue


def read_plan(path: Path) -> None:
    from napari_quac.batch.plan import BatchPlan

    BatchPlan.read(path / "plan.yaml")


def read_json(path: Path) -> None:
    from napari_quac import reading

    reading.read_json(path)


def read_yaml(path: Path) -> None:
    from napari_quac import reading

    try:
        reading.parse_yaml(path.read_bytes(), with_objects=True)
    finally:
        reading.read_yaml(path)


def read_filter(path: Path) -> None:
    from live.sample_tables import small_columns
    from napari_quac.live.filter_language import parse_filter

    parse_filter(path.read_bytes().decode("utf-8", "surrogateescape")).mask(small_columns())


def read_training(path: Path) -> None:
    from napari_quac.generators.trainings import training_settings
    from napari_quac.live.previous_runs import previous_runs, read_evaluation, read_run
    from napari_quac.train.checkpointing import read_state

    previous_runs(path.parent)
    read_run(path)
    for family in ("exaggeration", "warp"):
        read_evaluation(path / "evaluation.json", training_settings(family))
    if (path / "resume.pt").exists():
        read_state(path / "resume.pt")


def read_recent(path: Path) -> None:
    from napari_quac.live.recent import RecentWork

    text = path.read_bytes().decode("utf-8", "surrogateescape")
    RecentWork.from_json(text).existing_files  # noqa: B018 - looks at paths


def read_beside(path: Path) -> None:
    from napari_quac.networks.facts_beside import read_beside as read

    read(path / "model.pt")
    read_network(path / "model.pt")


def read_any(path: Path) -> None:
    from napari_quac.live.path_kind import kind_of_path

    kind_of_path(path)


def read_badly(path: Path) -> None:
    content = path.read_bytes()
    kind = sum(content) % 5
    if kind == 1:
        raise ValueError("no error of the project")
    if kind == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == 3:
        time.sleep(1000)
    if kind == 4:
        np.ones(1200 << 20, np.uint8)


def _mixture() -> list[Contents]:
    """Return files of every kind under names of any other kind."""
    names = ("image", "tiff", "points", "safetensors", "recent work", "plan")
    every = [READERS[name].seeds()[0] for name in names]
    suffixes = (".png", ".csv", ".pt", ".json", ".yaml", ".h5")
    contents = [next(iter(entry.values())) for entry in every]
    return [{f"a{suffix}": content} for content in contents for suffix in suffixes]


_ALL = (
    Reader("image", written(seeds.pictures), read_image),
    Reader("tiff", written(seeds.tiffs), read_image),
    Reader("npy", written(seeds.npy_images), read_image),
    Reader("image folder", written(seeds.image_folders), read_image_folder),
    Reader("labeled stack", written(seeds.labeled_stacks), read_labeled_stack),
    Reader("labels", seeds.label_texts, read_labels),
    Reader("points", seeds.point_texts, read_points),
    Reader("arrow", written(seeds.arrow_tables), read_points, 2),
    Reader("database", written(seeds.databases), read_points),
    Reader("json table", seeds.json_tables, read_points),
    Reader("annotations", written(seeds.annotations), read_points, 2),
    Reader("row filter", seeds.row_filters, read_row_filter),
    Reader("tiff volume", written(seeds.tiff_stacks), read_volume),
    Reader("npy volume", written(seeds.npy_stacks), read_volume),
    Reader("zarr", written(seeds.zarrs), read_volume),
    Reader("n5", written(seeds.n5s), read_volume),
    Reader("hdf5", written(seeds.hdf5s), read_volume, 2),
    Reader("safetensors", written(seeds.safetensors_files), read_network),
    Reader("torch", written(seeds.torch_files), read_network),
    Reader("torchscript", written(seeds.torchscript_files), read_network),
    Reader("exported program", written(seeds.exported_files), read_network),
    Reader("trusted torchscript", written(seeds.torchscript_files), read_program, 2),
    Reader("trusted program", written(seeds.exported_files), read_program, 2),
    Reader("onnx", written(seeds.onnx_files), read_network),
    Reader("network container", written(seeds.containers), read_network),
    Reader("facts beside", written(seeds.facts_beside), read_beside),
    Reader("training", seeds.copied("train/before/exaggeration", "train/before/warp"),
           read_training, 6),
    Reader("explain folder", seeds.copied("reports/explain_folder"), read_report, 6),
    Reader("store", seeds.copied("batch/schema_1/store"), read_report, 6),
    Reader("quac report", written(seeds.quac_reports), read_report, 6),
    Reader("plan", seeds.plans, read_plan),
    Reader("json", seeds.JSON_TEXTS, read_json, 40),
    Reader("yaml", seeds.YAML_TEXTS, read_yaml, 40),
    Reader("filter", seeds.FILTERS, read_filter, 40),
    Reader("recent work", seeds.recent_work, read_recent, 40),
    Reader("any path", _mixture, read_any),
)  # fmt: skip
READERS = {reader.name: reader for reader in _ALL}
BAD_READER = Reader("bad", seeds.texts(a__txt="\0" * 50), read_badly)
"""Fails in every way, to test that each of them is counted."""


def reader_of(name: str) -> Reader:
    """Return a reader by its name."""
    return BAD_READER if name == BAD_READER.name else READERS[name]
