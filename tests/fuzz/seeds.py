"""Small valid files of every kind, each as the relative names and contents of its files."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

Contents = dict[str, bytes]
TESTS = Path(__file__).parents[1]
IMAGE = np.random.default_rng(0).integers(0, 255, (12, 14), dtype=np.uint8)
STACK = np.random.default_rng(1).integers(0, 255, (5, 12, 14), dtype=np.uint8)


def contents_of(folder: Path) -> list[Contents]:
    """Return each file or folder in a folder."""
    seeds = []
    for top in sorted(folder.iterdir()):
        files = [top] if top.is_file() else sorted(p for p in top.rglob("*") if p.is_file())
        seeds.append({file.relative_to(folder).as_posix(): file.read_bytes() for file in files})
    return seeds


def written(write: Callable[[Path], Any]) -> Callable[[], list[Contents]]:
    """Return a function that calls ``write`` with a folder, and returns what is in it then."""

    def make() -> list[Contents]:
        with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            write(Path(name))
            return contents_of(Path(name))

    return make


def copied(*places: str) -> Callable[[], list[Contents]]:
    """Return a function that reads folders of the tests."""

    def make() -> list[Contents]:
        seeds = []
        for place in places:
            top = TESTS / place
            files = sorted(p for p in top.rglob("*") if p.is_file())
            seeds.append({f"{top.name}/{p.relative_to(top)}": p.read_bytes() for p in files})
        return seeds

    return make


def texts(**named: str | bytes) -> Callable[[], list[Contents]]:
    """Return a function that returns texts as files; ``__`` in a name stands for a dot."""
    files = {name.replace("__", "."): text for name, text in named.items()}
    seeds = [{n: t.encode() if isinstance(t, str) else t} for n, t in files.items()]
    return lambda: [dict(seed) for seed in seeds]


def pictures(folder: Path) -> None:
    from PIL import Image

    for suffix in ("png", "jpg", "bmp", "gif"):
        Image.fromarray(IMAGE).save(folder / f"a.{suffix}")
    Image.fromarray(np.stack([IMAGE] * 3, -1)).save(folder / "rgb.png")
    opaque = np.full_like(IMAGE, 255)
    Image.fromarray(np.stack([IMAGE] * 3 + [opaque], -1)).save(folder / "rgba.png")
    Image.fromarray(IMAGE).convert("P").save(folder / "palette.png")
    Image.fromarray((IMAGE > 99).astype(np.uint16)).save(folder / "deep.png")
    Image.fromarray(IMAGE).save(folder / "progressive.jpg", progressive=True)
    Image.fromarray(IMAGE).convert("1").save(folder / "bits.png")
    Image.fromarray(np.stack([IMAGE] * 3, -1)).save(folder / "a.webp", lossless=True)
    Image.fromarray(np.stack([IMAGE] * 3, -1)).save(folder / "lossy.webp")


def tiffs(folder: Path) -> None:
    import tifffile
    from PIL import Image

    tifffile.imwrite(folder / "a.tif", IMAGE)
    tifffile.imwrite(folder / "rgb.tif", np.stack([IMAGE] * 3, -1), photometric="rgb")
    tifffile.imwrite(folder / "zlib.tif", IMAGE, compression="zlib")
    tifffile.imwrite(folder / "white.tif", IMAGE, photometric="miniswhite")
    tifffile.imwrite(folder / "float.tif", (IMAGE / 255).astype(np.float32))
    tifffile.imwrite(folder / "bits.tif", IMAGE > 99)
    tifffile.imwrite(folder / "deep.tif", IMAGE.astype(np.uint16) << 8, byteorder=">", bigtiff=True)
    tifffile.imwrite(folder / "planes.tif", np.stack([IMAGE] * 3), photometric="rgb",
                     planarconfig="separate")  # fmt: skip
    colors = np.stack([IMAGE] * 3, -1)
    for codec in ("lzw", "zstd", "lzma", "packbits", "jpeg", "jpeg2000", "webp", "png", "jpegxl"):
        path = folder / f"{codec}.tif"
        try:
            tifffile.imwrite(path, colors, compression=codec, photometric="rgb")
        except (KeyError, ImportError):  # a compression of the package imagecodecs
            path.unlink(missing_ok=True)
    for codec in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        Image.fromarray(IMAGE).save(folder / f"pillow_{codec}.tif", compression=codec)
    Image.fromarray(IMAGE).convert("1").save(folder / "fax.tif", compression="group4")
    tifffile.imwrite(folder / "tiles.tif", np.tile(IMAGE, (4, 4)), tile=(16, 16),
                     compression="zlib")  # fmt: skip


def tiff_stacks(folder: Path) -> None:
    import tifffile

    tifffile.imwrite(folder / "a.tif", STACK, photometric="minisblack")
    tifffile.imwrite(folder / "b.tif", STACK, compression="zlib", photometric="minisblack")
    tifffile.imwrite(folder / "ij.tif", STACK, imagej=True, resolution=(0.25, 0.25),
                     metadata={"axes": "ZYX", "spacing": 40, "unit": "nm"})  # fmt: skip
    ome = {"axes": "ZYX", "PhysicalSizeX": 4, "PhysicalSizeZ": 40, "PhysicalSizeXUnit": "nm"}
    tifffile.imwrite(folder / "c.ome.tif", STACK, tile=(16, 16), metadata=ome)


def npy_images(folder: Path) -> None:
    np.save(folder / "a.npy", IMAGE)
    np.save(folder / "b.npy", (IMAGE / 255).astype(np.float32)[None])
    np.save(folder / "c.npy", np.asfortranarray(STACK[:3]))


def npy_stacks(folder: Path) -> None:
    np.save(folder / "a.npy", STACK)
    np.save(folder / "b.npy", np.asfortranarray(STACK.astype(">u2")))
    np.save(folder / "c.npy", (STACK / 255).astype(np.float32)[None])


def zarrs(folder: Path) -> None:
    import zarr

    from data.volumes import write_ome_zarr

    write_ome_zarr(folder / "old.zarr", STACK, "0.4", channel=True)
    write_ome_zarr(folder / "new.zarr", STACK, "0.5")
    for version in (2, 3):
        plain = zarr.open_array(folder / f"plain{version}.zarr", mode="w", shape=STACK.shape,
                                chunks=(5, 8, 8), dtype="u1", zarr_format=version)  # fmt: skip
        plain[:] = STACK
        plain.attrs.update({"resolution": [40, 4, 4], "offset": [0, 4, 4], "unit": "nm"})
    from numcodecs import BZ2, LZ4, LZMA, Blosc, Delta, GZip, Shuffle, Zlib, Zstd
    from zarr.codecs import BloscCodec, GzipCodec

    compressors = (Blosc("lz4"), Blosc("zstd", shuffle=2), LZ4(), Zstd(), GZip(), Zlib(), BZ2(),
                   LZMA())  # fmt: skip
    for number, compressor in enumerate(compressors):
        filters = [Delta("u1")] if number == 0 else [Shuffle(1)] if number == 1 else None
        zarr.create_array(folder / f"codec{number}.zarr", data=STACK, chunks=(5, 12, 14),
                          zarr_format=2, compressors=compressor, filters=filters)  # fmt: skip
    for number, codec in enumerate((BloscCodec(), GzipCodec())):
        zarr.create_array(folder / f"shards{number}.zarr", data=STACK, chunks=(5, 6, 7),
                          shards=(5, 12, 14), compressors=codec)  # fmt: skip


def n5s(folder: Path) -> None:
    from data.volumes import write_n5

    for codec in ("raw", "gzip", "lz4", "zstd", "blosc", "xz"):
        write_n5(folder / f"{codec}.n5", STACK, (5, 8, 8), codec,
                 pixelResolution={"dimensions": [4, 4, 40], "unit": "nm"})  # fmt: skip
    write_n5(folder / "pyramid.n5" / "s0", STACK, (5, 8, 8))
    write_n5(folder / "pyramid.n5" / "s1", STACK[:, ::2, ::2], (5, 8, 8),
             downsamplingFactors=[2, 2, 1])  # fmt: skip
    (folder / "pyramid.n5" / "attributes.json").write_text('{"n5": "2.0.0", "scales": [[1, 1, 1]]}')


def hdf5s(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "a.h5", "w") as file:
        volume = file.create_dataset("volumes/raw", data=STACK, chunks=(5, 8, 8),
                                     compression="gzip")  # fmt: skip
        volume.attrs["resolution"] = [40, 4, 4]
    with h5py.File(folder / "b.h5", "w") as file:
        file["raw"] = STACK
    with h5py.File(folder / "c.h5", "w", libver="latest") as file:
        file.create_dataset("raw", data=STACK, chunks=(5, 8, 8), compression="lzf", shuffle=True,
                            fletcher32=True)  # fmt: skip
        file["raw"].attrs["names"] = ["a", "bc"]
        file["link"] = h5py.SoftLink("/raw")
    with h5py.File(folder / "d.h5", "w") as file:
        file.create_dataset("raw", data=STACK.astype("i4"), chunks=(5, 8, 8), scaleoffset=0)


def arrow_tables(folder: Path) -> None:
    import pyarrow as pa
    from pyarrow import feather, parquet

    columns = {"z": [1, 2], "y": [3.5, 4], "x": [5, 6], "id": [2**60, 1], "label": ["a", "b"]}
    table = pa.table(columns)
    feather.write_feather(table, folder / "a.feather")
    feather.write_feather(table, folder / "b.feather", compression="uncompressed")
    parquet.write_table(table, folder / "a.parquet")


def databases(folder: Path) -> None:
    with sqlite3.connect(folder / "a.db") as database:
        database.execute("CREATE TABLE synapses (id INTEGER, x REAL, y, z, label TEXT)")
        rows = [(2**60, 1.5, 2, 3, "a"), (1, 4, 5, 6, None)]
        database.executemany("INSERT INTO synapses VALUES (?, ?, ?, ?, ?)", rows)
        database.execute("CREATE INDEX places ON synapses (x)")
    database.close()


def annotations(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "a.hdf", "w") as file:
        group = file.create_group("annotations")
        group.attrs["offset"] = (40.0, 0.0, 4.0)
        group["ids"] = np.array([5, 7], np.uint64)
        group["types"] = np.array([b"presynaptic_site", b"postsynaptic_site"])
        group["locations"] = np.array([[0, 8, 8], [40, 12, 16.0]])
        group["presynaptic_site/partners"] = np.array([[5, 7]], np.uint64)


ROWS = [{"id": 2**60, "x": 1.5, "y": 2, "z": 3, "label": "a"}, {"id": 1, "x": 4, "y": 5, "z": 6}]
STATE = {
    "dimensions": {axis: [4e-9, "m"] for axis in "xyz"},
    "layers": [{"type": "annotation", "name": "a", "annotations": [
        {"type": "line", "id": "a", "pointA": [1, 2, 3], "pointB": [4, 5, 6]}]}],
}  # fmt: skip
json_tables = texts(
    a__json=json.dumps(ROWS), b__json="\n".join(map(json.dumps, ROWS)), c__json=json.dumps(STATE),
    d__json=json.dumps({"synapses": ROWS}), e__json=json.dumps({"x": [1], "y": [2], "z": [3]}),
    f__json=json.dumps({"a": ROWS[0], "b": ROWS[1]}),
)  # fmt: skip
row_filters = texts(
    a__txt="cleft_score >= 50 and id in 1, 2", b__txt="\"a b\" != 'c, d' and x < -1e5",
    c__txt="id in 5",
)  # fmt: skip
POINTS = "id,z,y,x,label\n1,1.5,2,3,GABA\n18446744073709551615,4,5,6e2,ACh\n"
VECTORS = "id;pt_position;kind\n1;[1, 2, 3];a\n2;[4 5 6];b\n"
point_texts = texts(
    a__csv=POINTS, b__csv=VECTORS, c__tsv=POINTS.replace(",", "\t"), d__txt="z y x\n1 2 3\n4 5 6\n",
    e__csv="x;y;z\n1,5;2,5;3\n", f__csv__gz=gzip.compress(POINTS.encode(), mtime=0),
    g__csv='"a, b","{\'coordinates\': [1, 2, 3]}"\n"é","{\'coordinates\': [1, 2, 3]}"\n',
    h__csv=("\ufeff" + POINTS).encode("utf-16"),
)  # fmt: skip
label_texts = texts(
    a__csv="file,label\na/0.png,GABA\n1.png,ACh\n", b__csv="0.png;1\n1.png;0\n",
    c__tsv="image\tclass\tsplit\n0\tx\ttrain\n1\ty\ttest\n",
    d__csv="filename,GABA,ACh\n0.png,1,0\n1.png,0,1\n",
)  # fmt: skip


def labeled_stacks(folder: Path) -> None:
    images, labels = STACK, np.array([0, 1, 1, 0, 2])
    np.savez(folder / "a.npz", images=images, labels=labels)
    np.savez_compressed(folder / "med.npz", **{
        f"{split}_{kind}": array for split in ("train", "test")
        for kind, array in (("images", images), ("labels", labels[:, None]))})  # fmt: skip
    for name in ("npy", "csv"):
        (folder / name).mkdir()
        np.save(folder / name / "stack.npy", images)
    np.save(folder / "npy" / "labels.npy", labels)
    (folder / "csv" / "labels.csv").write_text("label\na\nb\nb\na\nc\n")


def image_folders(folder: Path) -> None:
    from PIL import Image

    for number, name in enumerate(("split/a", "split/b", "deep/a/x", "deep/b/x", "flat", "t")):
        place = folder / name
        place.mkdir(parents=True)
        for index in range(2):
            Image.fromarray(IMAGE + number).save(place / f"{index}.png")
    (folder / "t" / "labels.csv").write_text("file,label\n0.png,a\n1.png,b\n")


def network(n_classes: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(2, n_classes)).eval()


def vgg_state() -> dict[str, Any]:
    from napari_quac.example.example import load_example  # the smallest classifier at hand

    return dict(load_example().classifier.module.state_dict())


def safetensors_files(folder: Path) -> None:
    from safetensors.torch import save_file

    metadata = {"class_names": '["a", "b", "c"]', "image_size": "[16, 16]", "mean": "[0.5]",
                "preprocessing": "{}"}  # fmt: skip
    save_file(dict(network().state_dict()), folder / "a.safetensors", metadata)
    for place in ("cyclegan/bright_to_dark", "exaggeration/explainer", "stargan/generator",
                  "warp/warp"):  # fmt: skip
        path = TESTS / f"train/before/{place}.safetensors"
        (folder / f"{path.stem}.safetensors").write_bytes(path.read_bytes())


def torch_files(folder: Path) -> None:
    module = network()
    state = module.state_dict()
    wrapped = {"state_dict": state, "epoch": 3, "class_to_idx": {"a": 0, "b": 1, "c": 2}}
    torch.save(state, folder / "state.pt")
    torch.save(wrapped, folder / "wrapped.ckpt")
    torch.save(wrapped, folder / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(module, folder / "module.pt")


def torchscript_files(folder: Path) -> None:
    torch.jit.script(network()).save(str(folder / "script.pt"))
    traced = torch.jit.trace(network(), torch.rand(1, 1, 8, 8))
    torch.jit.save(traced, folder / "traced.pt", _extra_files={"classes.json": '["a", "b", "c"]'})


def exported_files(folder: Path) -> None:
    torch.export.save(torch.export.export(network(), (torch.rand(2, 1, 8, 8),)), folder / "a.pt2")


def onnx_files(folder: Path) -> None:
    from networks import onnx_files as onnx

    weights = {"w": torch.rand(2, 1, 3, 3), "b": torch.rand(2), "l": torch.rand(2, 3)}
    nodes = [
        onnx.node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        onnx.node("Relu", ["c"], ["r"]),
        onnx.node("GlobalAveragePool", ["r"], ["p"]),
        onnx.node("Flatten", ["p"], ["f"], axis=1),
        onnx.node("Gemm", ["f", "l"], ["y"], alpha=1.0, transB=0),
    ]
    shape = [None, 1, 8, 8]
    onnx.write(folder / "a.onnx", onnx.model(nodes, weights, shape, metadata={"names": "a,b,c"}))


def containers(folder: Path) -> None:
    from safetensors.torch import save_file

    face, monai = folder / "face", folder / "monai"
    for place in (face, monai / "configs", monai / "models", folder / "image"):
        place.mkdir(parents=True)
    save_file(dict(network().state_dict()), face / "model.safetensors")
    config = {"architecture": "resnet10t", "num_classes": 3, "label_names": ["a", "b", "c"],
              "pretrained_cfg": {"mean": [0.5], "std": [0.2], "input_size": [1, 16, 16],
                                 "crop_pct": 0.75, "interpolation": "bicubic"}}  # fmt: skip
    processor = {"do_resize": True, "size": {"shortest_edge": 32}, "image_mean": [0.5],
                 "image_std": [0.2], "rescale_factor": 1 / 255, "do_rescale": True}  # fmt: skip
    (face / "config.json").write_text(json.dumps(config))
    (face / "preprocessor_config.json").write_text(json.dumps(processor))
    data = {"inputs": {"image": {"num_channels": 1, "spatial_shape": [16, 16],
                                 "value_range": [0, 1]}},
            "outputs": {"pred": {"channel_def": {"0": "a", "1": "b", "2": "c"}}}}  # fmt: skip
    inference = {"network_def": {"_target_": "DenseNet121", "spatial_dims": 2, "in_channels": 1},
                 "preprocessing": {"_target_": "Compose", "transforms": [
                     {"_target_": "ScaleIntensityRanged", "a_min": 0, "a_max": 255, "b_min": -1,
                      "b_max": 1}]}}  # fmt: skip
    (monai / "configs" / "metadata.json").write_text(json.dumps({"network_data_format": data}))
    (monai / "configs" / "inference.json").write_text(json.dumps(inference))
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(network()), script)
    (monai / "models" / "model.ts").write_bytes(script.getvalue())
    rdf: Mapping[str, Any] = {
        "format_version": "0.4.9", "type": "model", "name": "m",
        "inputs": [{"name": "x", "axes": "bcyx", "data_type": "float32", "shape": [1, 1, 16, 16],
                    "preprocessing": [{"name": "scale_linear",
                                       "kwargs": {"gain": 1.0, "offset": -0.5, "axes": "yx"}}]}],
        "outputs": [{"name": "y", "axes": "bc", "data_type": "float32", "shape": [1, 3]}],
        "weights": {"torchscript": {"source": "weights.pt"}},
    }  # fmt: skip
    (folder / "image" / "rdf.yaml").write_text(yaml.safe_dump(dict(rdf)))
    (folder / "image" / "weights.pt").write_bytes(script.getvalue())


PLAN = """schema: 2
samples: {kind: folder, directory: samples}
classifier: {path: classifier.pt, class_names: [left, right, both], value_range: [0, 1],
  image_size: 16, channels: 1}
generator: {kind: from-folder, directory: made}
settings:
  targets: all
  methods: [d-ig, residual]
  masking: {closing: 4, blur: 1}
  search: {max_tries: 7, keep: first}
  parameters: {d-ig: {n_steps: 20}}
device: cpu
output: out
"""
EXPERIMENT = """solver: {root_dir: runs, lr: 0.0001}
validation_data: {source: samples, img_size: 16, grayscale: true, mean: 0.5, std: 0.5}
validation_config: {classifier_checkpoint: classifier.pt, mean: 0.5, std: 0.5, val_batch_size: 2}
"""


def plans() -> list[Contents]:
    old = (TESTS / "batch/schema_1/plan.yaml").read_text()
    by_hand = (TESTS / "batch/schema_1/written_by_hand.yaml").read_text()
    cases = (PLAN, EXPERIMENT, old, by_hand, json.dumps(yaml.safe_load(PLAN)))
    image = b"not looked at"
    return [
        {"plan/plan.yaml": text.encode(), "plan/runs/generated_images/latent/a/b/0.png": image}
        for text in cases
    ]


def quac_reports(folder: Path) -> None:
    from PIL import Image

    for version in ("new", "old"):
        root = folder / version
        pair = "cat/dog/a"
        for place in ("images/cat/a.png", f"generated/{pair}.png", f"counterfactuals/{pair}.png"):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(IMAGE).save(root / place)
        for place in (f"attributions/{pair}.npy", f"masks/{pair}.npy"):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            np.save(root / place, (IMAGE / 255).astype(np.float32)[None])
        (root / "reports" / "DInGrad").mkdir(parents=True)
        path = root / "reports" / "DInGrad" / "default_report.json"
        path.write_text(json.dumps(_quac_document(version == "old")))


def _quac_document(is_old: bool) -> dict[str, Any]:
    gone, pair = "/scratch/run", "cat/dog/a"
    if is_old:
        return {
            "thresholds": [-1.0, 0.5, 1.0], "normalized_mask_sizes": [[1.0, 0.5, 0.0]],
            "score_changes": [[0.5, 0.5, 0.0]], "paths": [f"{gone}/images/cat/a.png"],
            "target_paths": [f"{gone}/generated/{pair}.png"], "labels": [0], "target_labels": [1],
            "predictions": [[0.9, 0.1]], "target_predictions": [[0.2, 0.8]], "metadata": {},
            "attribution_paths": [f"{gone}/attributions/{pair}.npy"], "quac_scores": None,
        }  # fmt: skip
    result = {
        "query_path": f"{gone}/images/cat/a.png", "generated_path": f"{gone}/generated/{pair}.png",
        "counterfactual_path": f"{gone}/counterfactuals/{pair}.png",
        "mask_path": f"{gone}/masks/{pair}.npy",
        "attribution_path": f"{gone}/attributions/{pair}.npy",
        "query_prediction": [0.9, 0.1], "counterfactual_prediction": [0.4, 0.6],
        "generated_prediction": [0.2, 0.8], "source_class": 0, "target_class": 1, "score": 0.375,
        "normalized_mask_sizes": [1.0, 0.5, 0.0], "score_changes": [0.5, 0.5, 0.0],
        "optimal_threshold": 0.25, "method": None,
    }  # fmt: skip
    return {"name": "default_report", "metadata": {"note": "x"}, "results": [result, dict(result)]}


JSON_TEXTS = texts(
    a__json='{"a": [1, 2.5, null, true, "x"], "b": {"c": NaN}}',
    b__json='{"format": "quac", "numbers": [1e9, -3], "nested": [[[{"k": []}]]]}',
)
YAML_TEXTS = texts(
    a__yaml="a: [1, 2.5, null]\nb: &x {c: d}\nc: *x\nd: 2020-01-01\n- e\n"[:-4],
    b__yaml="lr: 0.1\nclasses: [a, b]\nmerged:\n  <<: {q: 1}\n  text: |\n    x\n",
)
FILTERS = texts(
    a__txt='label = "T-bar" and confidence < 0.5', b__txt="wrong or (score >= .2 and not failed)",
    c__txt="id ~ s1 and predicted != label", d__txt="id = s1 or p(T-bar) > 0.3",
)  # fmt: skip


def recent_work() -> list[Contents]:
    from napari_quac.live.recent import RecentWork
    from napari_quac.live.session_state import SessionState

    work = RecentWork().with_file("samples", Path("/a/b")).with_file("volume", Path("/a/é.zarr"))
    state = SessionState(samples={"kind": "folder", "directory": "/a/b"}, report="/a/c")
    return [{"recent.json": work.with_session(state).to_json().encode()}]


BESIDE = {
    "metrics.json": b'{"class_names": ["a", "b", "c"], "mean": [0.5], "std": [0.2]}',
    "hparams.yaml": b"classes: [a, b, c]\nimage_size: 16\n",
    "classes.txt": b"a\nb\nc\n",
}


def facts_beside(folder: Path) -> None:
    for name, content in BESIDE.items():
        place = folder / name.split(".")[0]
        place.mkdir()
        torch.save(network().state_dict(), place / "model.pt")
        (place / name).write_bytes(content)
