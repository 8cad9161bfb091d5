"""``napari-quac demo``: napari with the example data and one explained misprediction."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_quac.commands import shared
from napari_quac.commands.output import notify
from napari_quac.errors import QuacError
from napari_quac.reading import is_folder

DEFAULT_PICTURE = Path("napari-quac-demo.png")
SCREEN = "1366x768x24"
FIGURE_DPI = 150
PROBE_SECONDS = 60
# Qt ends the process when a display does not answer, so this is tried in another process
PROBE = """
from qtpy.QtGui import QOpenGLContext
from qtpy.QtWidgets import QApplication
application = QApplication([])
raise SystemExit(0 if QOpenGLContext().create() else "OpenGL is not available")
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="open napari with an explained example",
        description="Open napari with the example data and one explained misprediction. Where no "
        "window can be drawn, write the explanation as a figure and a table.",
    )
    text = "--screenshot FILE  write a picture of the window and exit; works without a display"
    shared.add_options(parser, text)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Open the window, or write its picture, or write the explanation as a figure and a table.

    Raises
    ------
    QuacError
        If the folder of the picture does not exist, or a step failed.
    """
    picture: Path | None = options.screenshot
    if picture is not None and not is_folder(folder := picture.absolute().parent):
        raise QuacError(f"The folder '{folder}' does not exist. Choose another one.")
    reason = _window_error(os.environ) if _has_display() else "there is no display"
    if not reason:
        _show_window(picture)
        return
    picture = picture or DEFAULT_PICTURE
    server = shutil.which("Xvfb")
    if server is not None:
        with _virtual_display(server) as environment:
            reason = _window_error(environment)
            if not reason:
                notify(f"No display is available, so the window is drawn to '{picture}'.")
                _draw_window(picture, environment)
                return
    elif not _has_display():
        reason = "there is neither a display nor Xvfb, a virtual display"
    notify(
        f"No window can be drawn ({reason}), so the explanation is drawn instead. For the window, "
        "install the system packages in the README under 'Try it', or use a desktop computer."
    )
    _draw_explanation(picture)


def _has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _window_error(environment: Mapping[str, str]) -> str:
    """Return why Qt and OpenGL cannot draw a window; empty if they can."""
    try:
        probe = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-P", "-c", PROBE],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the display did not answer within {PROBE_SECONDS} s"
    if probe.returncode == 0:
        return ""
    lines = [line.strip() for line in probe.stderr.splitlines() if line.strip()]
    if not lines:
        return f"Qt ended with exit code {probe.returncode}"
    # a signal is Qt's own, which states the reason first; an exception states it last
    return lines[0 if probe.returncode < 0 else -1][:160]


def _show_window(picture: Path | None) -> None:
    if picture is not None:
        from napari_quac.gui.demo import screenshot_demo

        screenshot_demo(picture)
        notify(f"Picture written to '{picture}'.")
        return
    import napari

    from napari_quac.gui.demo import open_demo
    from napari_quac.gui.running import run_until_closed

    open_demo(napari.Viewer(title="napari-quac: example"))
    run_until_closed()


@contextmanager
def _virtual_display(server: str) -> Iterator[dict[str, str]]:
    """Start a virtual display; yield the environment of processes that draw on it."""
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
        # without a number it did not start, and the environment is that of no display
        yield {**os.environ, "DISPLAY": f":{number}" if number else "", "QT_QPA_PLATFORM": "xcb"}
    finally:
        display.terminate()
        display.wait()


def _draw_window(picture: Path, environment: Mapping[str, str]) -> None:
    """Write a picture of the window from a process with a virtual display."""
    command = [sys.executable, "-P", "-m", "napari_quac", "demo", "--screenshot", str(picture)]
    process = subprocess.run(command, env=environment, check=False)  # noqa: S603 - ourselves
    if process.returncode:
        code = f"exit code {process.returncode}"
        raise QuacError(f"The window cannot be drawn ({code}); see the lines above.")


def _draw_explanation(picture: Path) -> None:
    """Explain the misprediction that the window shows; write a figure and a table of numbers."""
    import pandas as pd
    from matplotlib import rc_context

    from napari_quac.commands.compare import as_table
    from napari_quac.example import load_example
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.explain.verdict import verdict
    from napari_quac.generators.opening import load_classifier, load_generator
    from napari_quac.reports.comparison import compare_samples
    from napari_quac.reports.figures.output import check_figure_path, write_figure
    from napari_quac.storage import write_file

    check_figure_path(picture)
    example, settings = load_example(), ExplainSettings()
    classifier = load_classifier(example.classifier_path)
    generator = load_generator(example.generator_path)
    compared = compare_samples(
        example.mispredicted(classifier)[:1], example.dataset, classifier, generator, settings
    ).result()
    explanations = compared.last.explanations
    explanation = explanations[settings.methods[0]]
    print(repr(explanation)[1:-1])
    for finding in verdict(explanation, list(explanations.values()), classifier.class_names):
        print(f"- {finding.text}")
    print(f"\n{as_table(compared.rows, settings)}")
    with rc_context({"savefig.dpi": FIGURE_DPI}):
        write_figure(explanation.plot(), picture)
    numbers = pd.DataFrame([row.to_json() for row in compared.rows]).drop(columns="curve")
    table = picture.with_suffix(".csv")
    write_file(table, numbers.to_csv(index=False).encode())
    notify(f"Figure written to '{picture}', numbers to '{table}'.")
