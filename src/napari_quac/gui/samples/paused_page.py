"""A page of the samples that computes nothing while another one is displayed."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_quac.gui import widgets as ui
from napari_quac.gui.slots import slot, slots


@slots
class PausedPage(QWidget):
    """A page whose subclass implements :meth:`update_page`.

    Parameters
    ----------
    name : str
        Object name.
    settle_ms : int
        Milliseconds without further changes before the page is updated.
    """

    def __init__(self, name: str, settle_ms: int) -> None:
        super().__init__()
        self.setObjectName(name)
        self._is_active = False
        self._later = ui.debouncer(self, settle_ms, self.update_page)

    def set_active(self, is_active: bool) -> None:
        """Update the page, or pause while another page is displayed."""
        self._is_active = is_active
        self.update_later()

    @slot
    def update_later(self) -> None:
        """Update the page soon if it is displayed."""
        if self._is_active:
            self._later.throttle()

    @slot
    def update_page(self) -> None:
        """Show the present samples."""
        raise NotImplementedError
