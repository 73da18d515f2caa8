"""The pages of very different runs, measured in Chromium: nothing overprints, nothing is cut."""

from pathlib import Path
from typing import Any

import pytest
from page.runs import BY_HAND, train_page, write_page

PHONE, DESK = 390, 1200

# The faults of a page: texts of a chart that overlap or leave it, and names that do not fit their cell.
FAULTS = """() => {
  const faults = [];
  const box = (e) => e.getBoundingClientRect();
  const seen = (e) => box(e).width > 0;
  const say = (e) => JSON.stringify(e.textContent.trim().slice(0, 60));
  for (const chart of document.querySelectorAll("svg.chart")) {
    const texts = [...chart.querySelectorAll("text")].filter(seen), whole = box(chart);
    texts.forEach((one, place) => {
      const a = box(one);
      const across = Math.max(whole.left - a.left, a.right - whole.right);
      if (Math.max(across, whole.top - a.top, a.bottom - whole.bottom) > 1)
        faults.push(`${say(one)} leaves its chart`);
      for (const other of texts.slice(place + 1)) {
        const b = box(other), inset = 1.5;
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > inset && down > inset) faults.push(`${say(one)} over ${say(other)}`);
      }
    });
  }
  for (const name of document.querySelectorAll(".matrix th bdi")) {
    const cell = name.parentElement;
    if (name.scrollWidth > cell.clientWidth + 1 || name.scrollHeight > cell.clientHeight + 1)
      faults.push(`${say(name)} is cut in the matrix`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  ids.forEach((id, place) => { if (ids.indexOf(id) < place) faults.push(`two elements ${id}`); });
  for (const use of document.querySelectorAll("svg.chart use"))
    if (!document.querySelector(use.getAttribute("href"))) faults.push(`no ${use.getAttribute("href")}`);
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) faults.push(`the page is ${wide} pixels wide`);
  return faults;
}"""


def looked_at(browser: Any, page: Path, theme: str = "light", shot: str = "") -> dict[int, Any]:
    """The faults of a page at each width, and what it said; with `shot` it leaves images of that name."""
    context = browser.new_context(color_scheme=theme)
    opened, messages, faults = context.new_page(), [], {}
    opened.on("console", lambda message: messages.append(message.text))
    opened.on("pageerror", lambda error: messages.append(str(error)))
    opened.goto(page.as_uri())
    for width in (PHONE, DESK):
        opened.set_viewport_size({"width": width, "height": 900})
        faults[width] = opened.evaluate(FAULTS) + messages
        if shot:
            opened.screenshot(path=f"{shot}-{width}-{theme}.png", full_page=True)
    names = opened.evaluate(
        "() => [...document.querySelectorAll('.matrix tbody th bdi')].map(e => e.textContent)"
    )
    context.close()
    if len(set(names)) < len(names):
        faults[DESK].append(f"names that look alike: {names}")
    return faults


@pytest.mark.parametrize("name", BY_HAND)
def test_nothing_overprints_or_is_cut(browser, rendered, tmp_path, name):
    page = write_page(BY_HAND[name](), tmp_path)
    assert looked_at(browser, page) == {PHONE: [], DESK: []}


def all_pages(shared_data: Path, some_cifar10: Path, folder: Path) -> dict[str, Path]:
    """The pages of all runs, three of them trained, by name."""
    trained = {
        "digits": ("digits", "digits", {}),
        "cifar10": (some_cifar10, "simple-cnn", {"train.epochs": 3}),
        "hymenoptera": (shared_data / "hymenoptera", "photos", {"train.epochs": 2}),
    }
    folders = {name: folder / name for name in (*trained, *BY_HAND)}
    for home in folders.values():
        home.mkdir()
    by_hand = {name: write_page(make(), folders[name]) for name, make in BY_HAND.items()}
    return by_hand | {
        name: train_page(data, recipe, folders[name], **overrides)
        for name, (data, recipe, overrides) in trained.items()
    }


@pytest.mark.long
def test_pages_of_trained_runs_and_their_screenshots(
    browser, rendered, tmp_path, shared_data, some_cifar10
):
    """Leaves a screenshot of each page in both themes and at both widths, to look at."""
    pages = all_pages(shared_data, some_cifar10, tmp_path)
    faults = {
        (name, theme): looked_at(browser, page, theme, str(tmp_path / name))
        for name, page in pages.items()
        for theme in ("light", "dark")
    }
    assert {key: found for key, found in faults.items() if any(found.values())} == {}
