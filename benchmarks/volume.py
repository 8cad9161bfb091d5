"""A volume of 20 000 × 20 000 × 200 voxels, 100 000 points: memory, bytes read, time of a click.

The volume is a sparse OME-Zarr: only the chunks of the points that are predicted are written, the
rest is the fill value. Run it under a display, or under Xvfb:

    python benchmarks/volume.py [--points 100000] [--predict 1000] [--clicks 20]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (200, 20_000, 20_000)
CHUNK = (1, 128, 128)
VOXEL = (40.0, 4.0, 4.0)
SIZE = (1, 128, 128)
N_LEVELS = 6


def write_volume(path: Path, centres: np.ndarray) -> None:
    """Write noise around the centres into the finest level; coarser ones stay empty."""
    import zarr

    group = zarr.open_group(path, mode="w")
    datasets = []
    for level in range(N_LEVELS):
        k = 2**level
        shape = (SHAPE[0], SHAPE[1] // k, SHAPE[2] // k)
        made = group.create_array(str(level), shape=shape, chunks=CHUNK, dtype="u1", fill_value=90)
        scale = [VOXEL[0], VOXEL[1] * k, VOXEL[2] * k]
        shift = [0.0, VOXEL[1] * (k - 1) / 2, VOXEL[2] * (k - 1) / 2]
        steps = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": shift}]
        datasets.append({"path": str(level), "coordinateTransformations": steps})
        if level == 0:
            rng = np.random.default_rng(1)
            for z, y, x in centres:
                made[z, y - 64 : y + 64, x - 64 : x + 64] = rng.integers(0, 255, (128, 128))
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    image = {"axes": axes, "datasets": datasets, "name": "em"}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}


def counting_store(path: Path) -> Any:
    """Return a store that counts the bytes of the chunks that are read, and how often."""
    from zarr.storage import LocalStore, WrapperStore

    class Counting(WrapperStore):  # type: ignore[type-arg]
        n_bytes = 0
        unique: dict[str, int]

        async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
            value = await super().get(key, *args, **kwargs)
            if value is not None and not key.endswith(".json"):
                self.n_bytes += len(value)
                self.unique[key] = len(value)
            return value

    store = Counting(LocalStore(path, read_only=True))
    store.unique = {}
    return store


def rss() -> float:
    """Return the memory in use, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def peak() -> float:
    """Return the most memory that was ever in use, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--predict", type=int, default=1000)
    parser.add_argument("--clicks", type=int, default=20)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    low, high = (0, 64, 64), (SHAPE[0], SHAPE[1] - 64, SHAPE[2] - 64)
    voxels = np.stack([rng.integers(a, b, asked.points) for a, b in zip(low, high, strict=True)], 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "em.ome.zarr"
        write_volume(path, voxels[: asked.predict])
        run(path, voxels, asked)


def run(path: Path, voxels: np.ndarray, asked: argparse.Namespace) -> None:
    import napari
    import zarr
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    from napari_quac.data.volume_file import volume_from_zarr
    from napari_quac.example import load_example
    from napari_quac.gui.dock import QuacDock
    from napari_quac.gui.input_layers import layer_of_volume
    from napari_quac.live.choices import ReadySamples
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    def wait(condition: Any, seconds: float = 900) -> None:
        end = time.monotonic() + seconds
        while not condition():
            QApplication.processEvents()
            if time.monotonic() > end:
                sys.exit("waited too long")

    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    dock.choices.classifier = ClassifierRecipe(load_example().classifier_path)
    wait(lambda: dock.results.loaded_classifier is not None)
    idle = rss()
    print(f"idle viewer with a classifier: {idle:.0f} MB")

    store = counting_store(path)
    started = time.perf_counter()
    volume = volume_from_zarr(zarr.open_group(store, mode="r"), path, "em")
    data, look = layer_of_volume(volume)
    viewer.add_image(data, **look)
    marks = viewer.add_points(voxels, name="synapses", scale=VOXEL, units=("nm",) * 3, size=60,
                              face_color="yellow")  # fmt: skip
    dock.points_panel.choose("em", "synapses")
    dock.points_panel.use_points()
    wait(lambda: dock.results.prediction is not None and len(dock.layers.layers) == 5)
    wait(lambda: not dock.controller.running)
    print(f"open and use {len(voxels)} points: {time.perf_counter() - started:.1f} s; "
          f"peak {peak() - idle:.0f} MB over idle")  # fmt: skip

    from vispy.app.backends._qt import CanvasBackendDesktop  # once there is a window

    clicks = []
    native = next(w for w in dock.window().centralWidget().findChildren(CanvasBackendDesktop))
    for row in range(asked.clicks):
        world = marks.data_to_world(marks.data[row])
        viewer.dims.set_point(0, world[0])
        viewer.scene.camera.center = (0.0, world[1] + 300, world[2] + 300)
        viewer.scene.camera.zoom = 0.3
        for _ in range(20):
            QApplication.processEvents()
        height, width = viewer.canvas.size
        at = QPoint(round(width / 2 - 300 * 0.3), round(height / 2 - 300 * 0.3))
        before = dock.results.sample
        QTest.mouseMove(native, at)
        drawn: list[float] = []
        started = time.perf_counter()
        QTest.mousePress(native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
        QTest.mouseRelease(native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
        if dock.choices.sample_index != row:
            print(f"click {row} missed")
            continue
        expected = f"point {row}"
        while True:
            sample = dock.results.sample
            query = dock.layers.layers["query"]
            if sample is not before and sample.id == expected:
                if np.shares_memory(query.data, sample.image.numpy()):
                    break
            elif sample is before and sample.id == expected:
                break
            QApplication.processEvents()
        native.update()
        QApplication.processEvents()
        drawn.append(time.perf_counter())
        clicks.append(1000 * (drawn[0] - started))
    if clicks:
        print(f"click to shown patch: median {statistics.median(clicks):.0f} ms, "
              f"largest {max(clicks):.0f} ms, {len(clicks)} clicks")  # fmt: skip

    store.n_bytes, store.unique = 0, {}
    viewer.layers["em"].visible = False  # count what is read for the predictions alone
    dataset = dock.points.dataset
    assert dataset is not None
    dock.choices.samples = ReadySamples(dataset.take(range(asked.predict)))
    wait(
        lambda: (
            dock.results.sample_list is not None and len(dock.results.sample_list) == asked.predict
        )
    )
    wait(lambda: not dock.controller.running)
    store.n_bytes, store.unique = 0, {}
    started = time.perf_counter()
    dock.controller.request("predictions")
    wait(lambda: dock.results.predictions is not None and dock.results.predictions.is_complete)
    seconds = time.perf_counter() - started
    chunks = patch_chunks(path, voxels[: asked.predict])
    print(f"predict {asked.predict}: {seconds:.1f} s; read {store.n_bytes / 1e6:.1f} MB, "
          f"their chunks {chunks / 1e6:.1f} MB, ratio {store.n_bytes / chunks:.2f}; "
          f"peak {peak() - idle:.0f} MB over idle")  # fmt: skip
    viewer.close()


def patch_chunks(path: Path, voxels: np.ndarray) -> int:
    """Return the bytes on disk of the chunks that the patches lie in, each counted once a patch."""
    total = 0
    for z, y, x in voxels:
        for row in range((y - 64) // 128, (y + 63) // 128 + 1):
            for column in range((x - 64) // 128, (x + 63) // 128 + 1):
                chunk = path / "0" / "c" / str(z) / str(row) / str(column)
                total += chunk.stat().st_size if chunk.exists() else 0
    return total


if __name__ == "__main__":
    main()
