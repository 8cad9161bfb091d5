"""Measurements of points, lines, shapes and labels on an image, in world units.

Marks are drawn in pixels; a scale per axis turns them into nanometers, also where sections are
thicker than pixels. ``measure_compare`` compares the measurements of classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError, ShapeError
from napari_quac.registry import unknown_name

if TYPE_CHECKING:
    import pandas as pd

Numbers = NDArray[np.float64]
Kind = Literal["points", "path", "polygon", "ellipse"]
Quantity = Literal["length", "area", "count", "intensity", "distance"]
Pooling = Literal["mean", "median", "sum", "largest"]
KINDS: tuple[Kind, ...] = get_args(Kind)
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
POOLING: tuple[Pooling, ...] = get_args(Pooling)
COLUMNS = ("image", "mark", "kind", "quantity", "amount", "unit")
WHOLE_IMAGE = 0  # number of the mark in rows about all marks of an image
ELLIPSE_VERTICES = 90


@dataclass(frozen=True, eq=False)
class Mark:
    """A mark that a rater draws on an image.

    Attributes
    ----------
    kind : "points", "path", "polygon" or "ellipse"
        A line is a path of two vertices, a rectangle a polygon of four.
    vertices : (N, D) ndarray
        In pixels of the image, in the order of its axes; integers are centers of pixels. For an
        ellipse, the four corners of its box.
    """

    kind: Kind
    vertices: Numbers

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of mark", self.kind, list(KINDS))
        vertices = np.asarray(self.vertices, dtype=np.float64)
        least = {"points": 1, "path": 2, "polygon": 3, "ellipse": 4}[self.kind]
        if vertices.ndim != 2 or len(vertices) < least or not np.isfinite(vertices).all():
            raise DataError(
                f"A mark of the kind '{self.kind}' needs at least {least} finite vertices (N, D); "
                f"this one has the shape {vertices.shape}. Draw it again."
            )
        object.__setattr__(self, "vertices", vertices)


def path_length(vertices: Numbers, scale: Sequence[float]) -> float:
    """Return the length of a path (N, D) in world units, with ``scale`` per pixel of each axis."""
    steps = np.diff(vertices * np.asarray(scale), axis=0)
    return float(np.linalg.norm(steps, axis=1).sum())


def polygon_area(vertices: Numbers, scale: Sequence[float]) -> float:
    """Return the area of a flat polygon in world units squared.

    Parameters
    ----------
    vertices : (N, 2) or (N, 3) ndarray
        In pixels; in a volume the polygon may lie in any plane.
    scale : sequence of float
        World units per pixel along each axis.

    Examples
    --------
    >>> polygon_area(np.array([[0, 0], [0, 10], [5, 10], [5, 0]]), (40.0, 4.0))
    8000.0
    """
    world = vertices * np.asarray(scale, dtype=np.float64)
    if world.shape[1] == 2:
        world = np.pad(world, ((0, 0), (1, 0)))
    world = world - world[0]
    normal = np.cross(world, np.roll(world, -1, axis=0)).sum(axis=0) / 2
    return float(np.linalg.norm(normal))


def ellipse_area(corners: Numbers, scale: Sequence[float]) -> float:
    """Return the area of the ellipse in a box of four corners, in world units squared."""
    return math.pi / 4 * polygon_area(corners[:4], scale)


def nearest_distances(
    points: Numbers, scale: Sequence[float], others: Numbers | None = None
) -> Numbers:
    """Return the distance of each point to the nearest of the others, in world units.

    Parameters
    ----------
    points : (N, D) ndarray
        In pixels.
    scale : sequence of float
        World units per pixel along each axis.
    others : (M, D) ndarray, optional
        By default the other points of ``points``.

    Returns
    -------
    (N,) ndarray
        NaN without any other point.
    """
    from scipy.spatial import KDTree

    world = np.asarray(points, dtype=np.float64) * np.asarray(scale)
    if (others is not None and not len(others)) or (others is None and len(world) < 2):
        return np.full(len(world), np.nan)
    if others is not None:
        return np.asarray(KDTree(np.asarray(others) * np.asarray(scale)).query(world)[0])
    return np.asarray(KDTree(world).query(world, k=2)[0][:, 1])


def measure_marks(
    name: str,
    marks: Sequence[Mark],
    image: NDArray[Any] | None = None,
    scale: Sequence[float] | None = None,
    unit: str = "nm",
) -> pd.DataFrame:
    """Measure the marks on one image.

    Parameters
    ----------
    name : str
        Of the image; a number without meaning while classes are concealed.
    marks : sequence of Mark
        May be empty: the count is 0 then.
    image : (*S) or (C, *S) ndarray, optional
        Gray values for intensities; the mean over channels counts.
    scale : sequence of float, optional
        World units per pixel along each axis of ``*S``; without it all is in pixels.
    unit : str
        The world unit.

    Returns
    -------
    DataFrame
        One row per measurement with the columns ``image``, ``mark`` (from 1; 0 for the whole
        image), ``kind``, ``quantity``, ``amount`` and ``unit``.

    Raises
    ------
    ShapeError
        If image, scale and marks differ in their number of axes.
    """
    steps, unit = _steps(marks[0].vertices.shape[1] if marks else None, scale, unit)
    gray = None if image is None else _gray(image, len(steps) if steps else None)
    rows = [_row(name, WHOLE_IMAGE, "all", "count", _count(marks), "")]
    for number, mark in enumerate(marks, 1):
        if mark.vertices.shape[1] != len(steps):
            raise ShapeError(
                f"Mark {number} of image '{name}' has {mark.vertices.shape[1]} axes, the scale "
                f"{len(steps)}. Use marks and a scale of the same image."
            )
        for quantity, amount, power in _quantities(mark, gray, steps):
            rows.append(_row(name, number, mark.kind, quantity, amount, _unit(unit, power)))
    return _table(rows)


def measure_labels(
    name: str,
    labels: NDArray[Any],
    image: NDArray[Any] | None = None,
    scale: Sequence[float] | None = None,
    unit: str = "nm",
) -> pd.DataFrame:
    """Measure the labels of one image with scikit-image.

    Parameters
    ----------
    name : str
        Of the image.
    labels : (*S) ndarray of integers or bool
        0 is background; True is one label.
    image : (*S) or (C, *S) ndarray, optional
        Gray values for intensities; the mean over channels counts.
    scale : sequence of float, optional
        World units per pixel along each axis; without it all is in pixels.
    unit : str
        The world unit.

    Returns
    -------
    DataFrame
        As of :func:`measure_marks`; the mark is the label. *Area* is a volume in three dimensions,
        *length* the largest distance within a label (Feret's diameter), *distance* that between
        the nearest centers.

    Raises
    ------
    ShapeError
        If image, scale and labels do not fit each other.
    DataError
        If the labels are not integers.
    """
    from skimage.measure import regionprops

    labels = np.asarray(labels)
    if labels.dtype.kind not in "bui":
        raise DataError(
            f"The labels of image '{name}' have the type {labels.dtype}. Use integers, 0 for the "
            "background."
        )
    steps, unit = _steps(labels.ndim, scale, unit)
    gray = None if image is None else _gray(image, labels.ndim)
    if gray is not None and gray.shape != labels.shape:
        raise ShapeError(
            f"The labels of image '{name}' have the shape {labels.shape}, its pixels {gray.shape}. "
            "Use labels of the same image."
        )
    regions = regionprops(labels.astype(np.int64), gray, spacing=steps)
    rows = [_row(name, WHOLE_IMAGE, "all", "count", len(regions), "")]
    # centers in world units: scikit-image scales them by the spacing
    centers = np.array([region.centroid for region in regions]).reshape(-1, labels.ndim)
    distances = nearest_distances(centers, (1.0,) * labels.ndim)
    for region, distance in zip(regions, distances, strict=True):
        amounts = [
            ("area", float(region.area), labels.ndim),
            ("length", _feret(region.coords, steps), 1),
        ]
        if gray is not None:
            amounts.append(("intensity", float(region.intensity_mean), 0))
        if len(regions) > 1:
            amounts.append(("distance", float(distance), 1))
        for quantity, amount, power in amounts:
            number = int(region.label)
            rows.append(_row(name, number, "labels", quantity, amount, _unit(unit, power)))
    return _table(rows)


def amount_per_image(
    table: pd.DataFrame, quantity: Quantity, pooling: Pooling = "mean"
) -> Mapping[str, float]:
    """Return one number for each image, since the marks of an image are not independent.

    Parameters
    ----------
    table : DataFrame
        Of :func:`measure_marks` or :func:`measure_labels`, of one or many images.
    quantity : "length", "area", "count", "intensity" or "distance"
        Quantity to read.
    pooling : "mean", "median", "sum" or "largest"
        For several marks.

    Returns
    -------
    mapping of str to float
        By image, in the order of the table; NaN where nothing was measured.

    Raises
    ------
    UnknownNameError
        If there is no such quantity or pooling.
    """
    if quantity not in QUANTITIES:
        raise unknown_name("quantity", quantity, list(QUANTITIES))
    if pooling not in POOLING:
        raise unknown_name("pooling", pooling, list(POOLING))
    grouped = table[table["quantity"] == quantity].groupby("image", sort=False)["amount"]
    pooled = getattr(grouped, {"largest": "max"}.get(pooling, pooling))()
    names = dict.fromkeys(str(name) for name in table["image"])
    amounts = {str(name): float(amount) for name, amount in pooled.items()}
    return {name: amounts.get(name, float("nan")) for name in names}


def quantity_unit(table: pd.DataFrame, quantity: Quantity) -> str:
    """Return the unit of a quantity in a table, such as ``"nm²"``; empty without any.

    Raises
    ------
    DataError
        If its rows have several units.
    """
    units = sorted(set(table.loc[table["quantity"] == quantity, "unit"]))
    if len(units) > 1:
        raise DataError(
            f"The {quantity} is in {' and in '.join(units)}. Give all images a pixel size in the "
            "same unit."
        )
    return str(units[0]) if units else ""


def _quantities(
    mark: Mark, gray: Numbers | None, steps: tuple[float, ...]
) -> list[tuple[Quantity, float, int]]:
    """Return quantity, amount and power of the unit of one mark."""
    vertices = mark.vertices
    amounts: list[tuple[Quantity, float, int]] = []
    if mark.kind == "points" and len(vertices) > 1:
        amounts.append(("distance", float(nearest_distances(vertices, steps).mean()), 1))
    elif mark.kind == "path":
        amounts.append(("length", path_length(vertices, steps), 1))
    elif mark.kind == "polygon":
        amounts.append(("area", polygon_area(vertices, steps), 2))
    elif mark.kind == "ellipse":
        amounts.append(("area", ellipse_area(vertices, steps), 2))
    if gray is not None:
        amounts.append(("intensity", _intensity(mark, gray), 0))
    return amounts


def _intensity(mark: Mark, gray: Numbers) -> float:
    """Return the mean gray value at, along or inside of a mark; NaN outside of the image."""
    from skimage.draw import polygon
    from skimage.measure import profile_line

    vertices = mark.vertices
    if mark.kind == "points":
        pixels = np.rint(vertices).astype(np.int64)
        pixels = pixels[((pixels >= 0) & (pixels < gray.shape)).all(axis=1)]
        return float(gray[tuple(pixels.T)].mean()) if len(pixels) else float("nan")
    # lines and shapes are drawn in a slice
    for _ in range(gray.ndim - 2):
        section = np.rint(vertices[:, 0])
        if (section != section[0]).any() or not 0 <= section[0] < len(gray):
            return float("nan")
        gray, vertices = gray[int(section[0])], vertices[:, 1:]
    if mark.kind == "path":
        profiles = [
            profile_line(gray, start, end, order=1, mode="constant", cval=np.nan)
            for start, end in pairwise(vertices)
        ]
        profile = np.concatenate(profiles)
        profile = profile[np.isfinite(profile)]
        return float(profile.mean()) if len(profile) else float("nan")
    outline = _ellipse_outline(vertices) if mark.kind == "ellipse" else vertices
    rows, columns = polygon(outline[:, 0], outline[:, 1], gray.shape)
    return float(gray[rows, columns].mean()) if len(rows) else float("nan")


def _ellipse_outline(corners: Numbers) -> Numbers:
    angles = np.linspace(0, 2 * np.pi, ELLIPSE_VERTICES, endpoint=False)[:, None]
    across, down = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    return np.asarray(corners[:4].mean(axis=0) + np.cos(angles) * across + np.sin(angles) * down)


def _feret(pixels: NDArray[np.int64], steps: tuple[float, ...]) -> float:
    """Return the largest distance between midpoints of pixel sides, in world units.

    That is scikit-image's ``feret_diameter_max``, which fails for flat labels in a volume.
    """
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    half = np.concatenate([np.eye(len(steps)), -np.eye(len(steps))]) / 2
    # the midpoints span all axes, even for a label of one pixel
    sides = ((pixels[:, None] + half) * np.asarray(steps)).reshape(-1, len(steps))
    return float(pdist(sides[ConvexHull(sides).vertices]).max())


def _count(marks: Sequence[Mark]) -> int:
    """Count points one by one, and each shape as one."""
    return sum(len(mark.vertices) if mark.kind == "points" else 1 for mark in marks)


def _gray(image: NDArray[Any], n_axes: int | None) -> Numbers:
    """Return the gray values of an image (*S) or (C, *S)."""
    pixels = np.asarray(image, dtype=np.float64)
    n_axes = pixels.ndim if n_axes is None else n_axes
    if pixels.ndim == n_axes + 1:
        pixels = pixels.mean(axis=0)
    if pixels.ndim != n_axes:
        raise ShapeError(
            f"The image has the shape {pixels.shape}; its marks or labels have {n_axes} axes. Use "
            "marks of the same image."
        )
    return pixels


def _steps(
    n_axes: int | None, scale: Sequence[float] | None, unit: str
) -> tuple[tuple[float, ...], str]:
    """Return the step of each axis and the unit of lengths."""
    if scale is None:
        return (1.0,) * (n_axes or 0), "px"
    steps = tuple(float(step) for step in scale)
    if not all(math.isfinite(step) and step > 0 for step in steps):
        raise DataError(f"The scale {steps} is not positive. State the size of a pixel per axis.")
    if n_axes is not None and len(steps) != n_axes:
        raise ShapeError(
            f"The scale has {len(steps)} numbers, the marks or labels {n_axes} axes. State one "
            "pixel size per axis."
        )
    return steps, unit


def _unit(unit: str, power: int) -> str:
    return "gray" if power == 0 else unit + {1: "", 2: "²", 3: "³"}[power]


def _row(name: str, mark: int, kind: str, quantity: str, amount: float, unit: str) -> list[Any]:
    return [name, mark, kind, quantity, float(amount), unit]


def _table(rows: list[list[Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(COLUMNS))
