"""Figures as parts of a page, which follow its theme."""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from seewhy.plots.style import (
    BLUE,
    GREY,
    HEADLINE,
    LIGHT_BLUE,
    LIGHT_VERMILION,
    PALE,
    VERMILION,
)

# Custom properties of the page, by the colours of figures.
COLOURS = {
    BLUE: "--blue",
    LIGHT_BLUE: "--light-blue",
    VERMILION: "--accent",
    LIGHT_VERMILION: "--light-accent",
    GREY: "--grey",
    PALE: "--rule",
    "#000000": "--ink",
}
_HREF = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d+")
_UNTURNED = re.compile(r"rotate\(-?0 .*\)")


def themed(svg: bytes, name: str) -> str:
    """A figure as SVG for a page that defines the properties of `COLOURS`; its title is its name there.

    It has neither styles, which a strict content security policy refuses, nor an id of another figure: all
    begin with `name`. Fonts and round joints are left to the page.
    """
    root = ElementTree.fromstring(svg)
    _, _, width, height = root.get("viewBox", "").split()
    title, top = "", 0.0
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("id") == HEADLINE:
                title = " ".join(line.text or "" for line in child)
                top = _baseline(child[-1]) + 4
            elif not (child.tag.endswith("}style") or child.get("style") == "fill: #ffffff"):
                continue  # neither a style sheet nor the paper
            parent.remove(child)
    for element in root.iter():
        _make_plain(element, name)
    _unwrap(root)
    _join_grid(root)
    root.attrib = {
        "viewBox": f"0 {top:.1f} {width} {float(height) - top:.1f}",
        "class": "chart",
        "role": "img",
        "fill": "var(--ink)",
    }
    named = Element("title")
    named.text = title
    root.insert(0, named)
    return ElementTree.tostring(root, encoding="unicode")


def _unwrap(parent: Element) -> None:
    """Removes the groups that have no meaning left."""
    for child in parent:
        _unwrap(child)
    parts = [list(one) if one.tag == "g" and not one.attrib else [one] for one in parent]
    parent[:] = [one for part in parts for one in part]


def _join_grid(root: Element) -> None:
    """Makes one path of all grid lines of an axis pair, which are a third of a figure's text."""
    grids: dict[str, Element] = {}
    for path in root.findall("path"):
        if path.get("stroke") == f"var({COLOURS[PALE]})":
            first = grids.setdefault(path.get("clip-path", ""), path)
            if first is not path:
                first.set("d", f"{first.get('d')} {path.get('d')}")
                root.remove(path)


def _baseline(text: Element) -> float:
    """The place of a line of text from the top of the figure."""
    return float(text.get("y") or text.get("transform", "").rstrip(")").split()[-1])


def _make_plain(element: Element, name: str) -> None:
    """Turns an element's style into attributes, its colours into properties, its ids into its figure's."""
    element.tag = element.tag.rpartition("}")[2]
    if element.tag != "text":
        element.text = None
    element.tail = None
    given = element.attrib
    style = [part.split(": ", 1) for part in given.pop("style", "").split("; ") if part]
    given |= {key: _themed_colour(value) for key, value in style if key != "font-family"}
    if element.tag == "g":
        given.pop("id", None)
    if "id" in given:
        given["id"] = f"{name}-{given['id']}"
    if _HREF in given:
        given["href"] = given.pop(_HREF).replace("#", f"#{name}-")
    if "clip-path" in given:
        given["clip-path"] = given["clip-path"].replace("#", f"#{name}-")
    if _UNTURNED.fullmatch(given.get("transform", "")):
        del given["transform"]
    for key in given.keys() & {"d", "x", "y", "transform", "width", "height"}:
        rounded = _NUMBER.sub(lambda number: f"{float(number[0]):.1f}", given[key])
        given[key] = " ".join(rounded.split())


def _themed_colour(value: str) -> str:
    return f"var({COLOURS[value.upper()]})" if value.startswith("#") else value
