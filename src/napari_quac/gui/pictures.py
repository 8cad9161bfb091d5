"""Images and attribution maps as pixmaps, and a label that scales a picture to its width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPen, QPixmap, QPolygonF, QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy

from napari_quac.gui.palette import MASK_COLOR, SIGNED_COLORS, Palette
from napari_quac.gui.slots import slots

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.explain.explanation import Explanation

PICTURE_HEIGHT = 420  # pixels, at most


def pixmap_of(pixels: NDArray[np.uint8]) -> QPixmap:
    """Return an image as a pixmap.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) ndarray, uint8
        Gray values or RGB.
    """
    height, width = pixels.shape[:2]
    pixels = np.ascontiguousarray(pixels)
    is_gray = pixels.ndim == 2
    form = QImage.Format.Format_Grayscale8 if is_gray else QImage.Format.Format_RGB888
    image = QImage(pixels.data, width, height, pixels.strides[0], form)
    return QPixmap.fromImage(image.copy())  # the copy outlives the array


def pixels_of(image: Tensor, step: int = 1) -> NDArray[np.uint8]:
    """Return gray values (H, W), or colors (H, W, 3) of an image with three channels.

    Parameters
    ----------
    image : (C, [D,] H, W) Tensor, float32 in [0, 1]
        Of a volume, the middle slice is taken.
    step : int
        Take every ``step``-th pixel.
    """
    values = image.numpy()
    if values.ndim == 4:
        values = values[:, values.shape[1] // 2]
    pixels = (np.clip(values[:, ::step, ::step], 0, 1) * 255).astype(np.uint8)
    return np.moveaxis(pixels, 0, -1) if pixels.shape[0] == 3 else pixels[0]


def thumbnail(image: Tensor, size: int) -> QPixmap:
    """Return a small picture of an image, without contrast stretching.

    Parameters
    ----------
    image : (C, [D,] H, W) Tensor, float32 in [0, 1]
        Of a volume, the middle slice is taken.
    size : int
        Longest side in pixels.
    """
    step = max(1, max(image.shape[-2:]) // (4 * size))
    return scaled(pixmap_of(pixels_of(image, step)), QSize(size, size))


CHANGED = 0.1
"""Difference above which a pixel counts as changed, in gray values from 0 to 1."""


class Difference:
    """Differences of several images to a query, as pictures with one common limit.

    Parameters
    ----------
    query : (C, [D,] H, W) Tensor, float32 in [0, 1]
        Of a volume, the slice with the largest differences is drawn.
    images : tuple of Tensor
        Of the same shape.

    Attributes
    ----------
    limit : float
        Largest absolute difference, of full color.
    """

    def __init__(self, query: Tensor, images: tuple[Tensor, ...]) -> None:
        differences = [(image - query).numpy().mean(axis=0) for image in images]
        self.limit = float(max(np.abs(difference).max() for difference in differences))
        self._differences = differences
        base, planes = query.numpy(), differences
        self._slice: int | None = None
        if base.ndim == 4:
            strength = sum(np.abs(difference).sum(axis=(1, 2)) for difference in differences)
            self._slice = int(np.argmax(strength))
            base = base[:, self._slice]
            planes = [difference[self._slice] for difference in differences]
        self._base, self._planes = base.mean(axis=0), planes

    def draw(self, number: int, side: int) -> QPixmap:
        """Return the difference of an image over the pale query, orange where it is brighter."""
        share = self._planes[number] / (self.limit or 1.0)
        gray = 0.5 + 0.35 * (self._base[..., None] - 0.5)
        low, high = (_rgb(name) for name in SIGNED_COLORS)
        color = np.where(share[..., None] > 0, high, low)
        mixed = gray + np.abs(share[..., None]) ** 0.6 * (color - gray)
        pixels = (np.clip(mixed, 0, 1) * 255).astype(np.uint8)
        return scaled(pixmap_of(pixels), QSize(side, side))

    def describe(self, number: int) -> str:
        """Return sentences about the size of a difference, and about the colors."""
        size = np.abs(self._differences[number])
        text = (
            f"It changes {float((size > CHANGED).mean()):.1%} of the pixels by more than "
            f"{CHANGED:g}, at most by {float(size.max()):.2f}. Orange is brighter than the query, "
            f"blue is darker; the full color is {self.limit:.2f} in all pictures."
        )
        return text if self._slice is None else f"{text} Slice {self._slice + 1} is drawn."


def scaled(picture: QPixmap, size: QSize) -> QPixmap:
    """Return a picture scaled to fit a size, with its aspect ratio."""
    mode = Qt.TransformationMode.SmoothTransformation
    return picture.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, mode)


@slots
class FittedPicture(QLabel):
    """A picture as wide as the dock, and not taller than 420 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self._full: QPixmap | None = None
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def set_picture(self, picture: QPixmap) -> None:
        """Show a picture, scaled to fit."""
        self._full = picture
        self._fit()

    def clear(self) -> None:
        """Hide the picture."""
        self._full = None
        super().clear()
        self.hide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Scale the picture to the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._full is None:
            return
        room = QSize(max(64, self.width()), PICTURE_HEIGHT)
        size = self._full.size().scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
        if self.height() != size.height():
            self.setFixedHeight(size.height())
        self.setPixmap(scaled(self._full, size))


SIDE = 80
CURVE_HEIGHT = 26
GAP = 3


def map_pixels(explanation: Explanation) -> NDArray[np.uint8]:
    """Return the query with the signed attribution map over it and the mask's outline.

    Parameters
    ----------
    explanation : Explanation
        Of a volume, the middle slice is taken.

    Returns
    -------
    pixels : (H, W, 3) ndarray, uint8
        Orange supports the source class, blue the target class; the outline is yellow.
    """
    pair, attribution = explanation.pair, explanation.attribution
    image = _plane(pair.query.image.numpy())
    base = np.moveaxis(image, 0, -1) if image.shape[0] == 3 else image.mean(axis=0)[..., None]
    signed = _plane(attribution.signed.numpy()).sum(axis=0)
    source = pair.target if pair.is_swapped else pair.source
    if attribution.of_class is not None and attribution.of_class != source:
        signed = -signed
    largest = float(np.abs(signed).max()) or 1.0
    strength = (np.abs(signed) / largest) ** 0.6
    target_color, source_color = (_rgb(name) for name in SIGNED_COLORS)
    color = np.where(signed[..., None] > 0, source_color, target_color)
    mixed = base + strength[..., None] * (color - base)
    mask = _plane(explanation.counterfactual.mask.numpy()).max(axis=0) > 0.5
    edge = mask & ~_eroded(mask)
    mixed[edge] = _rgb(MASK_COLOR)
    pixels: NDArray[np.uint8] = (np.clip(mixed, 0, 1) * 255).astype(np.uint8)
    return pixels


def tile_picture(
    explanation: Explanation,
    places: NDArray[np.float64],
    curve: NDArray[np.float64],
    name: str,
    colors: Palette,
) -> QPixmap:
    """Return map and curve, one above the other.

    Parameters
    ----------
    explanation : Explanation
        Gives the map.
    places, curve : (N,) ndarray
        Positions on the axis of mask sizes, from 0 to 1, and the curve there; drawn below the map.
    name : str
        The method, for its color.
    colors : Palette
        Of napari's theme.
    """
    attribution_map = pixmap_of(map_pixels(explanation))
    picture = QPixmap(SIDE, SIDE + GAP + CURVE_HEIGHT)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    size = attribution_map.size().scaled(SIDE, SIDE, Qt.AspectRatioMode.KeepAspectRatio)
    width, height = size.width(), size.height()
    place = QRectF((SIDE - width) / 2, (SIDE - height) / 2, width, height)
    painter.drawPixmap(place, attribution_map, QRectF(attribution_map.rect()))
    _draw_curve(painter, QRectF(0, SIDE + GAP, SIDE, CURVE_HEIGHT), places, curve, name, colors)
    painter.end()
    return picture


def _draw_curve(
    painter: QPainter,
    box: QRectF,
    places: NDArray[np.float64],
    curve: NDArray[np.float64],
    name: str,
    colors: Palette,
) -> None:
    low = min(0.0, float(curve.min()))
    span = max(1.0, float(curve.max())) - low
    x = box.left() + places * box.width()
    y = box.bottom() - 1 - (curve - low) / span * (box.height() - 2)
    zero = box.bottom() - 1 + low / span * (box.height() - 2)
    line = [QPointF(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    color = QColor(colors.method(name))
    below = QColor(color)
    below.setAlphaF(0.22)
    painter.fillRect(box, QColor(colors.background))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(below)
    painter.drawPolygon(QPolygonF([QPointF(line[0].x(), zero), *line, QPointF(line[-1].x(), zero)]))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(colors.line), 1))
    painter.drawLine(QPointF(box.left(), zero), QPointF(box.right(), zero))
    painter.setPen(QPen(color, 1.8))
    painter.drawPolyline(QPolygonF(line))


def _plane(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (C, H, W); the middle slice of a volume."""
    return values[:, values.shape[1] // 2] if values.ndim == 4 else values


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inner = np.pad(mask, 1)
    inside: NDArray[np.bool_] = (
        inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:] & mask
    )
    return inside


def _rgb(color: str) -> NDArray[np.float64]:
    return np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
