"""Groups of samples that belong together, such as the images of one section or animal."""

from __future__ import annotations

from napari_quac.data.dataset import Dataset
from napari_quac.data.label_pattern import match_pattern
from napari_quac.data.label_table import FileIndex, named_columns
from napari_quac.errors import DataError

FOLDER = "folder"
ADVICE = (
    "Choose 'folder', a column of the table of labels, or a pattern of the file names such as "
    "'{group}_*' (--group)."
)


def sample_groups(dataset: Dataset, group: str) -> tuple[str, ...]:
    """Return the group of each sample.

    Parameters
    ----------
    dataset : Dataset
        Samples of a folder of images; for other samples only a pattern applies, to their ids.
    group : str
        ``"folder"`` for the folder of each image below that of its class; the name of a column
        of the table of labels; or a pattern with ``{group}`` or a regular expression with one
        group, as in :func:`~napari_quac.data.label_pattern.pattern_labels`.

    Raises
    ------
    DataError
        If there is no such folder or column, or the pattern does not fit all samples.
    """
    ids = [dataset.sample_id(index) for index in range(len(dataset))]
    if group == FOLDER:
        groups = ["/".join(text.split("/")[1:-1]) for text in ids]
    elif columns := _columns_of(dataset, group):
        index = FileIndex.of_ids(ids)
        by_position = {index.find(file): name for file, name in columns}
        groups = [by_position.get(position, "") for position in range(len(ids))]
    else:
        groups = [match_pattern(text, group, "group") or "" for text in ids]
    without = [text for text, name in zip(ids, groups, strict=True) if not name]
    if without:
        raise DataError(
            f"{len(without)} of {len(ids)} samples have no group by '{group}', such as "
            f"'{without[0]}'. {ADVICE}"
        )
    if len(set(groups)) < 2:
        raise DataError(f"All samples are of one group by '{group}'. {ADVICE}")
    return tuple(groups)


def _columns_of(dataset: Dataset, name: str) -> list[tuple[str, str]]:
    """Return file and group of each row of the table of labels; empty without such a column."""
    source = getattr(dataset, "dataset", dataset)
    layout = getattr(source, "layout", None)
    if layout is None or layout.table is None:
        return []
    columns, files = named_columns(layout.table, layout.images, layout.directory)
    return list(zip(columns[files], columns[name], strict=True)) if name in columns else []
