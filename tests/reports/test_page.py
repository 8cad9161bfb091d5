"""Pages of reports: their content without a browser."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_quac.errors import DataError
from napari_quac.reports.figures.panels import quantize
from napari_quac.reports.figures.subject import subject_of
from napari_quac.reports.html.page import page_bytes, write_page
from napari_quac.reports.html.payload import mask_levels, sample_payload, slider_positions
from napari_quac.testing import CLASSES
from reports.figure_stores import METHODS, explained

HOSTILE = "</script><img src=x onerror=alert(1)>&@PROGRAM@\u2028"


def pixels_of(uri: str) -> np.ndarray:
    code = uri.removeprefix("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))


def payload_of(text: str) -> dict:
    code = re.search(r'<script type="application/json" id="payload">(.*?)</script>', text, re.S)
    return json.loads(code[1])


@pytest.mark.parametrize("preset", ["quac", "dapi"])
@pytest.mark.parametrize("channels", [1, 3])
def test_levels_give_the_mask_of_every_position(preset, channels):
    for explanation in explained(preset=preset, channels=channels).values():
        curve = explanation.curve
        positions = slider_positions(curve)
        levels = mask_levels(curve, positions)
        assert curve.mask_sizes[positions].tolist() == curve.mask_sizes[curve.distinct()].tolist()
        assert curve.best in positions
        for number, index in enumerate(positions):
            hard = curve.masking.hard(curve.closed, float(curve.thresholds[index]))
            inside = np.moveaxis(levels > number, -1, 0)
            np.testing.assert_array_equal(np.broadcast_to(inside, hard.shape), hard)


def test_images_of_the_payload_are_the_quantized_ones():
    explanations = explained()
    sample = sample_payload(subject_of(explanations, CLASSES))
    pair = explanations.pair
    np.testing.assert_array_equal(pixels_of(sample["query"]), quantize(pair.query.image)[..., 0])
    np.testing.assert_array_equal(pixels_of(sample["generated"]), quantize(pair.generated)[..., 0])
    assert [method["name"] for method in sample["methods"]] == list(METHODS)
    for method, explanation in zip(sample["methods"], explanations.values(), strict=True):
        assert method["sizes"][method["best"]] == pytest.approx(
            explanation.counterfactual.mask_size, abs=1e-6
        )
    assert sample["bar"]["share"] == pytest.approx(50 / 256)


def test_long_curves_are_thinned_and_keep_the_optimum():
    curve = explained()["random"].curve
    n, best = 1000, 617
    longer = replace(
        curve,
        thresholds=np.linspace(0, 1, n),
        mask_sizes=np.linspace(1, 0, n),
        score_changes=np.zeros(n),
        predictions=np.zeros((n, 3), np.float32),
        best=best,
    )
    positions = slider_positions(longer)
    assert len(positions) <= 255 and best in positions and positions[0] == 0


def test_page_refuses_everything_from_elsewhere():
    text = page_bytes([subject_of(explained(), CLASSES)]).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy and "http" not in policy
    for name, place in (("style", "<style>(.*?)</style>"), ("script", "<script>(.*?)</script>")):
        (content,) = re.findall(place, text, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    addresses = set(re.findall(r"https?://[^\"' ]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, not an address to fetch


def test_texts_of_files_cannot_leave_their_place():
    explanations = explained(HOSTILE)
    text = page_bytes([subject_of(explanations, (HOSTILE, "b", "c"))], f"Report {HOSTILE}").decode()
    assert "<img src=x" not in text and text.count("</script>") == 2
    payload = payload_of(text)
    assert payload["samples"][0]["id"] == HOSTILE and payload["samples"][0]["source"] == HOSTILE
    assert text.count('"use strict"') == 1


def test_wrong_extension_and_no_samples_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"\.html"):
        write_page([subject_of(explained(), CLASSES)], tmp_path / "a.txt")
    with pytest.raises(DataError, match="no sample"):
        write_page([], tmp_path / "a.html")
