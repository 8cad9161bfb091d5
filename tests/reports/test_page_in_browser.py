"""Pages in Chromium: what the slider shows is what Python computes, and nothing is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_quac.reports.figures.panels import mask_plane, quantize
from napari_quac.reports.figures.subject import Subject, subject_of
from napari_quac.reports.html.page import write_page
from napari_quac.reports.html.payload import slider_positions
from napari_quac.testing import CLASSES
from reports.chromium import browser, open_page, require_browser, wait_for
from reports.figure_stores import SIZE, explained

pytestmark = pytest.mark.long

PIXELS = """
const canvas = document.getElementById(arguments[0]);
const {width, height} = canvas;
const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
return [width, height, Array.from(data)];
"""
MOVE = """
const slider = document.getElementById("threshold");
slider.value = arguments[0];
slider.dispatchEvent(new Event("input", {bubbles: true}));
"""
TYPE = """
const field = document.getElementById(arguments[0]);
field.value = arguments[1];
field.dispatchEvent(new Event("input", {bubbles: true}));
"""
SAMPLES = "return [...document.querySelectorAll('#table tbody tr')].map((row) => row.innerText)"
HOSTILE = "<img src='https://example.org/x.png' onerror='document.title=1'>"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    require_browser()
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def subjects() -> list[Subject]:
    explanations = [
        explained("plain", 0),
        explained("three channels", 1, channels=3),
        explained("back", 2, label=1, scale=None),
        explained(HOSTILE, 3),
    ]
    return [subject_of(entry, CLASSES) for entry in explanations]


@pytest.fixture
def page(driver, subjects, tmp_path) -> Path:
    path = tmp_path / "page.html"
    write_page(subjects, path, f"Report {HOSTILE}")
    open_page(driver, path)
    return path


def pixels(driver: Any, name: str) -> np.ndarray:
    width, height, values = driver.execute_script(PIXELS, name)
    return np.array(values, dtype=np.int64).reshape(height, width, 4)[..., :3]


def check_slider(driver: Any, subject: Subject, method: str) -> None:
    """Compare mask and hybrid of several positions with those of Python."""
    curve = subject.explanations[method].curve
    positions = slider_positions(curve)
    for number in sorted({0, 1, len(positions) // 3, len(positions) // 2, len(positions) - 1}):
        hybrid = subject.explanations[method].at(float(curve.thresholds[positions[number]]))
        driver.execute_script(MOVE, number)
        mask = np.rint(mask_plane(hybrid) * 255).clip(0, 255)
        assert np.abs(pixels(driver, "mask")[..., 0] - mask).max() <= 1
        expected = np.broadcast_to(quantize(hybrid.image), (SIZE, SIZE, 3)).astype(np.int64)
        assert np.abs(pixels(driver, "hybrid") - expected).max() <= 1
        text = driver.execute_script("return document.getElementById('mask-text').textContent")
        assert text == f"mask, {100 * hybrid.mask_size:.1f} %"


@pytest.mark.usefixtures("page")
def test_slider_shows_mask_and_hybrid_as_python_computes_them(driver, subjects):
    for number, subject in enumerate(subjects[:2]):
        for k, method in enumerate(subject.methods):
            script = f"document.querySelectorAll('#table tbody button')[{3 * number + k}].click()"
            driver.execute_script(script)
            wait_for(driver, "return document.documentElement.dataset.ready", f"{number} {k}")
            check_slider(driver, subject, method)


def test_dapi_copies_the_query_into_the_generated_image(driver, tmp_path):
    subject = subject_of(explained(preset="dapi"), CLASSES).select(["residual"])
    write_page([subject], tmp_path / "dapi.html")
    open_page(driver, tmp_path / "dapi.html")
    check_slider(driver, subject, "residual")
    assert not driver.execute_script("return document.getElementById('samples').checkVisibility()")


@pytest.mark.usefixtures("page")
def test_filter_and_sorting(driver, subjects):
    assert len(driver.execute_script(SAMPLES)) == 12
    driver.execute_script(TYPE, "filter", "THREE d-ig")
    (row,) = driver.execute_script(SAMPLES)
    assert "three channels" in row and "d-ig" in row
    driver.execute_script(TYPE, "filter", "")
    driver.execute_script(TYPE, "methods", "random")
    driver.execute_script(TYPE, "classes", f"{CLASSES[0]} → {CLASSES[1]}")
    assert len(driver.execute_script(SAMPLES)) == 3
    count = driver.execute_script("return document.getElementById('count').textContent")
    assert count == "3 of 12 explanations"
    driver.execute_script(TYPE, "methods", "")
    driver.execute_script(TYPE, "classes", "")
    scores = [e.quac_score for s in subjects for e in s.explanations.values()]
    limit = f"{sorted(scores)[6] - 1e-3:.4f}"
    driver.execute_script(TYPE, "lowest", limit)
    n_above = sum(round(score, 4) >= float(limit) for score in scores)
    assert len(driver.execute_script(SAMPLES)) == n_above
    driver.execute_script(TYPE, "lowest", "")
    driver.execute_script("document.querySelector('[data-column=score] button').click()")
    column = (
        "return [...document.querySelectorAll('#table tbody tr')]"
        ".map((row) => Number(row.children[4].innerText))"
    )
    shown = driver.execute_script(column)
    assert shown == sorted(shown, reverse=True) and len(shown) == 12
    driver.execute_script("document.querySelector('[data-column=score] button').click()")
    assert driver.execute_script(column) == shown[::-1]


@pytest.mark.usefixtures("page")
def test_blinking_shows_the_query_while_the_key_is_held(driver, subjects):
    from selenium.webdriver.common.action_chains import ActionChains

    query = np.broadcast_to(quantize(subjects[0].pair.query.image), (SIZE, SIZE, 3))
    before = pixels(driver, "hybrid")
    assert (before != query).any()
    ActionChains(driver).key_down("b").perform()
    np.testing.assert_array_equal(pixels(driver, "hybrid"), query)
    ActionChains(driver).key_up("b").perform()
    np.testing.assert_array_equal(pixels(driver, "hybrid"), before)
    button = driver.find_element("id", "blink")
    ActionChains(driver).click_and_hold(button).perform()
    np.testing.assert_array_equal(pixels(driver, "hybrid"), query)
    ActionChains(driver).release().perform()
    np.testing.assert_array_equal(pixels(driver, "hybrid"), before)


@pytest.mark.usefixtures("page")
def test_controls_work_by_keyboard_and_have_names(driver, subjects):
    from selenium.webdriver.common.keys import Keys

    slider = driver.find_element("id", "threshold")
    before = int(slider.get_attribute("value"))
    slider.send_keys(Keys.ARROW_LEFT)
    assert int(slider.get_attribute("value")) == before - 1
    assert "mask" in slider.get_attribute("aria-valuetext")
    slider.send_keys("o")
    assert int(slider.get_attribute("value")) == before
    best = subjects[0].methods.index(subjects[0].best().method)  # opened at first
    wait_for(driver, "return document.documentElement.dataset.ready", f"0 {best}")
    slider.send_keys("p")
    wait_for(driver, "return document.documentElement.dataset.ready", f"0 {best - 1}")
    slider.send_keys("n")
    wait_for(driver, "return document.documentElement.dataset.ready", f"0 {best}")
    nameless = [
        control.get_attribute("outerHTML")
        for control in driver.find_elements("css selector", "button, input, select, canvas[role]")
        if not control.accessible_name and control.is_displayed()
    ]
    assert not nameless


def test_nothing_leaves_and_nothing_fails(driver, page):
    driver.execute_script(MOVE, 3)
    requests = [
        json.loads(entry["message"])["message"]["params"]["request"]["url"]
        for entry in driver.get_log("performance")
        if json.loads(entry["message"])["message"]["method"] == "Network.requestWillBeSent"
    ]
    assert page.as_uri() in requests
    assert not [url for url in requests if not url.startswith("data:") and url != page.as_uri()]
    resources = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    assert not [u for u in driver.execute_script(resources) if not u.startswith("data:")]
    assert driver.get_log("browser") == []
    assert driver.title == f"Report {HOSTILE}"  # markup in names is text
    assert driver.execute_script("return document.querySelectorAll('#table img').length") == 12
    # an image of elsewhere and a program are refused even if someone adds them
    added = """
    const done = arguments[arguments.length - 1];
    const blocked = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      blocked.push(event.effectiveDirective);
      if (blocked.length === 2) done(blocked.sort());
    });
    const image = new Image();
    image.src = "https://example.org/x.png";
    const program = document.createElement("script");
    program.textContent = "document.title = 'changed'";
    document.body.append(image, program);
    """
    assert driver.execute_async_script(added) == ["img-src", "script-src-elem"]
    assert driver.title == f"Report {HOSTILE}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_follows_the_color_scheme(driver, page, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    back = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    levels = [int(level) for level in back[4:-1].split(",")]
    assert (max(levels) < 64) == (scheme == "dark")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
