"""The page on which labels are reviewed, in Chromium: by mouse, by keyboard, and what it saves."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from page.test_browser import PAYLOADS, Opened

from seewhy.analysis.labels.review import HEADER, Suspect
from seewhy.analysis.labels.suspects import Shown, Suspects
from seewhy.data.sources.corrected import NONE
from seewhy.page.review import render_review
from seewhy.text import escape_cell, visible

CLASSES = ("ant", "bee", '=cow, "large"')


def made(count=4, classes=CLASSES, ids=None):
    rng = np.random.default_rng(0)
    found = tuple(
        Suspect(
            id=ids[n % len(ids)] if ids else f"{n}.png",
            hash=f"{n:032x}",
            label=classes[n % len(classes)],
            suggested=classes[(n + 1) % len(classes)],
            score=0.9 - n / 1000,
            label_probability=0.1,
            suggested_probability=0.8,
        )
        for n in range(count)
    )
    names = np.array([[one.label, one.suggested] for one in found], object).reshape(count, 2)
    shown = Shown(
        rng.integers(0, 255, (count, 8, 8, 3), np.uint8),
        rng.integers(0, 255, (count, 2, 8, 8, 3), np.uint8),
        names,
    )
    return Suspects(classes, 100, 0.9, False, 0.05, found, shown)


@pytest.fixture
def opened(browser, tmp_path):
    pages = []

    def open_page(suspects=None, **options):
        file = tmp_path / "review.html"
        file.write_text(
            render_review(suspects or made(), "seewhy data apply-review 'my photos' review.csv"),
            "utf-8",
        )
        pages.append(Opened(browser, file, **options))
        return pages[-1].page

    yield open_page
    for page in pages:
        assert page.said == []  # neither errors nor requests, whatever was done
        page.context.close()


def saved(page, press=None):
    with page.expect_download() as download:
        page.keyboard.press(press) if press else page.click("#save")
    assert download.value.suggested_filename == "review.csv"
    text = Path(download.value.path()).read_bytes().decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_answers_by_mouse_are_saved_as_the_table_that_was_written(opened):
    page = opened()
    first, second, third, fourth = (page.locator(".suspect").nth(n) for n in range(4))
    first.locator("button").nth(0).click()
    second.locator("button").nth(1).click()
    third.locator("select").select_option(label="bee")
    fourth.locator("button").nth(2).click()
    assert page.inner_text("#done") == "4 of 4 reviewed, 3 wrong"
    rows = saved(page)
    assert tuple(rows[0]) == HEADER
    assert [row["right_label"] for row in rows] == ["ant", escape_cell(CLASSES[2]), "bee", NONE]
    assert [row["hash"] for row in rows] == [f"{n:032x}" for n in range(4)]
    assert rows[2]["label"] == escape_cell(CLASSES[2])
    pressed = fourth.locator("[aria-pressed=true]")
    assert pressed.all_inner_texts() == ["3 None of these"]
    assert fourth.locator("select.chosen").count() == 0
    first.locator("button").nth(0).click()  # again: open
    fourth.locator("button").nth(2).click()
    assert page.inner_text("#done") == "2 of 4 reviewed, 2 wrong"


def test_all_can_be_done_by_keyboard(opened):
    page = opened()
    for key in ("1", "2", "ArrowLeft", "0", "ArrowRight", "4"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    page.locator(":focus").select_option(label="bee")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("3")
    assert [row["right_label"] for row in saved(page, "s")] == ["ant", "", "bee", NONE]


def test_answers_outlast_the_page(opened):
    page = opened()
    page.keyboard.press("2")
    page.keyboard.press("3")
    page.reload()
    assert page.inner_text("#done") == "2 of 4 reviewed, 2 wrong"
    assert [row["right_label"] for row in saved(page)][1] == NONE
    page.check("#open-only")
    assert page.locator(".suspect:visible").count() == 2


def test_what_the_page_saves_is_applied(opened, tmp_path):
    from data.pictures import class_folders

    from seewhy.analysis.labels.review import read_review
    from seewhy.data import load_data

    splits = load_data(class_folders(tmp_path / "photos", {"ant": 12, "bee": 12}))
    train = splits.train.take(splits.train.labels == 0)
    one, two = (Suspect("x", h.decode(), "ant", "bee", 0.9, 0.1, 0.8) for h in train.hashes[:2])
    shown = Shown(
        train.images[:2], train.images[:0].reshape(2, 0, 8, 8, 3), np.empty((2, 0), object)
    )
    page = opened(Suspects(splits.classes, 24, 0.9, False, 0.1, (one, two), shown))
    page.keyboard.press("2")
    page.keyboard.press("3")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "review.csv")
    found = read_review(tmp_path / "review.csv", splits)
    assert [(c.hash, c.label) for c in found.corrections] == [(one.hash, "bee"), (two.hash, None)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_scrolls_down_only(opened, scheme):
    long = made(classes=tuple("w" * 60 + str(k) for k in range(12)), ids=["y" * 300])
    page = opened(long, viewport={"width": 390, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_names_are_text_whatever_they_hold(opened):
    page = opened(made(len(PAYLOADS), tuple(PAYLOADS), PAYLOADS))
    shown = [visible(name) for name in PAYLOADS]
    ids = page.locator(".suspect .id").evaluate_all("all => all.map(e => e.textContent)")
    heads = page.locator(".suspect h2 bdi").evaluate_all("all => all.map(e => e.textContent)")
    assert ids == shown and heads == shown
    tags = "script:not([type]), iframe, svg[onload], [onerror], [onfocus]"
    assert page.locator(tags).count() == 1  # the page's own script
    page.keyboard.press("1")
    assert saved(page)[0]["right_label"] == escape_cell(PAYLOADS[0])


def test_nothing_to_review_is_said(opened):
    page = opened(made(0))
    assert (
        "No label looks wrong" in page.inner_text("header") and page.locator("#save").count() == 0
    )
