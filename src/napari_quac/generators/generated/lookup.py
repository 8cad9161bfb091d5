"""Images that were generated earlier, in the folders of the QuAC library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from napari_quac.data.file_names import file_name, safe_name
from napari_quac.data.image_file import IMAGE_SUFFIXES, read_image
from napari_quac.data.image_search import is_ignored
from napari_quac.errors import DataError, NoCounterfactualError, ShapeError
from napari_quac.generators.generated import STYLES
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals
from napari_quac.reading import is_folder, is_regular_file, path_exists


class GeneratedImages(Generator):
    """Looks the generated images of a query up by the query's file name.

    Proposal 0 is the image of that name, or of that name with another extension. Further ones are
    ``NAME_1``, ``NAME_2``, ... and the images in a folder ``NAME``.

    Parameters
    ----------
    directory : Path
        With one subfolder per source class, and in it one per target class.
    image_range : (low, high), optional
        Values in the files that are black and white.

    Attributes
    ----------
    class_names : tuple of str
        Names of all source and target folders, sorted.
    """

    source_basis = "label"

    def __init__(self, directory: Path, image_range: tuple[float, float] | None = None) -> None:
        self.directory = directory
        self._image_range = image_range
        self.name = f"images in '{directory.name}'"
        sources = [folder.name for folder in _folders(directory)]
        targets = [target.name for folder in _folders(directory) for target in _folders(folder)]
        self.class_names = tuple(sorted({*sources, *targets}))
        pairs = sum(len(_folders(folder)) for folder in _folders(directory))
        self.description: Mapping[str, str] = {
            "Kind": "images generated earlier",
            "Folder": str(directory),
            "Classes": ", ".join(sources),
            "Class pairs": str(pairs),
        }

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return the images number ``first`` to ``first + n - 1`` that there are for a query.

        Raises
        ------
        NoCounterfactualError
            If there is none at all for this query and target.
        ShapeError
            If an image does not have the shape of the query.
        DataError
            If an image cannot be read.
        """
        paths = self.paths(request)
        images, origins = [], []
        for number, path in list(enumerate(paths))[first : first + n]:
            image = read_image(path, self._image_range, request.query.ndim - 1)
            if image.shape != request.query.shape:
                raise ShapeError(
                    f"'{path}' has shape {tuple(image.shape)}, its query "
                    f"{tuple(request.query.shape)}. Choose the images of these samples."
                )
            images.append(image)
            origins.append({"path": str(path), "proposal": number})
        stacked = torch.stack(images) if images else torch.empty((0, *request.query.shape))
        return Proposals(stacked, tuple(origins))

    def paths(self, request: ConversionRequest) -> list[Path]:
        """Return the files with proposals for a query, in their order.

        Raises
        ------
        NoCounterfactualError
            With the path that was looked for.
        """
        names = request.classifier.class_names
        source, target = names[request.source], names[request.target]
        folder = _folder_of(_folder_of(self.directory, source), target)
        query_name = Path(request.query_id.replace("\\", "/")).name
        if not is_folder(folder):
            pairs = [f"{a.name}/{b.name}" for a in _folders(self.directory) for b in _folders(a)]
            available = ", ".join(pairs[:8]) + (", …" if len(pairs) > 8 else "")
            raise NoCounterfactualError(
                f"There is no folder '{folder}', so no images of {target} were generated from "
                f"{source}. There are: {available or 'none'}. Choose another target, or give the "
                "classes the names of the folders."
            )
        paths = _matching(folder, query_name) if query_name else []
        if not paths:
            way_out, action = self._way_out(query_name, source)
            raise NoCounterfactualError(
                f"No image was generated for '{query_name}'. {way_out} There is no "
                f"'{folder / (query_name or '?')}', nor one of that name with another extension."
            ).suggesting(action)
        return paths

    def _way_out(self, query_name: str, source: str) -> tuple[str, str]:
        """Return the way out for a query without image of a source, and its action in a window."""
        others = [
            folder.name
            for folder in _folders(self.directory)
            if query_name and folder.name != source
            if any(_matching(target, query_name) for target in _folders(folder))
        ]
        if not others:
            return "Choose another sample, or the folder that belongs to these samples.", ""
        return (
            f"There are images of it from '{others[0]}', but none from {source}, its predicted "
            "class. Choose another pair of classes, or explain all samples by their labels.",
            "other_question",
        )


def _folder_of(directory: Path, class_name: str) -> Path:
    """Return the folder of a class, whose name may not be a file name."""
    below = {folder.name for folder in _folders(directory)} if is_folder(directory) else set()
    names = (class_name, file_name(class_name), safe_name(class_name))
    return directory / next((name for name in names if name in below), names[1])


def _matching(folder: Path, query_name: str) -> list[Path]:
    has_suffix = Path(query_name).suffix.lower() in IMAGE_SUFFIXES
    stem = Path(query_name).stem if has_suffix else query_name
    numbered: list[tuple[int, Path]] = []
    same: list[Path] = []
    for path in sorted(_images(folder)):
        if path.stem == stem:
            same.append(path)
        elif match := re.fullmatch(re.escape(stem) + r"_(\d{1,3})", path.stem):
            numbered.append((int(match[1]), path))
    same.sort(key=lambda path: path.name != query_name)
    inside = folder / stem
    deeper = sorted(_images(inside)) if is_folder(inside) else []
    return [*same, *(path for _, path in sorted(numbered)), *deeper]


def source_folder(directory: Path, style: str) -> Path:
    """Return the folder with one subfolder per source class, in or below a directory.

    Raises
    ------
    DataError
        If there is none.
    """
    if not is_folder(directory):
        problem = "is a file" if path_exists(directory) else "does not exist"
        raise DataError(f"'{directory}' {problem}. Choose a folder with SOURCE/TARGET/NAME.png.")
    styles = STYLES if style == "auto" else (style,)
    roots = (directory, directory / "generated_images")
    below = [root / name for root in roots for name in styles]
    itself = [directory] if style == "auto" or directory.name == style else []
    candidates = [*below, *itself, *([roots[1]] if style == "auto" else [])]
    for depth in (2, 3):  # SOURCE/TARGET/NAME.png, or else SOURCE/TARGET/NAME/NUMBER.png
        for candidate in candidates:
            if is_folder(candidate) and _holds_images(candidate, depth):
                return candidate
    of_style = "" if style == "auto" else f" of style '{style}'"
    raise DataError(
        f"'{directory}' holds no generated images{of_style} in folders SOURCE/TARGET/NAME.png. "
        "Choose the folder that has one subfolder per source class."
    )


def _holds_images(directory: Path, depth: int) -> bool:
    """Return True if there are images that many folders below."""
    if depth == 0:
        return any(_images(directory))
    return any(_holds_images(folder, depth - 1) for folder in _folders(directory))


def _images(folder: Path) -> Iterator[Path]:
    paths = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return (path for path in paths if is_regular_file(path))


def _folders(directory: Path) -> list[Path]:
    return sorted(p for p in directory.iterdir() if is_folder(p) and not is_ignored(p.name))
