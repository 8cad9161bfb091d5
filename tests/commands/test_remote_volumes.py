"""The commands on a volume behind a server on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from napari_quac.cli import main
from napari_quac.data.remote import access
from napari_quac.networks import consent
from napari_quac.reports.store import ExplanationStore

pytest.importorskip("tensorstore")

from served.server import VolumeServer, serve
from served.volumes import OFFSET, VOXEL_NM, voxels, write_precomputed

POINTS = [(5, 12, 20), (20, 30, 50), (33, 60, 90)]  # z, y, x


@pytest.fixture
def server(tmp_path: Path) -> Iterator[VolumeServer]:
    write_precomputed(tmp_path / "served" / "em", voxels(), "raw", False)
    with serve(tmp_path / "served") as running:
        yield running


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """Nanometers in the frame of the volume, as services write them."""
    rows = [(np.array(point) + OFFSET) * VOXEL_NM for point in POINTS]
    lines = [f"{number},{x},{y},{z},bright" for number, (z, y, x) in enumerate(rows)]
    path = tmp_path / "points.csv"
    path.write_text("\n".join(["id,x_nm,y_nm,z_nm,class", *lines]))
    return path


@pytest.fixture
def arguments(worked_example: Any, points: Path) -> list[str]:
    return [
        *("--classifier", str(worked_example.classifier), "--classes", "dark,bright"),
        *("--value-range", "0", "1", "--points", str(points), "--patch-size", "8,8"),
    ]


def test_predictions_equal_those_of_the_same_volume_in_a_file(
    server: VolumeServer, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"precomputed://{server.url}/em"
    assert main(["predict", *arguments, "--volume", address, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    image = voxels().astype(np.float32) / 255
    for row, (z, y, x) in zip(document["samples"], POINTS, strict=True):
        patch = image[z, y - 4 : y + 4, x - 4 : x + 4]
        evidence = float(patch[2, 2] + 0.75 * patch[2, 3] + 0.5 * patch[3, 2] + 0.25 * patch[3, 3])
        expected = 1 / (1 + np.exp(-2 * (evidence - 1.25)))
        assert row["probabilities"][1] == pytest.approx(expected, rel=1e-5)
    kinds = {assumption["kind"] for assumption in document["assumptions"]}
    assert {"missing blocks", "coordinates"} <= kinds


def test_a_plan_keeps_the_address_and_asks_before_it_is_contacted(
    server: VolumeServer, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, address = tmp_path / "out", f"precomputed://{server.url}/em"
    command = ["explain", *arguments, "--volume", address, "--methods", "residual"]
    assert main([*command, "--closing", "1", "--blur", "1", "--out", str(out)]) == 0
    store = ExplanationStore.open(out)
    assert len(store) == len(POINTS)
    values = json.loads((out / "store.json").read_text())["plan"]
    assert values["samples"]["volume"] == address
    digest = values["samples"]["volume_sha256"]
    assert len(digest) == 64
    record = next(iter(dict(store.records()).values()))
    assert record["volume"]["location"] == address and record["volume"]["level"] == 0
    assert record["volume"]["metadata_sha256"] == digest
    assert record["volume"]["size"] == [1, 8, 8]
    values["output"] = "again"
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(values))
    server.requests.clear()
    consent._trusted.clear()  # as in another process
    capsys.readouterr()
    assert main(["run", str(tmp_path / "other.yaml")]) == 2
    assert f"a machine to contact: '127.0.0.1:{server.server_port}'" in capsys.readouterr().err
    assert server.requests == []
    assert main(["run", str(tmp_path / "other.yaml"), "--trust"]) == 0
    assert len(ExplanationStore.open(tmp_path / "again")) == len(POINTS)
    info = server.folder / "em" / "info"
    info.write_text(info.read_text().replace('"@type"', '"note": 1, "@type"'))
    assert main(["run", str(tmp_path / "other.yaml"), "--trust", "--resume"]) == 2
    assert "has changed since the plan was written" in capsys.readouterr().err
    server.shutdown()
    server.requests.clear()
    rows = tmp_path / "rows.csv"
    assert main(["report", str(out), "--csv", str(rows), "--figure", str(tmp_path / "a.png")]) == 0
    assert len(rows.read_text().splitlines()) > len(POINTS)
    assert server.requests == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--volume", "ftp://host/em"], "is no address of a volume"),
        (["--volume", "https://me:secret@host/em"], "contains a password"),
        (["--volume", "http://127.0.0.1:9/em"], "does not accept connections"),
        (["--volume", "{url}/nothing"], "There is no volume"),
    ],
)
def test_wrong_addresses_end_with_a_sentence(
    options: list[str], message: str, server: VolumeServer, arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    options = [option.format(url=server.url) for option in options]
    try:
        code: Any = main(["predict", *arguments, *options])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_a_bucket_that_is_not_public_needs_the_option(
    server: VolumeServer, arguments: list[str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", server.url)
    monkeypatch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "a-secret")
    monkeypatch.setattr(access, "_known", {"storage.googleapis.com"})
    server.needs_account = True
    command = ["explain", *arguments, "--volume", "gs://data/em", "--methods", "residual"]
    command += ["--closing", "1", "--blur", "1"]
    assert main([*command, "--out", str(tmp_path / "refused")]) == 2
    assert "(as a command, --sign-in)" in capsys.readouterr().err
    out = tmp_path / "out"
    assert main([*command, "--out", str(out), "--sign-in"]) == 0
    assert len(ExplanationStore.open(out)) == len(POINTS)
    for file in filter(Path.is_file, out.rglob("*")):
        assert b"a-secret" not in file.read_bytes()
    assert main([*command, "--out", str(tmp_path / "later")]) == 2, "only for one command"


def test_gray_values_are_matched_and_it_is_stated(
    server: VolumeServer, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = tmp_path / "training"
    training.mkdir()
    for number, plane in enumerate(voxels()[:6]):
        Image.fromarray(plane // 2 + 40).save(training / f"{number}.png")
    arguments += ["--volume", f"precomputed://{server.url}/em", "--match-histogram", str(training)]
    assert main(["predict", *arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    sentences = [assumption["sentence"] for assumption in document["assumptions"]]
    assert any("training images in 'training'" in sentence for sentence in sentences)
    command = ["explain", *arguments, "--methods", "residual", "--closing", "1", "--blur", "1"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    values = json.loads((tmp_path / "out" / "store.json").read_text())["plan"]
    nodes = values["samples"]["gray_map"]
    assert all(40 / 255 <= node[1] <= 168 / 255 for node in nodes)
    records = dict(ExplanationStore.open(tmp_path / "out").records())
    assert all(record["volume"]["gray_map"] == nodes for record in records.values())
    shutil.rmtree(training)
    values["output"] = "again"
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(values))
    assert main(["run", str(tmp_path / "plan.yaml")]) == 0
    again = dict(ExplanationStore.open(tmp_path / "again").records())
    assert {r["sha256"] for r in again.values()} == {r["sha256"] for r in records.values()}
