"""The field of a volume: a path is opened, a link or an address becomes a card first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_quac.data.remote.address import Address, location
from napari_quac.data.remote.link import ImageLayer, Link, is_link
from napari_quac.errors import DataError
from napari_quac.gui.public_data_menu import offer_public_data, read_data_sets
from napari_quac.gui.remote_trial import RemoteTrials
from napari_quac.gui.remote_volume import RemoteVolumes
from napari_quac.gui.slots import slot, slots
from napari_quac.live.controller import Controller

if TYPE_CHECKING:
    from napari_quac.gui.panels.points_panel import PointsPanel


@slots
class LinkOpening(QObject):
    """Opener of the entered volume, which contacts only the file with a state.

    Parameters
    ----------
    panel : PointsPanel
        Opens volumes.
    remote : RemoteVolumes
        Reads links.
    controller : Controller
        Reads in its lane.
    failed : callable
        Receives an error.

    Attributes
    ----------
    link : Link or None
        The points of the image that is being opened.
    """

    def __init__(
        self,
        panel: PointsPanel,
        remote: RemoteVolumes,
        controller: Controller,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(panel)
        self._panel, self._remote, self._failed = panel, remote, failed
        self.link: Link | None = None
        self.trials = RemoteTrials(panel, controller)
        panel.volume_field.picked.connect(self.enter)
        panel.link_row.opened.connect(self._open_image)
        offer_public_data(panel.volume_field, self.enter, failed)

    @slot
    def enter(self, text: str) -> None:
        """Open a file, or show the card of a link or an address."""
        panel = self._panel
        panel.array_row.clear()
        panel.link_row.clear()
        panel.clear_message()
        if is_link(text):
            self._remote.read_link(text, self._show_link, self._failed)
            return
        try:
            place = location(text)
        except DataError as error:
            panel.message.show_message(str(error), "bad")
            return
        if isinstance(place, Address) and place.host:
            self._show_link(Link((ImageLayer(place.name, place),)))
        else:
            panel.open_volume(place if isinstance(place, Address) else place.expanduser())

    def _show_link(self, link: Link) -> None:
        trained_nm = self._panel.patch.network_spin.value()
        self._panel.link_row.show_link(link, read_data_sets(self._failed), trained_nm)

    @slot
    def _open_image(self, address: Address, link: Link) -> None:
        """Open an image of a link, and add the points of the link to it."""
        self.link = link.placed_in(address)
        self._panel.open_volume(address)
