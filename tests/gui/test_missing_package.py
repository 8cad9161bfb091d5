"""Where PyTorch is missing, the plugin opens and says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.plugin_widget import PluginWidget

OPEN = """
import sys
from importlib.abc import MetaPathFinder

class Without(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without())
import qtpy.QtWidgets
application = qtpy.QtWidgets.QApplication([])
from napari_quac.gui import plugin_widget, reader, sample_data
widget = plugin_widget.PluginWidget()
widget.copy_button.click()
print(widget.message.text())
print("copied:", application.clipboard().text())
"""


def test_with_all_packages_it_is_the_dock() -> None:
    assert PluginWidget is QuacDock


@pytest.mark.long
@pytest.mark.parametrize(("package", "command"), [("torch", "torch"), ("skimage", "scikit-image")])
def test_without_a_package_it_says_what_to_install(package: str, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPEN.format(package=package)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert f'copied: "{sys.executable}" -m pip install {command}\n' in done.stdout
    assert "restart napari" in done.stdout
