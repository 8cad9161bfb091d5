"""The menu *Public data sets* of the field for a volume; nothing is contacted."""

from __future__ import annotations

from collections.abc import Callable

from napari_quac.data.remote.public_data import PublicData, own_list, public_data
from napari_quac.errors import QuacError
from napari_quac.gui.path_field import PathField
from napari_quac.gui.slots import slot
from napari_quac.gui.text import plain


def offer_public_data(
    field: PathField, picked: Callable[[str], None], failed: Callable[[BaseException], None]
) -> None:
    """Add a menu that fills a field with the address of a data set.

    Parameters
    ----------
    field : PathField
        Of a volume.
    picked : callable
        Receives the address.
    failed : callable
        Receives the error of a damaged list.
    """
    menu = field.add_menu("Public data sets")
    if menu is None:
        return
    menu.setToolTipsVisible(True)

    def choose(entry: PublicData) -> None:
        field.show_path(str(entry.image))
        picked(str(entry.image))

    def fill() -> None:
        menu.clear()
        for entry in read_data_sets(failed):
            action = menu.addAction(entry.name.replace("&", "&&"))
            action.setToolTip(plain(entry.sentences()))
            action.triggered.connect(slot(lambda _=False, entry=entry: choose(entry)))
        menu.addSeparator()
        note = menu.addAction("Further ones: your own list")
        note.setToolTip(plain(f"Write entries into {own_list()}."))
        note.setEnabled(False)

    menu.aboutToShow.connect(slot(fill))


def read_data_sets(failed: Callable[[BaseException], None]) -> list[PublicData]:
    """Return the public data sets; none if a list is damaged, which is reported."""
    try:
        return public_data()
    except QuacError as error:
        failed(error)
        return []
