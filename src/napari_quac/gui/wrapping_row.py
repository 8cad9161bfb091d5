"""A row that continues in the next line where there is no room."""

from __future__ import annotations

from qtpy.QtCore import QRect, QSize
from qtpy.QtWidgets import QLayout, QLayoutItem, QWidget
from superqt import QFlowLayout

SPACING, LINE_SPACING = 6, 4


class WrappingRow(QFlowLayout):
    """Parts that share a line, or several where there is no room for all.

    The first part, unless it stretches, stays alone above the others as their caption. superqt's
    ``QFlowLayout`` places its parts, but neither stretches nor shrinks them.

    Parameters
    ----------
    *parts : QWidget or int
        From left to right; a number gives the part before it that share of the width that is left
        over.
    """

    def __init__(self, *parts: QWidget | int) -> None:
        super().__init__()
        self.setContentsMargins(0, 0, 0, 0)
        self._stretches: list[int] = []
        for part in parts:
            if isinstance(part, int):
                self._stretches[-1] = part
            else:
                self._stretches.append(0)
                self.addWidget(part)

    def sizeHint(self) -> QSize:
        """Return the size of all parts in one line."""
        hints = [item.sizeHint() for item, _ in self._parts()]
        width = sum(hint.width() for hint in hints) + SPACING * max(0, len(hints) - 1)
        return QSize(width, max((hint.height() for hint in hints), default=0))

    def heightForWidth(self, width: int) -> int:
        """Return the height of all lines."""
        lines = self._lines(width)
        return sum(map(_height, lines)) + LINE_SPACING * max(0, len(lines) - 1)

    def setGeometry(self, rect: QRect) -> None:
        """Place the parts."""
        QLayout.setGeometry(self, rect)
        y = rect.y()
        for line in self._lines(rect.width()):
            x, height = rect.x(), _height(line)
            for (item, _), width in zip(line, _widths(line, rect.width()), strict=True):
                item.setGeometry(QRect(x, y, width, height))
                x += width + SPACING
            y += height + LINE_SPACING

    def _parts(self) -> list[tuple[QLayoutItem, int]]:
        """Return the items that are not hidden, with their stretches."""
        items = [self.itemAt(index) for index in range(self.count())]
        pairs = zip(items, self._stretches, strict=True)
        return [(item, stretch) for item, stretch in pairs if not item.isEmpty()]

    def _lines(self, room: int) -> list[list[tuple[QLayoutItem, int]]]:
        """Return the parts of each line."""
        parts = self._parts()
        if not parts or _smallest(parts) <= room:
            return [parts]
        has_caption = parts[0][1] == 0
        lines = [parts[:1]]
        for part in parts[1:]:
            is_below_caption = has_caption and len(lines) == 1
            if not is_below_caption and _smallest([*lines[-1], part]) <= room:
                lines[-1].append(part)
            else:
                lines.append([part])
        return lines


def _height(line: list[tuple[QLayoutItem, int]]) -> int:
    return max((item.sizeHint().height() for item, _ in line), default=0)


def _smallest(line: list[tuple[QLayoutItem, int]]) -> int:
    """Return the smallest width of a line."""
    width: int = sum(item.minimumSize().width() for item, _ in line)
    return width + SPACING * (len(line) - 1)


def _widths(line: list[tuple[QLayoutItem, int]], room: int) -> list[int]:
    """Return the width of each part of a line, as ``QHBoxLayout`` does."""
    lowest = [item.minimumSize().width() for item, _ in line]
    widths = [
        low if stretch else max(low, item.sizeHint().width())
        for low, (item, stretch) in zip(lowest, line, strict=True)
    ]
    room -= SPACING * (len(line) - 1)
    excess = sum(widths) - room
    if excess > 0:
        slack = sum(widths) - sum(lowest)
        part = min(1.0, excess / slack) if slack else 0.0
        return [w - round(part * (w - low)) for w, low in zip(widths, lowest, strict=True)]
    growing = {n: stretch for n, (_, stretch) in enumerate(line) if stretch}
    free = room - sum(width for n, width in enumerate(widths) if n not in growing)
    while growing:  # a field that needs more than its share takes that from the others
        total = sum(growing.values())
        tight = [n for n, stretch in growing.items() if lowest[n] > free * stretch // total]
        if not tight:
            for n, stretch in growing.items():
                widths[n] = free * stretch // total
            break
        for n in tight:
            free -= lowest[n]
            del growing[n]
    return widths
