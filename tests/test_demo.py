"""The demo page, opened as a user would: from disk, in a real browser, without a network."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medcolor.cli import run
from medcolor.demo import SAMPLES
from medcolor.scan import MODALITIES, family

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert run(["demo", "-o", str(folder), "--quiet"]) == 0
    return folder


def test_the_demo_shows_all_seven_modalities_and_says_which_is_simulated(demo: Path) -> None:
    assert {family(sample.modality) for sample in SAMPLES} == set(MODALITIES)
    page = (demo / "demo.html").read_text()
    assert page.count('<section class="card"') == len(SAMPLES)
    assert "simulated" in page


def test_the_demo_breaks_no_law(demo: Path) -> None:
    page = (demo / "demo.html").read_text()
    assert page.count('class="law ok"') == len(SAMPLES)
    assert 'class="law broken"' not in page


def test_the_page_reaches_for_nothing_outside_itself(demo: Path) -> None:
    page = (demo / "demo.html").read_text()
    for word in ("http://", "https://", 'src="/', "@import", "fetch("):
        assert word not in page


def test_a_second_demo_is_refused_without_force(demo: Path) -> None:
    assert run(["demo", "-o", str(demo), "--quiet"]) == 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs chromium and chromedriver on PATH")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,1400"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    yield driver
    driver.quit()


def screenshot(browser: Any) -> np.ndarray:
    viewer = browser.find_element("css selector", "#scan-0 .viewer")
    return np.asarray(Image.open(io.BytesIO(viewer.screenshot_as_png)).convert("RGB")).astype(int)


def chroma(pixels: np.ndarray) -> float:
    return float((pixels.max(axis=-1) - pixels.min(axis=-1)).mean())


@pytest.mark.browser
@pytest.mark.timeout(120)
def test_the_page_opens_from_disk_and_c_toggles_gray(demo: Path, browser: Any) -> None:
    browser.get((demo / "demo.html").as_uri())
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    images = browser.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert images
    body = browser.find_element("tag name", "body")
    body.send_keys("c")  # gray everywhere
    gray = screenshot(browser)
    body.send_keys("c")  # colour everywhere
    color = screenshot(browser)
    assert chroma(gray) < 1
    assert chroma(color) > 5 * max(chroma(gray), 1)


@pytest.mark.browser
@pytest.mark.timeout(120)
def test_the_confidence_button_and_the_slice_slider_change_the_picture(demo: Path, browser: Any) -> None:
    browser.get((demo / "demo.html").as_uri())
    before = screenshot(browser)
    browser.find_element("css selector", "#scan-0 .confidence-button").click()
    assert np.abs(screenshot(browser) - before).mean() > 1
    shown = browser.execute_script(
        "const p=document.querySelector('#scan-2 .pick');p.value=0;p.dispatchEvent(new Event('input'));"
        "return document.querySelector('#scan-2 .which').textContent"
    )
    assert shown.startswith("slice ")
