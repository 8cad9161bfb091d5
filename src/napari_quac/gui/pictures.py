"""Small pictures of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap

if TYPE_CHECKING:
    from torch import Tensor


def thumbnail(image: Tensor, size: int) -> QPixmap:
    """Return a picture of an image, as it is: nothing is stretched.

    Parameters
    ----------
    image : (C, [D,] H, W) Tensor, float32 in [0, 1]
        Of a volume, the middle slice is taken.
    size : int
        Side in pixels.
    """
    values = image.numpy()
    if values.ndim == 4:
        values = values[:, values.shape[1] // 2]
    step = max(1, max(values.shape[1:]) // (4 * size))
    values = (np.clip(values[:, ::step, ::step], 0, 1) * 255).astype(np.uint8)
    height, width = values.shape[1:]
    if values.shape[0] == 3:
        pixels = np.ascontiguousarray(np.moveaxis(values, 0, -1))
        picture = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    else:
        pixels = np.ascontiguousarray(values[0])
        picture = QImage(pixels.data, width, height, width, QImage.Format.Format_Grayscale8)
    return QPixmap.fromImage(picture.copy()).scaled(
        size,
        size,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
