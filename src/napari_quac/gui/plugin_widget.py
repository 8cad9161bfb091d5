"""The widget that napari opens: the dock, or what to install where a package is missing."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from qtpy.QtWidgets import QApplication, QLabel, QWidget

from napari_quac.gui.slots import slot
from napari_quac.gui.widgets import button, column, row

NAMES_ON_PYPI = {
    "PIL": "pillow",
    "lazy_loader": "lazy-loader",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}


class MissingPackage(QWidget):
    """The place of the dock where a package that it needs is not installed."""

    missing = "torch"
    reason = ""

    def __init__(self) -> None:
        super().__init__()
        name = self.missing.split(".")[0]
        self.command = f'"{sys.executable}" -m pip install {NAMES_ON_PYPI.get(name, name)}'
        title = "PyTorch" if name == "torch" else f"The package '{name}'"
        text = (
            f"QuAC needs a package that is not installed or cannot be loaded. {title}: "
            f"{self.reason}.\n\nRun this in a terminal, then restart napari:\n\n{self.command}"
        )
        self.setObjectName("missing_package")
        self.message = QLabel(text)
        self.message.setWordWrap(True)
        tip = "Copy the command that installs the package."
        self.copy_button = button("Copy command", "copy_command_button", tip, self.copy)
        column(self.message, row(self.copy_button, None), None, parent=self)

    @slot
    def copy(self) -> None:
        """Copy the command to the clipboard."""
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.command)


def _dock_class() -> type[QWidget]:
    try:
        from napari_quac.gui.dock import QuacDock
    except ImportError as error:
        name = (error.name or "").split(".")[0]
        if name in ("", "napari_quac"):
            raise
        values: dict[str, Any] = {"missing": name, "reason": _reason(name)}
        return type("MissingPackage", (MissingPackage,), values)
    return QuacDock


def _reason(name: str) -> str:
    try:
        return f"version {version(NAMES_ON_PYPI.get(name, name))} is damaged or too old"
    except PackageNotFoundError:
        return "not installed"


PluginWidget = _dock_class()
