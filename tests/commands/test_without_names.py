"""Files and folders as people have them: no class names, mixed kinds of images, equal names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_quac.cli import build_parser, main
from napari_quac.commands.shared import load_generator
from napari_quac.generators.stargan.file import write_official
from napari_quac.networks.architectures.stargan_v2 import StarGAN, official_hyperparameters
from rounding import F32


def explain(worked_example, root: Path, *more: str) -> list[str]:
    return [
        "explain", "--classifier", str(worked_example.classifier), "--value-range", "0", "1",
        "--methods", "residual", "--closing", "1", "--blur", "1", "--out", str(root / "out"),
        "--json", *more,
    ]  # fmt: skip


def score(worked_example, query: Path, *more: str) -> list[str]:
    return [
        "score", "--classifier", str(worked_example.classifier), "--classes", "dark,bright",
        "--query", str(query), "--source", "dark", "--target", "bright", "--methods", "residual",
        "--closing", "1", "--blur", "1", "--json", *more,
    ]  # fmt: skip


def test_a_generator_does_not_name_the_classes_of_a_classifier(worked_example, folders, capsys):
    sample, made = folders / "samples/dark/a.npy", folders / "made"
    command = explain(worked_example, folders, "--samples", str(sample), "--target", "dark")
    (folders / "samples/dark/a.npy").replace(sample := folders / "c.npy")
    command[command.index("--samples") + 1] = str(sample)
    assert main([*command, "--generated", str(made)]) == 2
    assert "--classes" in capsys.readouterr().err
    assert main([*command, "--generated", str(made), "--classes", "bright,dark"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["classes"] == ["bright", "dark"]
    assert document["class_map"] == {"bright": "bright", "dark": "dark"}
    assert document["explanations"][0]["target"] == "dark"


def test_a_folder_of_generated_images_may_be_given_as_generator(
    worked_example,
    folders,
    capsys,
):
    samples = str(folders / "samples/dark")
    command = explain(worked_example, folders, "--samples", samples, "--classes", "dark,bright")
    main([*command, "--generator", str(folders / "made")])
    document = json.loads(capsys.readouterr().out)
    assert [r["id"] for r in document["explanations"] if "methods" in r] == ["a.npy"]


def test_samples_that_differ_in_their_ending_only_keep_their_own_folders(
    worked_example,
    folders,
    capsys,
):
    image = np.load(folders / "samples/dark/a.npy")
    Image.fromarray((image.squeeze() * 255).astype(np.uint8)).save(folders / "samples/dark/a.png")
    samples = str(folders / "samples/dark")
    command = explain(worked_example, folders, "--samples", samples, "--classes", "dark,bright")
    main([*command, "--generated", str(folders / "made"), "--arrays", str(folders / "arrays")])
    document = json.loads(capsys.readouterr().out)
    written = [folders / "arrays" / r["folder"] for r in document["explanations"] if "folder" in r]
    assert len({*written}) == 2
    assert all((folder / "query.npy").exists() for folder in written)


def test_a_class_that_nobody_named_says_how_to_name_it(worked_example, capsys):
    command = score(worked_example, worked_example.query)
    del command[command.index("--classes") : command.index("--classes") + 2]
    assert main([*command, "--generated", str(worked_example.generated)]) == 2
    assert "--classes" in capsys.readouterr().err


def test_an_8_bit_query_goes_with_a_generated_image_in_the_networks_range(
    worked_example, tmp_path, capsys
):
    query, generated = np.load(worked_example.query), np.load(worked_example.generated)
    picture, network_range = tmp_path / "query.png", tmp_path / "generated.npy"
    Image.fromarray((query.squeeze() * 255).astype(np.uint8)).save(picture)
    np.save(network_range, 2 * generated - 1)
    np.save(tmp_path / "query.npy", query)
    np.save(tmp_path / "unit.npy", generated)
    found = []
    for one, other in ((picture, network_range), (tmp_path / "query.npy", tmp_path / "unit.npy")):
        command = score(worked_example, one, "--value-range", "-1", "1")
        assert main([*command, "--generated", str(other)]) == 0
        found.append(json.loads(capsys.readouterr().out)["methods"]["residual"]["quac_score"])
    assert found[0] == pytest.approx(found[1], abs=F32)


def test_a_range_beyond_8_bits_leaves_8_bit_files_alone(worked_example, tmp_path, capsys):
    query, generated = np.load(worked_example.query), np.load(worked_example.generated)
    Image.fromarray((query.squeeze() * 255).astype(np.uint8)).save(tmp_path / "query.png")
    np.save(tmp_path / "generated.npy", (generated * 65535).astype(np.uint16))
    command = score(worked_example, tmp_path / "query.png", "--value-range", "0", "1")
    command += ["--generated", str(tmp_path / "generated.npy")]
    assert main(command) == 2
    assert "--image-range" in capsys.readouterr().err
    assert main([*command, "--image-range", "0", "65535"]) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    assert predictions["query"][1] == pytest.approx(0.0758582, abs=1e-3)
    assert predictions["generated"][1] == pytest.approx(0.9241418, abs=1e-3)


@pytest.mark.parametrize(
    "arguments", [["score"], ["scroe"], [], ["score", "--value-range", "a", "1"]]
)
def test_a_wrong_option_is_answered_in_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert "--help" in printed.err


@pytest.mark.parametrize("option", ["--closing", "--blur"])
def test_a_huge_element_is_refused(worked_example, option, capsys):
    command = score(worked_example, worked_example.query)
    command += ["--generated", str(worked_example.generated), option, "501"]
    assert main(command) == 2
    assert "1 to 101 pixels" in capsys.readouterr().err


def test_what_ends_a_stargan_is_said_by_an_option_and_told_by_inspect(
    worked_example, folders, capsys
):
    path = folders / "000001_nets_ema.ckpt"
    torch.manual_seed(0)
    write_official(StarGAN(official_hyperparameters(32, 2)), path)
    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"]["final_activation"] == "tanh"
    assert found["description"]["Form"] == "whole images, tanh (assumed)"
    options = build_parser().parse_args(
        explain(
            worked_example,
            folders,
            "--samples",
            ".",
            "--generator",
            str(path),
            "--generator-setting",
            "final_activation=none",
            "--generator-setting",
            "value_range=0,1",
        )
    )
    generator = load_generator(options)
    assert generator.hyper.final_activation == "none"
    assert (generator.value_range.low, generator.value_range.high) == (0, 1)
