"""``napari-quac explain``, ``predict``, ``methods`` on small folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_quac.cli import build_parser, main
from napari_quac.reports.store import ExplanationStore
from rounding import F32


def arguments(worked_example, folders: Path, *more: str) -> list[str]:
    return [
        "explain",
        "--classifier",
        str(worked_example.classifier),
        "--classes",
        "dark,bright",
        "--value-range",
        "0",
        "1",
        "--generated",
        str(folders / "made"),
        "--methods",
        "d-ig,residual",
        "--closing",
        "1",
        "--blur",
        "1",
        "--out",
        str(folders / "out"),
        "--json",
        *more,
    ]


def test_explain_writes_a_store_and_exports_arrays(worked_example, folders, capsys):
    samples, arrays = str(folders / "samples"), folders / "arrays"
    more = ("--samples", samples, "--arrays", str(arrays))
    assert main(arguments(worked_example, folders, *more)) == 2
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (document["n"], document["n_failed"], document["preset"]) == (3, 1, "quac")
    assert document["settings"]["methods"] == ["d-ig", "residual"]
    assert "dark/b.npy" in printed.err.splitlines()[-1]
    record = next(r for r in document["explanations"] if r["id"] == "dark/a.npy")
    assert record["switches"] is True
    assert record["methods"]["d-ig"]["quac_score"] == pytest.approx(0.8292919, abs=F32)
    assert any("switches to bright" in text for text in record["methods"]["d-ig"]["verdict"])
    folder = arrays / record["folder"]
    assert json.loads((folder / "record.json").read_text())["id"] == "dark/a.npy"
    names = [f"{m}/{n}" for m in ("d-ig", "residual") for n in ("attribution", "signed", "mask",
                                                               "hybrid")]  # fmt: skip
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.npy")} == {
        f"{name}.npy" for name in ("query", "generated", *names)
    }
    assert np.load(folder / "d-ig" / "mask.npy").sum() == 4
    assert not list(arrays.rglob("*.part"))
    store = ExplanationStore.open(folders / "out")
    assert len(store) == 3
    (key,) = (key for key, stored in store.records() if stored["id"] == "dark/a.npy")
    for name in ("query", "generated", "d-ig/signed"):
        np.testing.assert_array_equal(np.load(folder / f"{name}.npy"), store.image(key, name))
    np.testing.assert_array_equal(
        np.load(folder / "d-ig/hybrid.npy"), store.image(key, "d-ig/counterfactual")
    )


def test_explain_resumes_what_was_stopped(worked_example, folders, capsys, monkeypatch):
    from napari_quac.batch import run as batch

    explain_task, stopped = batch.explain_task, []

    def stop_at_the_second(*task):
        stopped.append(task)
        if len(stopped) == 2:
            raise KeyboardInterrupt
        return explain_task(*task)

    (folders / "samples/dark/b.npy").unlink()
    command = arguments(worked_example, folders, "--samples", str(folders / "samples"))
    monkeypatch.setattr(batch, "explain_task", stop_at_the_second)
    assert main(command) == 130
    assert "Continue with: the same command and --resume" in capsys.readouterr().err
    assert len(ExplanationStore.open(folders / "out")) == 1
    monkeypatch.undo()
    assert main(command) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["n"], document["n_failed"], document["n_switched"]) == (2, 0, 2)
    assert main([*command, "--resume", "--seed", "4"]) == 2
    assert "seed 0, not 4" in capsys.readouterr().err


def test_explain_with_workers_and_a_plan_give_equal_records(worked_example, folders, capsys):
    from napari_quac.commands.explain import plan_from

    command = arguments(worked_example, folders, "--samples", str(folders / "samples/bright"))
    command += ["--preset", "dapi", "--closing", "3"]
    plan = replace(plan_from(build_parser().parse_args(command)), output=folders / "planned")
    plan.write(folders / "plan.yaml")
    assert main(["run", "--trust", str(folders / "plan.yaml")]) == main(command) == 0
    records = [dict(ExplanationStore.open(folders / name).records()) for name in ("planned", "out")]
    assert records[0] == records[1]
    assert [record["preset"] for record in records[0].values()] == ["dapi"]


def test_explain_of_good_samples_ends_with_0(worked_example, folders, capsys):
    (folders / "samples/dark/b.npy").unlink()
    for target in ("auto", "all"):
        more = ("--samples", str(folders / "samples"), "--target", target, "--resume")
        assert main(arguments(worked_example, folders, *more)) == 0
        assert json.loads(capsys.readouterr().out)["n_switched"] == 2


def test_a_target_that_is_the_source_is_left_out(worked_example, folders, capsys):
    (folders / "samples/dark/b.npy").unlink()
    more = ("--samples", str(folders / "samples"), "--target", "bright")
    assert main(arguments(worked_example, folders, *more)) == 0
    document = json.loads(capsys.readouterr().out)
    assert [record["source"] for record in document["explanations"]] == ["dark"]


def test_predict_gives_accuracy_and_confusion(worked_example, folders, capsys):
    command = ["predict", "--classifier", str(worked_example.classifier), "--value-range", "0", "1"]
    command += ["--classes", "dark,bright", "--samples", str(folders / "samples"), "--json"]
    assert main([*command, "--csv", str(folders / "table.csv")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["accuracy"] == 1.0
    assert document["confusion"] == [[2, 0], [0, 1]]
    assert len((folders / "table.csv").read_text().splitlines()) == 4


def test_methods_lists_the_ids_that_score_takes(capsys):
    assert main(["methods", "--json"]) == 0
    listed = [m["name"] for m in json.loads(capsys.readouterr().out)["methods"]]
    expected = ["d-ig", "d-deeplift", "d-ingrad", "ig", "deeplift", "residual", "random"]
    assert [name for name in listed if name in expected] == expected


def test_a_folder_that_is_missing_or_empty_is_refused(worked_example, folders, capsys):
    (folders / "nothing").mkdir()
    for name in ("absent", "nothing"):
        more = ("--samples", str(folders / name))
        assert main(arguments(worked_example, folders, *more)) == 2
        printed = capsys.readouterr()
        assert name in printed.err
        assert printed.out == ""


def test_change_is_measured_in_labels_and_compared_over_samples(worked_example, folders, capsys):
    made = folders / "made" / "latent" / "dark" / "bright"
    for number in range(6):
        for folder in (folders / "samples" / "dark", made, folders / "labels" / "dark"):
            folder.mkdir(parents=True, exist_ok=True)
        np.save(folders / "samples" / "dark" / f"s{number}.npy", np.load(worked_example.query))
        np.save(made / f"s{number}.npy", np.load(worked_example.generated))
        labels = np.zeros((8, 8), np.uint8)
        labels[2:4, 2:4] = 5
        np.save(folders / "labels" / "dark" / f"s{number}.npy", labels)
    more = ["--samples", *(str(p) for p in sorted((folders / "samples" / "dark").glob("s*.npy")))]
    flat = folders / "labels" / "dark"  # files that are named one by one have no folder in their id
    assert (
        main(arguments(worked_example, folders, *more, "--morphometry", "--labels", str(flat))) == 0
    )
    document = json.loads(capsys.readouterr().out)
    one = document["explanations"][0]["methods"]["d-ig"]["morphometry"]["places"]
    assert one["label 5"]["counterfactual"]["mean"] == 1
    compared = next(c for c in document["morphometry"] if c["method"] == "d-ig")
    assert (compared["source"], compared["target"]) == ("dark", "bright")
    by_place = {c["place"]: c for c in compared["changes"] if c["measure"] == "mean"}
    assert set(by_place) == {"whole image", "inside the mask", "outside the mask", "all labels"}
    assert by_place["inside the mask"]["n"] == 6
    assert by_place["inside the mask"]["difference"] == 1
    assert by_place["inside the mask"]["p"] < 0.05


def test_labels_that_are_missing_are_told_sample_by_sample(worked_example, folders, capsys):
    more = ["--samples", str(folders / "samples" / "dark" / "a.npy"), "--morphometry"]
    arguments_here = arguments(worked_example, folders, *more, "--labels", str(folders / "none"))
    assert main(arguments_here) == 2
    assert "There are no labels for 'a.npy'" in capsys.readouterr().err


def test_explain_without_a_generator_says_what_it_compares_with(worked_example, folders, capsys):
    command = arguments(worked_example, folders, "--samples", str(folders / "samples/dark/a.npy"))
    place = command.index("--generated")
    assert main(command[:place] + command[place + 2 :]) == 0
    printed = capsys.readouterr()
    (line,) = (text for text in printed.err.splitlines() if text.startswith("No --generator."))
    assert "explained against a blurred copy" in line and "lose their class" in printed.err
    (record,) = json.loads(printed.out)["explanations"]
    info = ExplanationStore.open(folders / "out").info
    assert info.plan["generator"] == {"kind": "infill", "infill": "blur"}
    assert any("explained against a blurred copy" in text for text in info.assumptions)
    assert record["origin"]["baseline"] == "blur" and record["origin"]["sigma"] > 0
    texts = " ".join(record["methods"]["d-ig"]["verdict"])
    assert "switch" not in texts and "pixels that the classifier needs for dark" in texts


def test_pixel_size_becomes_that_of_the_explained_samples(worked_example, folders, capsys):
    more = ("--samples", str(folders / "samples"), "--pixel-size", "4", "5")
    main(arguments(worked_example, folders, *more))
    records = json.loads(capsys.readouterr().out)["explanations"]
    record = next(record for record in records if record["id"] == "dark/a.npy")
    assert (record["scale"], record["unit"]) == ([4.0, 5.0], "nm")


@pytest.mark.parametrize("sizes", [("0",), ("-4",), ("nan",), ("1", "2", "3", "4")])
def test_impossible_pixel_size_is_refused(worked_example, folders, capsys, sizes):
    more = ("--samples", str(folders / "samples"), "--pixel-size", *sizes)
    assert main(arguments(worked_example, folders, *more)) == 2
    assert "(--pixel-size)" in capsys.readouterr().err
    assert not (folders / "out").exists()
