import pytest

from napari_quac.explain.percentage import percentage


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [(1, 0, "100%"), (0, 0, "0%"), (199 / 200, 0, "over 99%"), (1 / 300, 0, "under 1%"),
     (0.5, 0, "50%"), (1999 / 2000, 1, "over 99.9%"), (0.0001, 1, "under 0.1%"), (1, 1, "100.0%")],
)  # fmt: skip
def test_only_all_is_100_percent_and_only_none_is_0(share, digits, text):
    assert percentage(share, digits) == text
