"""Medians or means, and quartiles, with their n."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_quac.commands.report_tables import as_table, report_record
from napari_quac.explain.settings import ExplainSettings
from napari_quac.reports.figures.curves import draw_report
from napari_quac.reports.population import populations
from reports.reports_for_tests import entry, report
from strategies import quick


def test_curve_median_and_quartiles_are_taken_point_by_point():
    (one,) = populations(report(*(entry(str(i), score) for i, score in enumerate((0.1, 0.2, 0.5)))))
    sizes = np.arange(101) / 100
    np.testing.assert_allclose(one.center, 0.4 * sizes, atol=1e-12)
    np.testing.assert_allclose(one.lower, 0.3 * sizes, atol=1e-12)
    np.testing.assert_allclose(one.upper, 0.7 * sizes, atol=1e-12)
    assert (one.score_lower, one.score, one.score_upper) == pytest.approx((0.15, 0.2, 0.35))
    assert (one.n_entries, one.n_scores, one.n_curves) == (3, 3, 3)


def test_degenerate_and_missing_are_left_out_and_counted():
    (one,) = populations(
        report(
            entry("a", 0.4),
            entry("b", 0.0, degenerate=True),
            entry("c", None),
            entry("d", 0.6, mask_sizes=np.empty(0), score_changes=np.empty(0)),
            entry("e", 0.6, score_changes=np.array([np.nan, 0, 0, 0])),
        )
    )
    assert (one.n_entries, one.n_degenerate, one.n_scores, one.n_curves) == (5, 1, 3, 2)
    assert one.score == 0.6


def test_nothing_ranked_gives_none_and_not_zero():
    (one,) = populations(report(entry("a", 0.0, degenerate=True)))
    assert one.center is None
    assert one.score is None


def test_methods_and_pairs_are_kept_apart_in_a_steady_order():
    many = report(
        entry(method="random", source=2),
        entry(method="d-ig", source=2),
        entry(method="d-ig"),
        entry(method="random"),
    )
    found = [(one.source, one.method) for one in populations(many)]
    assert found == [(0, "random"), (0, "d-ig"), (2, "random"), (2, "d-ig")]
    together = populations(many, by_pair=False)
    assert [(one.source, one.method, one.n_curves) for one in together] == [
        (None, "random", 2),
        (None, "d-ig", 2),
    ]


@quick
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_order_of_samples_changes_nothing(scores, random):
    entries = [entry(str(number), score) for number, score in enumerate(scores)]
    shuffled = random.sample(entries, len(entries))
    (one,), (other,) = populations(report(*entries)), populations(report(*shuffled))
    np.testing.assert_array_equal(one.center, other.center)
    assert one.score_upper == other.score_upper
    best = [e.sample_id for e in report(*entries).best_per_sample().report]
    assert best == [e.sample_id for e in report(*shuffled).best_per_sample().report]
    assert (one.lower <= one.center).all()
    assert (one.center <= one.upper).all()


def test_dapi_is_summarized_by_means():
    entries = [entry(str(i), score) for i, score in enumerate((0.1, 0.2, 0.6))]
    dapi = report(*entries, settings=ExplainSettings.from_preset("dapi"))
    (group,) = populations(dapi)
    assert (group.aggregate, group.score) == ("mean", pytest.approx(0.3))
    np.testing.assert_allclose(group.center, 0.6 * np.arange(101) / 100, atol=1e-12)
    assert (group.score_lower, group.score_upper) == pytest.approx((0.15, 0.4))
    assert "  mean " in as_table(dapi)
    record = report_record(dapi, [])["by_method"][0]
    assert record["quac_score"]["mean"] == pytest.approx(0.3)
    assert "mean and quartiles" in draw_report(dapi).get_supylabel()
    (group,) = populations(report(*entries, settings=ExplainSettings.from_preset("quac")))
    assert (group.aggregate, group.score) == ("median", 0.2)
