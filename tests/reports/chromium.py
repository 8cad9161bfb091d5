"""A real browser for pages: Debian's Chromium, without a window and without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,1000",
)


def require_browser() -> None:
    """Skip a test where there is no browser, unless QUAC_REQUIRE_BROWSER=1."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if not missing:
        return
    reason = f"{' and '.join(missing)} not installed: apt install chromium chromium-driver"
    if os.environ.get("QUAC_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{reason}, but QUAC_REQUIRE_BROWSER=1")
    pytest.skip(reason)


@contextmanager
def browser(folder: Path, *flags: str) -> Iterator[Any]:
    """Yield a driver whose profile is in a folder."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, *flags, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def open_page(driver: Any, path: Path) -> None:
    """Open a page and wait until its first sample is displayed."""
    driver.get_log("performance")
    driver.get(path.as_uri())
    wait_for(driver, "return document.documentElement.dataset.ready || ''")


def wait_for(driver: Any, script: str, expected: str = "") -> str:
    """Wait until a script returns a text, or the expected one."""
    from selenium.webdriver.support.ui import WebDriverWait

    def read(_: Any) -> str:
        text = driver.execute_script(script)
        return text if text and (not expected or text == expected) else ""

    return WebDriverWait(driver, 20, 0.05).until(read)
