"""Images as pixmaps, and a label that scales one to its width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPixmap, QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy

if TYPE_CHECKING:
    from torch import Tensor

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


def scaled(picture: QPixmap, size: QSize) -> QPixmap:
    """Return a picture scaled to fit a size, with its aspect ratio."""
    mode = Qt.TransformationMode.SmoothTransformation
    return picture.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, mode)


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
