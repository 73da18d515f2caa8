"""The page of a drift as a reader meets it, in Chromium."""

import numpy as np
import pytest
from analysis.test_drift import CLASSES, predictions
from page.test_browser import Opened

from seewhy.analysis.drift import drift
from seewhy.evaluation.predictions import Predictions
from seewhy.page.drift import render_drift

HOSTILE = "<img src=x onerror=alert(1)>\u202e.png"


def page_of(browser, folder, found, images=(), **options):
    file = folder / "drift.html"
    file.write_text(render_drift(found, images, HOSTILE, "ab" * 32), "utf-8")
    return Opened(browser, file, **options)


@pytest.fixture
def different():
    window = predictions(200, 1, shares=(0.1, 0.8, 0.1), sure=1.0)
    window.embeddings[:3] += 40
    window.ids[0] = HOSTILE
    return drift(predictions(600, 0), window)


def test_the_page_says_what_differs_and_whether_it_matters(browser, tmp_path, different):
    images = [np.full((8, 8, 3), value, np.uint8) for value in (0, 99, 200)]
    opened = page_of(browser, tmp_path, different, images)
    page = opened.page
    assert page.inner_text("h1") == "The new images differ"
    assert "It matters: the accuracy was" in page.inner_text(".lede")
    assert page.locator(".new img").count() == 3
    shown = page.locator(".new img").evaluate_all("all => all.map((one) => one.naturalWidth)")
    assert shown == [8, 8, 8]
    assert "<img src=x" in page.inner_text("#drift") and "\u202e" not in page.inner_text("#drift")
    moved = page.locator(".moved-name").all_inner_texts()
    assert {*moved} <= {*CLASSES} and "bee" in moved
    assert "of 100 windows without any difference about one" in page.inner_text("#drift")
    assert opened.said == []
    opened.context.close()


def test_the_page_of_no_difference_on_a_dark_phone(browser, tmp_path):
    known = predictions(100, 0)
    bare = Predictions(known.logits, None, CLASSES, known.ids, known.embeddings)
    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
    opened = page_of(browser, tmp_path, drift(bare, predictions(60, 1)), **phone)
    text = opened.page.inner_text("#drift")
    assert "No difference shown" in text and "no larger than chance" in text
    assert "takes a reference of 200, not 100" in text
    assert "Accuracy" not in text
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert (
        opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 20, 18)"
    )
    assert opened.said == []
    opened.context.close()
