"""Images that were generated earlier, in the folders of the QuAC library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from napari_quac.data.image_file import IMAGE_SUFFIXES, read_image
from napari_quac.errors import DataError, NoCounterfactualError, ShapeError
from napari_quac.generators.generated import STYLES
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals


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
                    f"'{path}' has shape {tuple(image.shape)} (channels, pixels), its query has "
                    f"{tuple(request.query.shape)}. Choose the images that were generated from "
                    "these samples."
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
        folder = self.directory / names[request.source] / names[request.target]
        wanted = Path(request.query_id.replace("\\", "/")).name
        if not folder.is_dir():
            there = [
                f"{source.name}/{target.name}"
                for source in _folders(self.directory)
                for target in _folders(source)
            ]
            raise NoCounterfactualError(
                f"There is no folder '{folder}', so no images of {names[request.target]} were "
                f"generated from {names[request.source]}. There are: {_some(there)}. Choose "
                "another target, or give the classes the names of the folders."
            )
        found = _matching(folder, wanted) if wanted else []
        if not found:
            raise NoCounterfactualError(
                f"No image was generated for '{wanted}': there is no '{folder / (wanted or '?')}', "
                "nor one of that name with another extension. "
                f"{self._elsewhere(wanted, names[request.source])}"
            )
        return found

    def _elsewhere(self, wanted: str, source: str) -> str:
        """Return what to do about a query that has no image in the folders of a source."""
        others = [
            folder.name
            for folder in _folders(self.directory)
            if wanted and folder.name != source
            if any(_matching(target, wanted) for target in _folders(folder))
        ]
        if not others:
            return "Choose another sample, or the folder that belongs to these samples."
        return (
            f"There are images of it that leave '{others[0]}', but none that leave {source}, as "
            "the classifier calls it. Ask the other question about it, or explain all samples, "
            "which takes the source from the label."
        )


def _matching(folder: Path, wanted: str) -> list[Path]:
    stem = Path(wanted).stem if Path(wanted).suffix.lower() in IMAGE_SUFFIXES else wanted
    numbered: list[tuple[int, Path]] = []
    same: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
            continue
        if path.stem == stem:
            same.append(path)
        elif found := re.fullmatch(re.escape(stem) + r"_(\d{1,3})", path.stem):
            numbered.append((int(found[1]), path))
    same.sort(key=lambda path: path.name != wanted)
    inside = folder / stem
    deeper = sorted(_images(inside)) if inside.is_dir() else []
    return [*same, *(path for _, path in sorted(numbered)), *deeper]


def source_folder(directory: Path, style: str) -> Path:
    """Return the folder with one subfolder per source class, in or below a directory.

    Raises
    ------
    DataError
        If there is none.
    """
    if not directory.is_dir():
        what = "is a file" if directory.exists() else "does not exist"
        raise DataError(
            f"'{directory}' {what}; a folder of generated images is needed "
            "(SOURCE/TARGET/NAME.png). Check the path."
        )
    wanted = STYLES if style == "auto" else (style,)
    roots = (directory, directory / "generated_images")
    below = [root / name for root in roots for name in wanted]
    itself = [directory] if style == "auto" or directory.name == style else []
    candidates = [*below, *itself, *([roots[1]] if style == "auto" else [])]
    for depth in (2, 3):  # SOURCE/TARGET/NAME.png, or else SOURCE/TARGET/NAME/NUMBER.png
        for candidate in candidates:
            if candidate.is_dir() and _holds_images(candidate, depth):
                return candidate
    which = "" if style == "auto" else f" of style '{style}'"
    raise DataError(
        f"'{directory}' holds no generated images{which}"
        " in folders SOURCE/TARGET/NAME.png. Choose the folder that has one subfolder per source "
        "class."
    )


def _holds_images(directory: Path, depth: int) -> bool:
    """Whether there are images that many folders below."""
    if depth == 0:
        return any(_images(directory))
    return any(_holds_images(folder, depth - 1) for folder in _folders(directory))


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def _folders(directory: Path) -> list[Path]:
    return sorted(
        path for path in directory.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "") if names else "none"
