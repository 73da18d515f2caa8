"""The page as a reader meets it, in Chromium."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page.conftest import judged, made, with_analysis

from seewhy.analysis.causes import Causes, Explained, Near
from seewhy.page.report import render
from seewhy.plots.style import short_names
from seewhy.text import visible

CLASSES = ("ant", "bee", "cow")


class Opened:
    """A page with all that it said and asked for."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self._asked(request.url, file))
        self.page.goto(file.as_uri())

    def _asked(self, url: str, file: Path) -> None:
        if not url.startswith("data:") and url.split("#")[0] != file.as_uri():
            self.said.append(f"request {url}")


def opened(browser: Any, folder: Path, made_run: Any = None, **options: Any) -> Opened:
    stored, pictures = made_run or made(CLASSES)
    file = folder / "report.html"
    file.write_text(render(stored, "photos", pictures), "utf-8")
    return Opened(browser, file, **options)


@pytest.fixture
def page(browser, tmp_path):
    found = opened(browser, tmp_path)
    yield found.page
    assert found.said == []  # neither errors nor requests, whatever was done
    found.context.close()


def test_a_cell_opens_by_mouse_and_closes_by_escape(page):
    page.click("#matrix button.w9")
    assert page.is_visible("dialog")
    cards = page.locator("dialog .card")
    assert 0 < cards.count() <= 12
    assert all(page.locator("dialog img").evaluate_all("all => all.map(i => i.naturalWidth > 0)"))
    page.keyboard.press("Escape")
    assert not page.is_visible("dialog")


def test_a_cell_opens_by_keyboard_and_focus_comes_back(page):
    page.focus("#matrix button")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert "bee predicted correctly" in label
    page.keyboard.press("Enter")
    assert page.inner_text("#cell-title").startswith("bee")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == label


def test_a_confidence_below_90_percent_is_not_rounded_to_it(browser, tmp_path):
    logits = np.log([[0.899, 0.101]] * 3)
    found = opened(browser, tmp_path, judged(("ant", "bee"), [0, 0, 1], logits))
    assert found.page.inner_text("#gallery .said") == "predicted ant 89.9%"
    assert found.page.inner_text("#confidence-h") == "No mistake with more than 90% confidence"
    found.page.click("button[data-true]")
    assert "not tested for faithfulness" in found.page.inner_text("#cell-note")
    found.context.close()


def test_one_cell_alone_is_a_stop_of_the_tab_key(page):
    assert page.locator("#matrix button[tabindex='0']").count() == 1


def test_mistakes_are_filtered(page):
    total = int(page.inner_text("#filtered").split()[0])
    page.select_option("#filter-true", label="bee")
    page.select_option("#filter-said", label="cow")
    kept = int(page.inner_text("#filtered").split()[0])
    assert 0 < kept < total
    assert set(page.locator("#gallery .true").all_inner_texts()) == {"bee"}
    page.select_option("#filter-true", "")
    page.select_option("#filter-said", "")
    page.click("#more")
    assert page.locator("#gallery .card").count() == total


def explained(names=("bee", "ant")):
    """A run whose mistakes have causes, the first three poor images, with their evidence."""
    stored, pictures = made(CLASSES)
    worst = stored.val.analysis.mistakes.worst
    near = tuple(Near(5 + n, "t", name, 0.9, not n) for n, name in enumerate(names))
    reasons = (f"reason of {names[0]}",)
    found = tuple(
        Explained(mistake.row, "picture" if n < 3 else "confusion", reasons, near)
        for n, mistake in enumerate(worst)
    )
    counts = {"duplicate": 0, "label": 0, "picture": 3, "scope": 0, "confusion": len(worst) - 3}
    images = {5 + n: pictures.images[n] for n in range(len(names))}
    causes = Causes(counts, ("label",), None, found)
    return with_analysis(stored, causes=causes), replace(pictures, near=images)


def test_mistakes_are_filtered_by_cause_and_show_their_evidence(browser, tmp_path):
    found = opened(browser, tmp_path, explained())
    page = found.page
    page.click("button[data-cause=picture]")
    assert page.inner_text("#filtered").startswith("3 of")
    assert page.locator("#gallery .card").count() == 3
    card = page.locator("#gallery .card").first
    assert card.locator(".near li").all_inner_texts() == ["bee\nnear-duplicate", "ant"]
    assert all(card.locator(".near img").evaluate_all("all => all.map(i => i.naturalWidth > 0)"))
    assert card.locator(".reason").inner_text() == "reason of bee"
    page.select_option("#filter-cause", "")
    assert not page.inner_text("#filtered").startswith("3 of")
    assert found.said == []
    found.context.close()


def test_evidence_is_text_whatever_it_holds(browser, tmp_path):
    found = opened(browser, tmp_path, explained(PAYLOADS[:30]))
    shown = found.page.locator("#gallery .card").first.locator(".near bdi")
    texts = shown.evaluate_all("all => all.map(e => e.textContent)")
    assert texts == [visible(name) for name in PAYLOADS[:30]]
    assert found.said == []
    found.context.close()


def test_the_theme_follows_the_system_and_the_button(browser, tmp_path):
    found = opened(browser, tmp_path, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    before = found.page.evaluate(paper)
    found.page.click("#theme")
    after = found.page.evaluate(paper)
    assert before != after
    found.page.emulate_media(color_scheme="light")
    assert found.page.evaluate(paper) == after
    found.context.close()


@pytest.mark.parametrize("classes", [CLASSES, tuple("w" * 60 + str(k) for k in range(12))])
def test_a_telephone_scrolls_down_only(browser, tmp_path, classes):
    size = {"width": 390, "height": 800}
    found = opened(browser, tmp_path, made(classes), viewport=size)
    assert found.page.evaluate("document.documentElement.scrollWidth") == 390
    found.page.locator("#matrix button").first.click()
    assert found.page.evaluate("document.documentElement.scrollWidth") == 390
    found.context.close()


BEGINNINGS = ("", "'>", '">', "</script>", "</title>", "</style>", "-->", "]]>", "{{", "&#34;>")
MIDDLES = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "שלום مرحبا",
    "😀👩‍🚀",
    "${alert(1)}",
    "<a href=//x.example onfocus=alert(1) autofocus>",
    "&lt;script&gt;",
)
PAYLOADS = [start + middle for start, middle in product(BEGINNINGS, MIDDLES)]
# In parts of eleven, each with every beginning and every middle.
PARTS = [PAYLOADS[part :: len(BEGINNINGS)] for part in range(len(BEGINNINGS))]
EACH_PART = pytest.mark.parametrize(
    "names", [PARTS[0], *(pytest.param(part, marks=pytest.mark.long) for part in PARTS[1:])]
)


@EACH_PART
def test_names_are_text_whatever_they_hold(browser, tmp_path, names):
    assert len(PAYLOADS) >= 100
    ids = [names[row % len(names)] for row in range(300)]
    found = opened(browser, tmp_path, made(tuple(names), ids))
    page = found.page
    shown = [visible(name) for name in names]
    heads = page.locator("#matrix tbody th bdi")
    assert heads.evaluate_all("all => all.map(e => e.title)") == shown
    assert heads.evaluate_all("all => all.map(e => e.textContent)") == short_names(names, 18)
    page.click("#more")
    files = page.locator("#gallery .id").evaluate_all("all => all.map(e => e.textContent)")
    assert files and set(files) <= set(shown)
    options = page.locator("#filter-true option").evaluate_all("all => all.map(e => e.textContent)")
    assert set(options[1:]) <= set(shown)
    page.locator("#matrix button").first.click()
    assert page.locator("#cell-title bdi").first.evaluate("e => e.textContent") in shown
    tags = "script:not([type]), iframe, svg[onload], [onerror], [onfocus]"
    assert page.locator(tags).count() == 1  # the page's own script
    assert found.said == []
    found.context.close()
