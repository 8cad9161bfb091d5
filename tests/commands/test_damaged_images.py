"""One damaged image is a failure with exit code 2; every command computes the others."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_quac.cli import main


@pytest.fixture
def damaged(folders):
    """A bright and a dark sample with generated images, and three images that cannot be used."""
    samples = folders / "samples"
    (samples / "dark" / "b.npy").write_bytes(b"")
    (samples / "dark" / "cut.npy").write_bytes((samples / "dark" / "a.npy").read_bytes()[:100])
    np.save(samples / "bright" / "nan.npy", np.full((8, 8), np.nan, np.float32))
    return folders


def options(folder, command: str, *more: str) -> list[str]:
    return [
        *(command, "--classifier", str(folder / "corner.pt"), "--classes", "dark,bright"),
        *("--value-range", "0", "1", "--samples", str(folder / "samples"), "--json", *more),
    ]


@pytest.mark.parametrize(
    ("command", "counts"), [("explain", (5, 3)), ("compare", (2, 3)), ("predict", (5, 3))]
)
def test_other_images_are_computed(damaged, capsys, command, counts):
    more = (
        [] if command == "predict" else ["--methods", "residual", "--closing", "1", "--blur", "1"]
    )
    if command != "predict":
        more += ["--generated", str(damaged / "made")]
    if command == "explain":
        more += ["--out", str(damaged / "out")]
    assert main(options(damaged, command, *more)) == 2
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    n = document.get("n", document.get("n_pairs"))
    assert (n, document.get("n_failed", len(document.get("failed", ())))) == counts
    last = printed.err.splitlines()[-1]
    assert last.startswith("napari-quac: 3 ")
    assert "the first: bright/nan.npy: " in last
    assert "Traceback" not in printed.err


def test_training_names_the_first_of_many(damaged, capsys):
    arguments = ["train", "classifier", "--samples", str(damaged / "samples"), "--out"]
    assert main([*arguments, str(damaged / "net"), "--minutes", "0.01"]) == 2
    assert "3 of 5 images cannot be used; the first: 'nan.npy'" in capsys.readouterr().err
