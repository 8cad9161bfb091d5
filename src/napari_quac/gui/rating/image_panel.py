"""Panels of images that share zoom and center, drawn from arrays with one pair of limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QWheelEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_quac.gui.slots import slots

MAX_ZOOM = 32.0
WHEEL_FACTOR = 1.2


class SharedView(QObject):
    """Zoom and center of all panels: 1 fits the image into the panel.

    Attributes
    ----------
    zoom : float
    center : QPointF
        Point of the image in the middle of the panel, as a share of width and height.
    section : int or None
        Section of a volume; None for the middle one.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.zoom, self.center = 1.0, QPointF(0.5, 0.5)
        self.section: int | None = None

    def reset(self) -> None:
        """Fit the images into the panels."""
        self.zoom, self.center = 1.0, QPointF(0.5, 0.5)
        self.changed.emit()

    def zoom_by(self, factor: float, anchor: QPointF | None = None) -> None:
        """Zoom around a point of the image, by default the center."""
        anchor = self.center if anchor is None else anchor
        zoom = min(max(self.zoom * factor, 1.0), MAX_ZOOM)
        share = self.zoom / zoom
        self.zoom = zoom
        self.move_to(anchor + (self.center - anchor) * share)

    def move_to(self, center: QPointF) -> None:
        """Move the center, which stays inside of the image."""
        margin = 0.5 / self.zoom
        self.center = QPointF(
            min(max(center.x(), margin), 1 - margin), min(max(center.y(), margin), 1 - margin)
        )
        self.changed.emit()

    def set_section(self, section: int) -> None:
        """Choose the section of volumes."""
        self.section = section
        self.changed.emit()


@slots
class ImagePanel(QWidget):
    """One image, at the zoom and center of a shared view.

    Parameters
    ----------
    name : str
        Object name.
    view : SharedView
        Shared with other panels.
    background : str
        Color around the image.
    """

    def __init__(self, name: str, view: SharedView, background: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.view, self._background = view, QColor(background)
        self._image: NDArray[np.float32] | None = None
        self._limits = (0.0, 1.0)
        self._picture: QImage | None = None
        self._drag: QPointF | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(QSize(120, 120))
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        view.changed.connect(self._on_view)

    def set_image(
        self, image: NDArray[np.float32] | None, limits: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        """Show an image (C, *S), or nothing."""
        self._image, self._limits = image, limits
        self._on_view()

    @property
    def picture(self) -> QImage | None:
        """The displayed pixels."""
        return self._picture

    def _on_view(self) -> None:
        self._picture = (
            None
            if self._image is None
            else picture_of(self._image, self._limits, self.view.section)
        )
        self.update()

    def _scale(self) -> float:
        """Return screen pixels per pixel of the image."""
        if self._picture is None:
            return 1.0
        fit = min(self.width() / self._picture.width(), self.height() / self._picture.height())
        return float(fit * self.view.zoom)

    def _share_at(self, position: QPointF) -> QPointF:
        """Return the point of the image at a position of the panel, as shares."""
        if self._picture is None:
            return self.view.center
        scale = self._scale()
        offset = position - QPointF(self.width() / 2, self.height() / 2)
        return self.view.center + QPointF(
            offset.x() / scale / self._picture.width(), offset.y() / scale / self._picture.height()
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the image; its pixels stay sharp."""
        del event
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._background)
        if self._picture is not None:
            scale = self._scale()
            width, height = self._picture.width() * scale, self._picture.height() * scale
            center = self.view.center
            target = QRectF(
                self.width() / 2 - center.x() * width,
                self.height() / 2 - center.y() * height,
                width,
                height,
            )
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, scale < 1)
            painter.drawImage(target, self._picture)
        painter.end()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom around the pointer."""
        steps = event.angleDelta().y() / 120
        self.view.zoom_by(WHEEL_FACTOR**steps, self._share_at(QPointF(event.position())))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to move the images."""
        self._drag = QPointF(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move the images with the pointer."""
        if self._drag is not None and self._picture is not None:
            position = QPointF(event.position())
            moved = self._share_at(self._drag) - self._share_at(position)
            self._drag = position
            self.view.move_to(self.view.center + moved)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the movement."""
        del event
        self._drag = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Fit the images into the panels."""
        del event
        self.view.reset()


def picture_of(
    image: NDArray[np.float32], limits: tuple[float, float], section: int | None = None
) -> QImage:
    """Return an image for the screen.

    Parameters
    ----------
    image : (C, H, W) or (C, D, H, W) ndarray, float32
        Three channels are colors; otherwise the first one is gray.
    limits : (float, float)
        Values that become black and white.
    section : int or None
        Section of a volume; None for the middle one.
    """
    if image.ndim == 4:
        depth = image.shape[1]
        image = image[:, depth // 2 if section is None else min(max(section, 0), depth - 1)]
    low, high = limits
    levels = np.clip((image - low) / (high - low), 0, 1) * 255
    pixels = np.rint(levels).astype(np.uint8)
    if len(pixels) == 3:
        colors = np.ascontiguousarray(pixels.transpose(1, 2, 0))
        height, width = colors.shape[:2]
        return QImage(colors.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    gray = np.ascontiguousarray(pixels[0])
    height, width = gray.shape
    return QImage(gray.data, width, height, width, QImage.Format.Format_Grayscale8).copy()
