"""``napari-quac demo``: napari with the example data and one explained misprediction."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from napari_quac.commands import shared
from napari_quac.commands.output import notify
from napari_quac.errors import QuacError

DEFAULT_PICTURE = Path("napari-quac-demo.png")
SCREEN = "1366x768x24"


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="open napari with an explained example",
        description="Open napari with the example data and one explained misprediction.",
    )
    text = "--screenshot FILE  write a picture of the window and exit; works without a display"
    shared.add_options(parser, text)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Open the window, or write its picture if there is no display.

    Raises
    ------
    QuacError
        If there is neither a display nor a virtual display.
    """
    picture: Path | None = options.screenshot
    if picture is not None and not (folder := picture.absolute().parent).is_dir():
        raise QuacError(f"The folder '{folder}' does not exist. Choose another one.")
    if not _has_display():
        if picture is None:
            picture = DEFAULT_PICTURE
            notify(f"No display is available, so the window is drawn to '{picture}'.")
        _under_virtual_display(picture)
        return
    if picture is not None:
        from napari_quac.gui.demo import screenshot_demo

        screenshot_demo(picture)
        notify(f"Picture written to '{picture}'.")
        return
    import napari

    from napari_quac.gui.demo import open_demo

    open_demo(napari.Viewer(title="napari-quac: example"))
    napari.run()


def _has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _under_virtual_display(picture: Path) -> None:
    """Write the picture from a separate process with a virtual display."""
    server = shutil.which("Xvfb")
    if server is None:
        raise QuacError(
            "There is no display and no Xvfb, a virtual display. Install it (on Debian: apt-get "
            "install xvfb and the libraries in the README), or use a desktop computer."
        )
    read, write = os.pipe()
    display = subprocess.Popen(  # noqa: S603 - from the path
        [server, "-displayfd", str(write), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=(write,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as answer:
            number = answer.readline().strip()
        if not number:
            raise QuacError("The virtual display (Xvfb) did not start. Try again.")
        environment = {**os.environ, "DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
        command = [sys.executable, "-m", "napari_quac", "demo", "--screenshot", str(picture)]
        process = subprocess.run(command, env=environment, check=False)  # noqa: S603 - ourselves
        if process.returncode:
            code = f"exit code {process.returncode}"
            raise QuacError(f"The window cannot be drawn ({code}); see the lines above.")
    finally:
        display.terminate()
        display.wait()
