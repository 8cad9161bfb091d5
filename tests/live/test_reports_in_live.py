"""Explaining many samples and opening what was explained, without a window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_quac.explain.curve import threshold_grid
from napari_quac.live.choices import ReadySamples, ReportFolder
from napari_quac.live.explain_many import ExplainMany
from napari_quac.reports.store import ExplanationStore
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_generator

from .test_controller import Session

NAMES = ("left", "right", "both")


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    made.load()
    made.wait(lambda: made.results.predictions is not None and not made.controller.running)
    yield made
    assert made.controller.close()


@pytest.fixture
def many(session: Session) -> Iterator[ExplainMany]:
    made = ExplainMany(session.choices, session.results, session.controller)
    yield made
    made.close()


def run(session: Session, many: ExplainMany, folder: Path) -> None:
    many.start(folder)
    session.wait(lambda: many.state != "running")
    session.wait()


def test_what_the_filter_holds_is_explained_into_a_store(
    session: Session, many: ExplainMany, tmp_path: Path
) -> None:
    session.choices.filter_text = "number <= 3"
    run(session, many, tmp_path / "store")
    assert many.state == "done" and not session.failures, many.problem
    assert (many.n_done, many.n_total) == (3, 3)
    assert many.summary is not None and many.summary.n_explained == 3
    outcomes = session.results.explanation_status
    assert outcomes is not None and np.flatnonzero(outcomes.explained).tolist() == [0, 1, 2]
    assert (outcomes.switched[:3] == 1).all() and np.isfinite(outcomes.scores[:3]).all()
    opened = session.results.report
    assert opened is not None and opened.report.methods == ("residual", "random")
    assert len(opened.report) == 6
    session.choices.filter_text = "explained and switched and score > 0"
    assert session.results.order is not None
    assert session.results.order.indices.tolist() == [0, 1, 2]


def test_cancelled_work_goes_on_where_it_stopped(
    session: Session, many: ExplainMany, tmp_path: Path
) -> None:
    many.start(tmp_path / "store")
    session.wait(lambda: many.n_done >= 2)
    many.cancel()
    session.wait()
    assert many.state == "stopped" and not many.problem and 2 <= many.n_done < 9
    assert session.results.report is not None
    before = {entry.sample_id for entry in session.results.report.report}
    assert len(before) >= 2
    many.resume()
    session.wait(lambda: many.state != "running")
    session.wait()
    assert many.state == "done" and many.summary is not None
    assert many.summary.n_existing >= len(before)
    assert many.summary.n_existing + many.summary.n_explained == 9


def test_work_ends_with_its_generator(session: Session, many: ExplainMany, tmp_path: Path) -> None:
    many.start(tmp_path / "store")
    session.wait(lambda: many.n_done >= 2)
    session.choices.generator = ReadyNetwork(corner_generator())
    session.wait()
    assert many.state == "ready" and "explain_many" not in session.controller.running


def test_another_seed_does_not_mix_into_a_store(
    session: Session, many: ExplainMany, tmp_path: Path
) -> None:
    session.choices.filter_text = "number = 1"
    run(session, many, tmp_path / "store")
    session.choices.update_settings(seed=7)
    run(session, many, tmp_path / "store")
    assert many.state == "stopped" and many.problem is not None
    assert "seed 0, not 7" in many.problem.sentence and many.problem.action == "new_folder"
    assert session.failures and "another folder" in session.failures[-1].sentence


def test_the_estimate_is_measured_on_one_sample(
    session: Session, many: ExplainMany, tmp_path: Path
) -> None:
    session.choices.filter_text = "right"
    estimate = many.estimate(tmp_path / "new" / "folder")
    assert (estimate.n_samples, estimate.seconds) == (8, None)
    assert estimate.n_bytes is not None and estimate.n_bytes > 8 * 32 * 32 * 4 * 10
    assert estimate.n_free is not None and estimate.n_free > 0
    session.explain()
    assert many.seconds_per_sample is not None
    seconds = many.estimate(tmp_path).seconds
    assert seconds == pytest.approx(8 * many.seconds_per_sample)
    assert not many.missing()


class OtherSamples(CornerSamples):
    def sample_id(self, index: int) -> str:
        return f"other/{index}"


def test_samples_that_are_chosen_while_a_report_is_read_stay(
    session: Session, many: ExplainMany, tmp_path: Path
) -> None:
    session.choices.filter_text = "number = 1"
    run(session, many, tmp_path / "store")
    session.choices.report_source = None
    session.choices.samples = ReadySamples(OtherSamples(n=5))
    session.wait()
    session.choices.report_source = ReportFolder(tmp_path / "store")
    chosen = session.choices.samples = ReadySamples(OtherSamples(n=4))
    session.wait()
    assert session.results.report is not None and session.choices.samples is chosen
    assert session.results.loaded_samples is chosen.dataset
    session.choices.report_source = ReportFolder(tmp_path / "store")  # asked for once more
    session.wait()
    dataset = session.results.loaded_samples
    assert dataset is not None and dataset.sample_id(0) == "corner/0"


def test_an_opened_store_shows_what_was_written_without_computing(
    session: Session, many: ExplainMany, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.choices.sample_index = 1
    session.wait()
    session.explain()
    computed = session.results.explanations
    assert computed is not None
    session.choices.filter_text = "number = 2"
    run(session, many, tmp_path / "store")
    session.choices.report_source = None
    session.choices.sample_index = 0
    session.wait()

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a network was asked")

    monkeypatch.setattr("napari_quac.explain.search.search", forbidden)
    monkeypatch.setattr("napari_quac.explain.attribution.attribute", forbidden)
    session.choices.report_source = ReportFolder(tmp_path / "store")
    session.wait()
    session.choices.sample_index = 1
    session.wait(
        lambda: session.results.displayed_hybrid is not None and not session.controller.running
    )
    assert not session.failures
    restored = session.results.explanations
    assert restored is not None and restored.is_restored
    before, after = computed.pair.proposals, restored.pair.proposals
    assert len(after) == len(before) > 1
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one.generated, other.generated)
        assert torch.equal(one.generated_prediction, other.generated_prediction)
        assert one.origin == other.origin
    taken = [one.generated is restored.pair.generated for one in after]
    assert taken == [one.generated is computed.pair.generated for one in before]
    for name, explanation in computed.by_method.items():
        again = restored.by_method[name]
        assert again.quac_score == explanation.quac_score
        assert torch.equal(again.pair.generated, explanation.pair.generated)
        np.testing.assert_array_equal(again.curve.mask_sizes, explanation.curve.mask_sizes)
        np.testing.assert_array_equal(again.curve.closed, explanation.curve.closed)
        np.testing.assert_allclose(again.curve.predictions, explanation.curve.predictions)
        assert torch.equal(again.counterfactual.image, explanation.counterfactual.image)
        torch.testing.assert_close(again.inverse_prediction, explanation.inverse_prediction)


def test_other_images_of_the_same_name_are_not_shown_as_explained(
    session: Session, many: ExplainMany, tmp_path: Path
) -> None:
    session.choices.filter_text = "number = 1"
    run(session, many, tmp_path / "store")

    class Brighter(CornerSamples):
        def __getitem__(self, index: int):  # type: ignore[no-untyped-def]
            from dataclasses import replace

            sample = super().__getitem__(index)
            return replace(sample, image=(sample.image + 0.1).clamp(0, 1))

    from napari_quac.live.choices import ReadySamples

    session.choices.samples = ReadySamples(Brighter())
    session.choices.sample_index = None
    session.choices.sample_index = 0
    session.wait()
    assert session.results.pair is None
    assert any("not the one that was explained" in one.sentence for one in session.failures)


def test_of_several_targets_on_record_the_chosen_one_is_shown(
    session: Session, many: ExplainMany, tmp_path: Path
) -> None:
    session.choices.sample_index = 1
    session.wait()
    session.choices.filter_text = "number = 2"
    for target in (0, 2):
        session.choices.choose_target(NAMES[target])
        run(session, many, tmp_path / "store")
    session.choices.choose_target(None)
    session.choices.sample_index = 0
    session.wait()
    session.choices.sample_index = 1
    session.wait(lambda: session.results.pair is not None and not session.controller.running)
    shown = [session.results.pair.target]
    for target in (2 - shown[0], 1, shown[0]):
        session.choices.choose_target(NAMES[target])  # of 1, its own class, there is no record
        session.wait(lambda: not session.controller.running)
        shown.append(session.results.pair.target)
        explained = session.results.explanations
        assert explained.is_restored
        assert explained.pair.target == shown[-1]
    first, other = shown[0], 2 - shown[0]
    assert shown == [first, other, other, first]


def test_what_was_read_is_computed_anew_once_parameters_change(
    session: Session, many: ExplainMany, tmp_path: Path
) -> None:
    session.choices.sample_index = 1
    session.wait()
    session.choices.filter_text = "number = 2"
    run(session, many, tmp_path / "store")
    session.wait(lambda: session.results.explanations is not None)
    before = session.results.explanations
    assert before.is_restored
    session.choices.update_settings(parameters={"random": {"seed": 7}})
    session.wait(lambda: not session.controller.running)
    after = session.results.explanations
    one, other = (e.by_method["random"].attribution.values for e in (before, after))
    assert not torch.equal(one, other)


def test_many_are_explained_with_the_parameters_and_thresholds_of_the_dock(
    session: Session, many: ExplainMany, tmp_path: Path
) -> None:
    session.wait()
    session.choices.filter_text = "number = 2"
    session.choices.update_settings(parameters={"random": {"seed": 7}})
    session.choices.update_settings(grid="corrected")
    run(session, many, tmp_path / "store")
    store = ExplanationStore.open(tmp_path / "store")
    assert store.info.settings.parameters == {"random": {"seed": 7}}
    assert store.info.settings.grid == "corrected"
    assert len(next(store.entries()).mask_sizes) == len(threshold_grid("corrected"))  # type: ignore[union-attr]
