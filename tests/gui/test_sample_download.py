"""File, Open Sample, Drosophila VNC: downloaded, cancelled and refused in the real window."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from napari_quac.data import vnc_sample
from napari_quac.data.vnc_sample import Section
from napari_quac.errors import CancelledError, DataError
from napari_quac.gui.sample_data import drosophila_vnc


class Server:
    """Serves two sections; the second one never comes while the server is stuck."""

    def __init__(self, folder: Path) -> None:
        self.go_on, self.asked = threading.Event(), threading.Event()
        self.planes = np.random.default_rng(0).integers(0, 255, (2, 1024, 1024), dtype=np.uint8)
        self.sections, files = [], {}
        for number, plane in enumerate(self.planes):
            tifffile.imwrite(folder / "a.tif", plane)
            raw = (folder / "a.tif").read_bytes()
            path = f"stack1/raw/{number:02d}.tif"
            files[f"/{path}"] = raw
            self.sections.append(
                Section(path, hashlib.sha256(raw).hexdigest(),
                        hashlib.sha256(plane.tobytes()).hexdigest())
            )  # fmt: skip
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith("01.tif"):
                    server.asked.set()
                    server.go_on.wait(30)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(files[self.path])

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        self.go_on.set()
        for thread in threading.enumerate():
            if thread.name == "quac-event-loop":
                thread.join(10)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(tmp_path)
    monkeypatch.setenv("NAPARI_QUAC_VNC_FOLDER", str(tmp_path / "cache"))
    monkeypatch.setattr(vnc_sample, "BASE_URL", made.url)
    monkeypatch.setattr(vnc_sample, "published_sections", lambda: tuple(made.sections))
    yield made
    made.close()


def test_download_is_announced_cancelled_and_gone_on_with(
    make_napari_viewer: Callable[[], Any], server: Server, tmp_path: Path
) -> None:
    viewer = make_napari_viewer()

    def cancel() -> None:
        """Press napari's own button once the second section is on its way."""
        buttons = viewer.window._qt_window._activity_dialog.findChildren(QPushButton)
        if server.asked.is_set() and buttons:
            QTest.mouseClick(buttons[0], Qt.MouseButton.LeftButton)

    timer = QTimer()
    timer.timeout.connect(cancel)
    timer.start(20)
    with pytest.raises(CancelledError, match=r"at section 2 of 2\. Downloaded files"):
        drosophila_vnc()
    timer.stop()
    cache = tmp_path / "cache"
    assert "Downloading 2 sections" in notification_manager.records[-1].message
    assert str(cache) in notification_manager.records[-1].message
    assert [path.name for path in cache.rglob("*.tif")] == ["00.tif"]
    server.go_on.set()
    ((data, look, kind),) = drosophila_vnc()
    np.testing.assert_array_equal(data, server.planes)
    assert kind == "image" and look["scale"] == (45.0, 4.6, 4.6)
    assert "CC BY-NC-SA 3.0" in notification_manager.records[-1].message
    assert "856713" in notification_manager.records[-1].message


def test_file_that_was_not_published_is_refused(
    make_napari_viewer: Callable[[], Any], server: Server, tmp_path: Path
) -> None:
    make_napari_viewer()
    server.go_on.set()
    server.sections[1] = Section(server.sections[1].path, "0" * 64, "0" * 64)
    with pytest.raises(DataError, match=r"01\.tif.* is not the published file"):
        drosophila_vnc()
    assert [path.name for path in (tmp_path / "cache").rglob("*.tif")] == ["00.tif"]
