import re
from xml.etree.ElementTree import fromstring

import pytest
from matplotlib.figure import Figure
from plots.test_metrics import history

from seewhy.plots.metrics import curves
from seewhy.plots.style import BLUE, headline, png
from seewhy.plots.themed import COLOURS, themed


@png
def line(colour: str) -> Figure:
    """A line with a dot, and a title of two lines."""
    figure = Figure(figsize=(3, 2))
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), "o-", color=colour, label="<b> & $x$")
    axes.set_ylabel("up")
    axes.legend()
    headline(figure, "a title that needs more than one line of this figure")
    return figure


def test_a_strict_policy_has_nothing_to_refuse() -> None:
    svg = themed(line.svg(BLUE), "one")
    assert "style" not in svg and "<!--" not in svg and "http" not in svg
    assert not re.search("#[0-9a-f]{6}", svg)
    assert "var(--blue)" in svg and "var(--ink)" in svg


def test_text_is_text_and_the_title_a_name() -> None:
    root = fromstring(themed(line.svg(BLUE), "one"))
    title = "a title that needs more than one line of this figure"
    assert root.findtext("title") == title and root.get("role") == "img"
    texts = ["".join(text.itertext()) for text in root.iter("text")]
    assert "<b> & $x$" in texts and "up" in texts and not any("title" in text for text in texts)
    _, top, _, height = map(float, root.get("viewBox", "").split())
    whole = fromstring(line.svg(BLUE)).get("viewBox", "").split()
    assert top > 10 and top + height == pytest.approx(float(whole[3]))


def test_two_figures_on_a_page_share_no_id() -> None:
    one, other = (themed(line.svg(BLUE), name) for name in ("one", "two"))
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in (one, other)]
    assert ids[0] and not set(ids[0]) & set(ids[1])
    for svg, known in zip((one, other), ids, strict=True):
        used = re.findall(r'(?:href="|url\()#([^")]+)', svg)
        assert used and set(used) <= set(known)


def test_a_colour_that_no_theme_has_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        themed(line.svg("#123456"), "one")
    assert all(colour == colour.upper() for colour in COLOURS)


def test_equal_figures_are_equal_parts_of_a_page() -> None:
    assert themed(curves.svg(history(3)), "c") == themed(curves.svg(history(3)), "c")
