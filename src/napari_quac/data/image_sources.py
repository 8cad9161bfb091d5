"""The recipe of images at a path: a folder, a stack with labels, or one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_quac.data.image_datasets import ImageFilesRecipe, ImageFolderRecipe, PixelSize
from napari_quac.data.labeled_stack import LabeledStackRecipe, is_labeled_stack, stack_in
from napari_quac.data.preprocessed import PreprocessedRecipe
from napari_quac.reading import is_regular_file


def recipe_of(
    path: Path,
    image_range: tuple[float, float] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> ImageFolderRecipe | LabeledStackRecipe | ImageFilesRecipe:
    """Return the recipe of a folder of images, of a stack with labels, or of one image.

    Parameters
    ----------
    path : Path
        Folder or file.
    image_range : (low, high), optional
        Values that become 0 and 1.
    fields : mapping, optional
        Split and labels: fields of :class:`~napari_quac.data.image_datasets.ImageFolderRecipe`.
    """
    fields = fields or {}
    names = ("labels", "label_column", "split")
    of_stack = {name: fields[name] for name in names if name in fields}
    if is_regular_file(path):
        if not fields.get("labels") and not is_labeled_stack(path):
            return ImageFilesRecipe((path,), image_range)
        return LabeledStackRecipe(path, image_range=image_range, **of_stack)
    has_labels = fields.get("labels") or fields.get("pattern")
    if not has_labels and (stack := stack_in(path)) is not None:
        return LabeledStackRecipe(stack, image_range=image_range, **of_stack)
    return ImageFolderRecipe(path, image_range, **fields)


def with_pixel_size(recipe: Any, pixel_nm: PixelSize | None) -> Any:
    """Return a recipe of images with another pixel size; None if its images state their own.

    Parameters
    ----------
    recipe : recipe
        Of a folder, of files or of a stack, also with a preprocessing.
    pixel_nm : tuple of float or None
        Pixel size in nm along the axes of an image, or one number for all; None if unknown.
    """
    if isinstance(recipe, PreprocessedRecipe):
        source = with_pixel_size(recipe.source, pixel_nm)
        return None if source is None else replace(recipe, source=source)
    if isinstance(recipe, ImageFolderRecipe | LabeledStackRecipe | ImageFilesRecipe):
        return replace(recipe, pixel_nm=pixel_nm)
    return None
