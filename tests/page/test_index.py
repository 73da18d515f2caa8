"""The index page of runs, in Chromium: sorted, drawn, linked, and safe from names."""

import json
import os
import shutil
from urllib.parse import unquote

import pytest
from page.test_browser import Opened
from page.test_runs import DESK, FAULTS, PHONE

import seewhy

HOSTILE = "<img src=x onerror=alert(1)> per%20cent #1? 日本語の実験\u202e"
LONG = "a name of a run that is as long as no name of a run should ever be, number one"


def changed(run, accuracy=None, test=None, seconds=None, data=None):
    """Rewrites what a copied run says of itself."""
    stored = json.loads((run / "metrics.json").read_text())
    around = {"low": accuracy - 0.05, "high": accuracy + 0.04} if accuracy else {}
    if accuracy:
        stored["val"]["accuracy"] = {"value": accuracy, **around}
    if test:
        stored["test"] = {**stored["val"], "accuracy": {"value": test, **around}}
    (run / "metrics.json").write_text(json.dumps(stored))
    if seconds:
        lines = (run / "history.csv").read_text().splitlines()
        place = lines[0].split(",").index("seconds")
        rows = [line.split(",") for line in lines[1:]]
        rows = [",".join([*row[:place], str(seconds), *row[place + 1 :]]) for row in rows]
        (run / "history.csv").write_text("\n".join([lines[0], *rows, ""]))
    if data:
        text = (run / "config.yaml").read_text()
        before = next(line for line in text.splitlines() if line.startswith("data_fingerprint"))
        (run / "config.yaml").write_text(text.replace(before, f"data_fingerprint: {data}"))


@pytest.fixture
def folder(trained, tmp_path):
    home = tmp_path / "all runs"
    for name in ("slow", "best", LONG, HOSTILE, "unfinished", "damaged", "other/data"):
        shutil.copytree(trained, home / name, ignore=shutil.ignore_patterns("checkpoints"))
    changed(home / "slow", 0.8, seconds=4000)
    changed(home / "best", 0.9, test=0.85)
    changed(home / LONG, 0.5)
    changed(home / HOSTILE, 0.7)
    changed(home / "other/data", 0.95, data="another")
    for name in ("model.safetensors", "metrics.json"):
        (home / "unfinished" / name).unlink()
    (home / "damaged" / "config.yaml").write_text("{")
    for name in ("best", HOSTILE):
        (home / name / "report.html").write_text("<title>its report</title>")
    return home


def names(opened):
    first = opened.page.locator("table.runs").first
    return first.locator("tbody th > bdi, tbody th > a").all_inner_texts()


def test_runs_are_drawn_linked_and_sorted(browser, rendered, folder, tmp_path):
    page = tmp_path / "pages" / "index.html"
    page.parent.mkdir()
    seewhy.list_runs(folder, out=page)
    opened = Opened(browser, page)
    text = opened.page.inner_text("body")
    assert "7 runs in all runs" in text and "1 run cannot be read" in text
    assert "unfinished: 2 of 2 epochs" in text and "\u202e" not in text
    assert "best reaches 90.0%" in opened.page.locator("h2").first.inner_text()
    first = names(opened)
    assert [first[0], first[1], first[-1]] == ["best", "slow", "unfinished"]
    assert opened.page.locator("table.runs").count() == 2, "other data have a table of their own"
    assert opened.page.locator("svg.chart").count() == 3
    links = opened.page.locator("tbody a").evaluate_all(
        "all => all.map((one) => one.getAttribute('href'))"
    )
    targets = [os.path.normpath(page.parent / unquote(link)) for link in links]
    assert targets == [str(folder / name / "report.html") for name in ("best", HOSTILE)]
    assert opened.said == []
    opened.page.click("tbody a >> nth=1")
    assert opened.page.title() == "its report"
    opened.context.close()


def test_a_click_on_a_column_sorts_by_it(browser, rendered, folder, tmp_path):
    seewhy.list_runs(folder, out=tmp_path / "index.html")
    opened = Opened(browser, tmp_path / "index.html")
    column = opened.page.locator("table.runs").first.locator("thead th")
    column.filter(has_text="Time").locator("button").click()
    assert names(opened)[0] == "slow"
    assert column.filter(has_text="Time").get_attribute("aria-sort") == "descending"
    column.filter(has_text="Time").locator("button").click()
    assert names(opened)[0] != "slow"
    column.filter(has_text="Run").locator("button").click()
    assert [name[0] for name in names(opened) if name != "regularized-cnn"] == [
        "<",
        "a",
        "b",
        "s",
        "u",
    ]
    opened.context.close()


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_overprints_or_leaves_the_page(browser, rendered, folder, tmp_path, width):
    seewhy.list_runs(folder, out=tmp_path / "index.html")
    view = {"viewport": {"width": width, "height": 900}, "color_scheme": "dark"}
    opened = Opened(browser, tmp_path / "index.html", **view)
    assert opened.page.evaluate(FAULTS) == []
    paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(21, 20, 18)" and opened.said == []
    opened.context.close()


def test_a_page_of_one_run_and_of_none(rendered, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "one" / "run")
    (tmp_path / "none").mkdir()
    for name, words in (("one", "1 run in"), ("none", "0 runs in")):
        seewhy.list_runs(tmp_path / name, out=tmp_path / "index.html")
        assert words in (tmp_path / "index.html").read_text()
