"""Filters, best method per sample, rates, the table."""

import numpy as np
import pytest

from napari_quac.errors import DataError, UnknownNameError
from napari_quac.reports.entry import FailedEntry
from napari_quac.reports.report import Report
from reports.reports_for_tests import entry, report

RIGHT, WRONG = (0.9, 0.05, 0.05), (0.2, 0.1, 0.7)


def ids(found: Report) -> list[str]:
    return [one.sample_id for one in found.entries]


def test_source_filter_keeps_mispredictions_unless_told_otherwise():
    both = report(entry("a", query_prediction=RIGHT), entry("b", query_prediction=WRONG))
    assert ids(both.from_source("cytosol")) == ["a", "b"]
    assert ids(both.from_source(0, require_prediction=True)) == ["a"]
    assert ids(both.from_source("synapse")) == []


def test_target_filter_can_require_the_counterfactual_to_be_the_target():
    both = report(
        entry("a", counterfactual_prediction=(0.1, 0.8, 0.1)),
        entry("b", counterfactual_prediction=(0.8, 0.1, 0.1)),
        entry("c"),
    )
    assert ids(both.to_target("mitochondrion")) == ["a", "b", "c"]
    assert ids(both.to_target("mitochondrion", require_prediction=True)) == ["a"]


def test_class_filters_keep_failures_that_fit_or_may_fit():
    failures = (
        FailedEntry("x", 1, "search", "none", 0),
        FailedEntry("w", 1, "search", "none", 2),
        FailedEntry("y", None, "read", "damaged"),
    )
    kept = report(entry(), failures=failures).from_source(0)
    assert [one.sample_id for one in kept.failures] == ["x", "y"]


def test_score_filter_is_strict():
    assert ids(report(entry("a", 0.5), entry("b", 0.6)).score_above(0.5)) == ["b"]


def test_top_sorts_by_score_then_sample_and_ignores_entries_without_score():
    many = report(entry("c", 0.5), entry("b", 0.5), entry("a", None), entry("d", 0.9))
    assert ids(many.top(2)) == ["d", "b"]
    assert ids(many.top(9)) == ["d", "b", "c"]


def test_top_of_less_than_nothing_is_refused():
    with pytest.raises(DataError, match="0 or more"):
        report(entry()).top(-1)


def test_switched_leaves_out_what_nobody_noted():
    many = report(entry("a"), entry("b", switches=False), entry("c", switches=None))
    assert ids(many.switched()) == ["a"]


def test_best_per_sample_aligns_by_sample_and_not_by_position():
    best = report(
        entry("a", 0.1, "d-ig"),
        entry("b", 0.9, "d-ig"),
        entry("b", 0.2, "ig"),
        entry("a", 0.3, "ig"),
    ).best_per_sample()
    assert [(one.sample_id, one.method) for one in best.report] == [("b", "d-ig"), ("a", "ig")]
    assert best.n_missing == {"d-ig": 0, "ig": 0}


def test_best_per_sample_counts_what_methods_miss():
    best = report(
        entry("a", 0.1, "d-ig"),
        entry("a", float("nan"), "ig"),
        entry("b", 0.0, "d-ig", degenerate=True),
        entry("b", -0.2, "ig"),
        entry("c", None, "ig"),
    ).best_per_sample()
    assert [(one.sample_id, one.method) for one in best.report] == [("a", "d-ig"), ("b", "ig")]
    assert best.n_missing == {"d-ig": 2, "ig": 2}
    assert best.n_without_score == 1


def test_best_per_sample_keeps_targets_apart():
    best = report(entry("a", 0.1, target=1), entry("a", 0.2, target=2)).best_per_sample()
    assert len(best.report) == 2


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UnknownNameError, match="Did you mean 'd-ig'"):
        report(entry()).method("d-igg")
    with pytest.raises(UnknownNameError, match="cytosol, mitochondrion, synapse"):
        report(entry()).from_source("nucleus")


def test_classes_without_names_go_by_index():
    nameless = Report((entry("a"), entry("b", source=3)))
    assert ids(nameless.from_source("class 3")) == ["b"]
    assert ids(nameless.from_source("3")) == ["b"]


def test_conversion_counts_a_sample_once_and_tells_what_it_left_out():
    many = report(
        entry("a", method="d-ig"),
        entry("a", method="ig"),
        entry("b", switches=False),
        entry("c", switches=None),
        entry("d", source=2),
        failures=(FailedEntry("e", 1, "search", "none", 0), FailedEntry("f", None, "read", "no")),
    )
    pair, other = many.conversion_rates()
    assert (pair.source, pair.target, pair.n, pair.n_success) == (0, 1, 2, 1)
    assert (pair.value, pair.n_unknown, pair.n_failed) == (0.5, 1, 1)
    assert (other.source, other.n, other.value) == (2, 1, 1.0)
    everything = many.conversion_rate()
    assert (everything.n, everything.n_success, everything.n_failed) == (3, 2, 2)


def test_rate_of_nothing_is_not_zero():
    assert report().conversion_rate().value is None


def test_translation_is_known_only_for_single_proposals():
    rate = report(entry("a"), entry("b", switches=False), entry("c", n_tried=7)).translation_rate()
    assert (rate.n, rate.n_success, rate.n_unknown) == (2, 1, 1)


def test_table_has_a_row_per_entry_and_holds_the_optimum():
    table = report(
        entry("a", 0.5, query_prediction=(0.9, 0.1, 0.0), label=2), entry("b", None)
    ).to_frame()
    assert len(table) == 2
    row = table.iloc[0]
    assert (row["source"], row["target"], row["label"]) == ("cytosol", "mitochondrion", "synapse")
    assert row["p_target_query"] == pytest.approx(0.1)
    # the line Δf = size reaches the same trade-off everywhere; the first counts
    assert (row["mask_size"], row["score_change"]) == (1, 1)
    assert np.isnan(table.iloc[1]["quac_score"])


def test_table_of_nothing_has_its_columns():
    assert "quac_score" in report().to_frame().columns


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_written_table_reads_back(tmp_path, suffix):
    import pandas as pd

    from napari_quac.reports.report import write_table

    path = tmp_path / f"table.{suffix}"
    write_table(report(entry('a,\n"b"', 0.25), entry("c")), path)
    table = pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path)
    assert table["sample"].tolist() == ['a,\n"b"', "c"]
    assert table["quac_score"].tolist() == [0.25, 0.5]


def test_table_with_another_ending_is_refused(tmp_path):
    from napari_quac.reports.report import write_table

    with pytest.raises(DataError, match=r"\.csv or \.parquet"):
        write_table(report(entry()), tmp_path / "table.xls")
