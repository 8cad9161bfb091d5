"""A precomputed volume of 20 000 × 20 000 × 5 000 voxels behind a server with a latency.

The server is another process of this machine, computes each block of 64³ voxels when it is
requested, and waits before each answer. Measured are the time from a click on a point to its
patch, the longest gap of the event loop meanwhile, the time until a canceled request has ended,
and the bytes and the memory of predictions. Run it under a display, or under Xvfb::

    python benchmarks/remote_volume.py [--predict 1000] [--clicks 20] [--latency 20]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NAPARI_CONFIG", "")
TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(Path(__file__).parent)]

from event_loop import Gap, Watchdog, rest, wait  # noqa: E402

from served.sparse import BLOCK, SHAPE, VOXEL_NM, patch_blocks  # noqa: E402

SIZE = (1, 128, 128)
SERVER = """
import pathlib, sys, tempfile
sys.path.insert(0, sys.argv[1])
from served.sparse import serve_sparse
with tempfile.TemporaryDirectory() as folder, serve_sparse(pathlib.Path(folder)) as server:
    print(server.url, flush=True)
    for line in sys.stdin:
        if line.startswith("delay"):
            server.delay = float(line.split()[1])
        print(len(server.requests), server.n_bytes, flush=True)
"""


class Server:
    """The server in its process."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", SERVER, str(TESTS)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.url = self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def tell(self, line: str = "counts") -> tuple[int, int]:
        """Send a line; return the number of requests and of bytes so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        n_requests, n_bytes = self._read().split()
        return int(n_requests), int(n_bytes)

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)


def rss() -> float:
    """Return the memory in use, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Append the most memory in use within the block, in MB."""
    peaks, ended = [rss()], threading.Event()

    def sample() -> None:
        while not ended.wait(0.02):
            peaks[0] = max(peaks[0], rss())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def open_window(server: Server, centers: NDArray[np.int64]) -> Any:
    """Return a dock with a classifier and the points."""
    import napari

    from napari_quac.data.remote.address import Address
    from napari_quac.data.remote.volume import open_remote
    from napari_quac.data.volume_points import VolumePoints
    from napari_quac.example import load_example
    from napari_quac.gui.dock import QuacDock
    from napari_quac.live.choices import ReadySamples
    from napari_quac.networks.classifier_recipe import ClassifierRecipe
    from napari_quac.networks.consent import hosts_in, trust

    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    dock.choices.classifier = ClassifierRecipe(load_example().classifier_path)
    wait(lambda: dock.results.loaded_classifier is not None)
    print(f"idle viewer with a classifier: {rss():.0f} MB", flush=True)
    address = Address(f"precomputed://{server.url}/em")
    trust(hosts_in(address))
    dock.points_panel.set_open(True)
    edit = dock.points_panel.volume_field.edit
    edit.setText(str(address))
    edit.returnPressed.emit()
    wait(lambda: dock.points_panel.link_row.open_button.isVisible())
    dock.points_panel.link_row.open_button.click()
    wait(lambda: any(layer.name.startswith("em") for layer in viewer.layers))
    image = viewer.layers["em (overview)"]
    viewer.add_points(
        centers, name="synapses", scale=VOXEL_NM, units=("nm",) * 3, size=60,
        translate=(0.0, 0.0, 0.0),
    )  # fmt: skip
    dock.choices.predict_up_to = 0
    dock.points_panel.choose(image.name, "synapses")
    dock.points_panel.use_points()
    wait(lambda: dock.results.loaded_samples is not None)
    if not isinstance(dock.results.loaded_samples, VolumePoints):  # another reading was chosen
        dock.choices.samples = ReadySamples(
            VolumePoints(open_remote(address), centers * VOXEL_NM, SIZE)
        )
    wait(lambda: dock.results.sample is not None and not dock.controller.running)
    return dock


def measure_clicks(dock: Any, n: int, step: int, n_lines: int) -> None:
    """Select points as a click on them does, until their patches are shown."""
    durations, processor, index = [], [], 0
    with Watchdog(is_sampling=n_lines > 0) as watchdog:
        for _ in range(n):
            index += step
            started, used = time.perf_counter(), time.thread_time()
            dock.session.select_sample(index)
            name = dock.results.loaded_samples.sample_id(index)

            def is_shown(name: str = name) -> bool:
                sample, query = dock.results.sample, dock.layers.layers.get("query")
                return (
                    sample is not None
                    and sample.id == name
                    and query is not None
                    and np.shares_memory(query.data, sample.image.numpy())
                )

            wait(is_shown, 30)
            durations.append(1000 * (time.perf_counter() - started))
            processor.append(1000 * (time.thread_time() - used))
            rest(0.5)  # looked at
    text = "next point" if step == 1 else "distant point"
    median, most = statistics.median(durations), max(durations)
    print(
        f"{text}: to its shown patch, median {median:.0f} ms, largest {most:.0f} ms; processor "
        f"time of the window's thread, median {statistics.median(processor):.0f} ms, largest "
        f"{max(processor):.0f} ms",
        flush=True,
    )
    gaps = watchdog.gaps() or [Gap(0, 0, 0)]
    for title, gap in (
        ("longest gap", max(gaps, key=lambda gap: gap.wall)),
        ("most processor time", max(gaps, key=lambda gap: gap.processor)),
    ):
        print(f"    {title}: {gap}", flush=True)
        for line, count in gap.lines.most_common(n_lines):
            print(f"        {count:4d}  {line}")


def measure_cancel(dock: Any, server: Server) -> None:
    """Cancel what reads around a point while the server does not answer."""
    durations = []
    for index in (701, 702, 703):
        server.tell("delay 3")
        dock.session.select_sample(index)
        rest(0.4)
        started = time.perf_counter()
        for slot in list(dock.controller.running):
            dock.controller.cancel(slot)
        wait(lambda: not dock.controller.running and dock.controller.lane.wait_idle(0.001))
        durations.append(1000 * (time.perf_counter() - started))
        server.tell("delay 0.02")
        rest(3.0)
    print(f"cancel: {', '.join(f'{ms:.0f}' for ms in durations)} ms", flush=True)


def measure_reading(server: Server) -> None:
    """Read patches far from each other, without a window."""
    from napari_quac.data.remote.address import Address
    from napari_quac.data.remote.volume import open_remote
    from napari_quac.data.volume_points import VolumePoints

    volume = open_remote(Address(f"precomputed://{server.url}/em"))
    dataset = VolumePoints(volume, scattered(31) * VOXEL_NM, SIZE)
    _ = dataset[30]  # opens the store
    durations = []
    for index in range(30):
        started = time.perf_counter()
        _ = dataset[index]
        durations.append(1000 * (time.perf_counter() - started))
    median, most = statistics.median(durations), max(durations)
    print(f"reading a patch: median {median:.0f} ms, largest {most:.0f} ms", flush=True)


def measure_predictions(server: Server, centers: NDArray[np.int64], title: str) -> None:
    """Predict the samples of points, without a window."""
    from napari_quac.data.remote.address import Address
    from napari_quac.data.remote.volume import open_remote
    from napari_quac.data.volume_points import VolumePoints
    from napari_quac.example import load_example
    from napari_quac.explain.prediction_table import predict_all
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    classifier = ClassifierRecipe(load_example().classifier_path).load()
    before = server.tell()
    idle, started = rss(), time.perf_counter()
    with peak_memory() as peak:
        volume = open_remote(Address(f"precomputed://{server.url}/em"))
        dataset = VolumePoints(volume, centers * VOXEL_NM, SIZE)
        table = predict_all(dataset, classifier).result()
    seconds = time.perf_counter() - started
    after = server.tell()
    assert table.is_complete and not table.failures, table.failures
    n_blocks = len(patch_blocks(centers, SIZE))
    n_bytes = after[1] - before[1]
    print(f"predict {len(centers)} {title} points: {seconds:.1f} s, {after[0] - before[0]} requests"
          f" for {n_blocks} blocks, {n_bytes / 1e6:.0f} MB, "
          f"{n_bytes / (n_blocks * BLOCK**3):.2f} × their bytes; peak {peak[0] - idle:.0f} MB over "
          "idle", flush=True)  # fmt: skip


def scattered(n: int) -> NDArray[np.int64]:
    """Return points anywhere in the volume."""
    rng = np.random.default_rng(0)
    return rng.integers(200, np.array(SHAPE) - 200, (n, 3))


def clustered(n: int) -> NDArray[np.int64]:
    """Return points along ten neurites of 2 000 voxels, in random order."""
    rng = np.random.default_rng(1)
    starts = rng.integers(1000, np.array(SHAPE) - 3500, (10, 3))
    steps = rng.random((n, 1)) * 2000 * (0.1, 1, 1)
    return (starts[rng.integers(0, 10, n)] + steps + rng.normal(0, 30, (n, 3))).astype(np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predict", type=int, default=1000)
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--latency", type=float, default=20, help="milliseconds per request")
    parser.add_argument("--stacks", type=int, default=0, metavar="LINES")
    parser.add_argument("--no-window", action="store_true", help="measure the predictions alone")
    options = parser.parse_args()
    server = Server()
    server.tell(f"delay {options.latency / 1000}")
    try:
        measure_reading(server)
        if options.predict:
            measure_predictions(server, scattered(options.predict), "scattered")
            measure_predictions(server, clustered(options.predict), "clustered")
        if not options.no_window:
            from qtpy.QtCore import QSettings

            scope = QSettings.Scope.UserScope
            QSettings.setPath(QSettings.Format.NativeFormat, scope, tempfile.mkdtemp())
            if options.stacks:  # so that samples are taken while the main thread computes
                sys.setswitchinterval(0.001)
            dock = open_window(server, scattered(1000))
            measure_clicks(dock, options.clicks, 1, options.stacks)
            measure_clicks(dock, options.clicks, 17, options.stacks)
            measure_cancel(dock, server)
            dock.shut_down()
    finally:
        server.close()


if __name__ == "__main__":
    main()
