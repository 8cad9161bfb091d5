"""A picture that fills the width it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPixmap, QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy

PICTURE_HEIGHT = 420  # pixels, at most


def pixmap_of(picture: Any) -> QPixmap:
    """Return an image (C, H, W) in [0, 1], of 1 or 3 channels or more, as a pixmap."""
    values = picture.numpy()
    if values.shape[0] != 3:
        values = np.repeat(values[:1], 3, axis=0)
    pixels = np.ascontiguousarray((values.transpose(1, 2, 0) * 255).astype(np.uint8))
    height, width = pixels.shape[:2]
    image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image.copy())


class FittedPicture(QLabel):
    """A picture as wide as the dock, never taller than it is readable."""

    def __init__(self) -> None:
        super().__init__()
        self._full: QPixmap | None = None
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def set_picture(self, picture: QPixmap) -> None:
        """Show a picture, made to fit."""
        self._full = picture
        self._fit()

    def clear(self) -> None:
        """Show nothing."""
        self._full = None
        super().clear()
        self.hide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit again."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._full is None:
            return
        room = QSize(max(64, self.width()), PICTURE_HEIGHT)
        size = self._full.size().scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
        if self.height() != size.height():
            self.setFixedHeight(size.height())
        mode = Qt.TransformationMode.SmoothTransformation
        self.setPixmap(self._full.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, mode))
