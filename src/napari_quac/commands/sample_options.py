"""Options of samples: folders, splits, labels; and messages about what is in a folder."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands.output import notify
from napari_quac.data.assumptions import assumptions_of
from napari_quac.errors import DataError

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.explain.labels import LabelMatch

LABEL_OPTIONS = """
    --split NAME            split of the samples, if the subfolders are splits such as train and
                            test; 'all' for all of them
    --label-table FILE      table of the labels (CSV, TSV) instead of class folders; with --volume
                            a table that is joined with --points, such as one of neurons
    --label-column NAME     its column of class names (default: by its name and content)
    --file-column NAME      its column of file names, paths or ids (default: by its content)
    --label-pattern TEXT    labels in file names, such as '{label}_*.tif', or a regular expression
                            with one group
    """
SAMPLES_OPTION = """
    --samples DIR|FILE ...  a folder with one subfolder per class, or image files; or a stack in
                            npz, npy or tif with labels
    """
EXAMPLE_OPTION = """
    --example N             the first N drawn patches of the example
    """
ONLY_OPTION = """
    --only ID ...           explain the samples with these ids only, such as T-bar/0045.png
    """
VOLUME_OPTION = """
    --volume FILE|ADDRESS   a volume, of which patches around --points are the samples: a file or
                            folder, or an address such as precomputed://gs://BUCKET/PATH
    """
SIGN_IN_OPTION = """
    --sign-in               read buckets that are not public with the accounts of gcloud and aws on
                            this machine, which are stored nowhere else
    """
POINT_OPTIONS = """
    --points FILE           table of the points of --volume
    --patch-size H,W|D,H,W  voxels of a patch [default: 128,128]
    --dataset NAME          array inside of the volume, if there are several
    --coordinates Z,Y,X     columns of the table, in the order of the axes of the volume (default:
                            by their names)
    --coordinate-unit voxel|nm|µm   unit of the coordinates (default: the one with the most points
                                    inside)
    --coordinate-order z-y-x|x-y-z  order of the columns [default: z-y-x]
    --coordinate-voxel-size NM ...  one unit of the coordinates in nm along z, y and x, if it is
                                    not a voxel of the volume
    --site pre|center|post  site of a synapse, if the table has coordinates of several (default:
                            that without a name, then pre)
    --rows TEXT             the rows of the table that are read, such as 'cleft_score >= 50 and
                            pre_root_id in neurons.txt', a file with one id per line
    --random-rows N         read N random rows inside of the volume, of each class
    --rows-seed N           random seed of these rows [default: 0]
    --table NAME            table of a database, if several have coordinates
    --join COLUMN=COLUMN    columns of --points and of --label-table with equal values, such as
                            pre_root_id=root_id (default: those with the most in common)
    --group-column NAME     column of the neurons, whose synapses vote; - for none (default: by its
                            name)
    --match-histogram DIR   training images, to whose gray values those of the volume are matched
                            by one mapping for all patches, as copies in JPEG have others
    --pixel-size NM ...     pixel size of the samples in nm: one number, or one for each axis of an
                            image (z y x), so that areas and lengths are in units of length
    """


def samples_recipe(options: argparse.Namespace) -> Any:
    """Return the recipe of the samples that the options name: one folder, or image files."""
    from napari_quac.data.image_datasets import ImageFilesRecipe
    from napari_quac.data.image_sources import recipe_of, with_pixel_size
    from napari_quac.data.synthetic import SyntheticRecipe

    image_range = tuple(options.image_range) if options.image_range else None
    if options.volume is not None:
        return _points_recipe(options, image_range)
    if options.example is not None:
        return SyntheticRecipe(options.example)
    if options.points is not None:
        raise DataError("--points needs the volume that contains the points (--volume).")
    paths: list[Path] = options.samples
    recipe: Any = ImageFilesRecipe(tuple(paths), image_range)
    if len(paths) == 1:
        recipe = recipe_of(paths[0], image_range, label_options(options))
    return with_pixel_size(recipe, _pixel_size(options))


def _points_recipe(options: argparse.Namespace, image_range: tuple[float, float] | None) -> Any:
    """Return the recipe of patches around the points of a table."""
    from napari_quac.data.tables.row_filter import parse_conditions
    from napari_quac.data.volume_points_recipe import VolumePointsRecipe

    if options.points is None:
        raise DataError("--volume needs a table of points (--points).")
    size = options.patch_size
    voxel_size = _pixel_size(options)
    return VolumePointsRecipe(
        options.volume,
        options.points,
        (1,) * (3 - len(size)) + size,
        options.dataset or "",
        columns=options.coordinates or (),
        label_column=options.label_column or "",
        order=options.coordinate_order,
        unit=options.coordinate_unit or "auto",
        volume_voxel_size=voxel_size,
        value_range=image_range,
        site=options.site or "",
        rows=" and ".join(map(str, parse_conditions(options.rows or ""))),
        n_random=options.random_rows or 0,
        seed=options.rows_seed,
        table=options.table or "",
        coordinate_voxel_size=_unit_sizes(options),
        labels=options.label_table,
        join=_join_columns(options),
        group_column=options.group_column or "",
        match_histogram=options.match_histogram,
    )


def _unit_sizes(options: argparse.Namespace) -> tuple[float, ...] | None:
    """Return nm of one unit of the coordinates along z, y and x, or None."""
    sizes = tuple(options.coordinate_voxel_size or ())
    if sizes and (len(sizes) != 3 or not all(0 < size < math.inf for size in sizes)):
        raise DataError("--coordinate-voxel-size takes three positive numbers in nm: z y x.")
    return sizes or None


def _join_columns(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the columns of both tables with equal values, or none."""
    columns = tuple(options.join.split("=")) if options.join else ()
    if columns and (len(columns) != 2 or not all(columns)):
        raise DataError("--join takes two columns, such as pre_root_id=root_id.")
    if columns and options.label_table is None:
        raise DataError("--join needs the second table (--label-table).")
    return columns


def _pixel_size(options: argparse.Namespace) -> tuple[float, ...] | None:
    """Return the pixel size in nm along the axes of an image, or None.

    Raises
    ------
    DataError
        If it is impossible.
    """
    sizes = tuple(options.pixel_size or ())
    if len(sizes) > 3 or not all(0 < size < math.inf for size in sizes):
        raise DataError(
            f"A pixel size has one to three positive numbers in nm, not {sizes} (--pixel-size)."
        )
    return sizes or None


def label_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the labels of a folder as fields of its recipe."""
    texts = {
        "split": options.split,
        "label_column": options.label_column,
        "file_column": options.file_column,
        "pattern": options.label_pattern,
    }
    return {"labels": options.label_table, **{name: text or "" for name, text in texts.items()}}


def notify_about_samples(dataset: Dataset, labels: LabelMatch | None = None) -> None:
    """Print on standard error which files are no samples, and which labels are not used.

    Parameters
    ----------
    dataset : Dataset
        The samples.
    labels : LabelMatch, optional
        Classes that their labels name.
    """
    layout = getattr(dataset, "layout", None)
    if layout is not None and (layout.notes or layout.hint):
        notify(f"'{dataset.name}': {'; '.join(filter(None, (layout.summary, layout.hint)))}")
    for assumption in assumptions_of(dataset):
        notify(str(assumption))
    if labels is not None:
        for sentence in (*map(str, labels.assumptions), labels.warning):
            if sentence:
                notify(sentence)


def labels_document(dataset: Dataset, labels: LabelMatch | None) -> dict[str, Any]:
    """Return the files that are no samples and the labels that are not used, for JSON."""
    layout = getattr(dataset, "layout", None)
    return {
        "labels": list(dataset.classes),
        "unmatched_labels": list(labels.unmatched) if labels is not None else [],
        "classes_without_samples": list(labels.absent) if labels is not None else [],
        "files_not_read": [str(path) for path in layout.unread] if layout is not None else [],
        "notes": ([*layout.notes, *filter(None, [layout.hint])] if layout is not None else [])
        + ([labels.warning] if labels is not None and labels.warning else []),
    }


def assumptions_about(*sources: Any) -> list[dict[str, str]]:
    """Return the assumptions about samples and networks, for JSON; each once."""
    found = [assumption for source in sources for assumption in assumptions_of(source)]
    return [asdict(assumption) for assumption in dict.fromkeys(found)]
