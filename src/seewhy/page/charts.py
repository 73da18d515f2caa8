"""Drawings of the page: inline SVG whose colours are the page's own, so that they follow its theme.

Made as a tree of elements, so that no name can become markup. Charts are as wide as a telephone, and
lie beside each other where there is room.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from seewhy.text import visible

WIDTH, HEIGHT = 340, 236
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 16, 30
GAP = 14  # between two labels, at least
LINES = ("strong", "soft", "plain")  # kinds of line, in the order of their curves
REACH = 0.76  # of a half, that the highest bar of a histogram takes


@dataclass(frozen=True)
class Axes:
    """Where values lie on a chart: x from `LEFT` to the right edge, y upwards."""

    x: tuple[float, float]
    y: tuple[float, float]
    right: float = RIGHT

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return (
            LEFT + across * (WIDTH - LEFT - self.right),
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
        )

    def path(self, xs: Iterable[float], ys: Iterable[float]) -> str:
        points = (self.at(x, y) for x, y in zip(xs, ys, strict=True) if isfinite(y))
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def training_curves(history: Sequence[Mapping[str, float]], name: str, best: int) -> Markup:
    """Loss or accuracy of training and validation by epoch, the kept epoch marked.

    `best` is its row.
    """
    epochs = [row["epoch"] for row in history]
    series = {part: [row[f"{part}_{name}"] for row in history] for part in ("train", "val")}
    values = np.concatenate(list(series.values()))
    values = values[np.isfinite(values)]
    percent = name == "accuracy"
    low, high = float(values.min()), float(values.max())
    ticks = _ticks(low, high)
    axes = Axes((epochs[0], epochs[-1]), (min(low, ticks[0]), max(high, ticks[-1])), right=74)
    svg = _svg(f"{name} by epoch, training and validation")
    whole = [e for e in _ticks(*axes.x) if e == int(e) and axes.x[0] <= e <= axes.x[1]]
    _grid(svg, axes, whole, ticks, percent)
    _line(svg, axes.at(epochs[best], axes.y[0]), axes.at(epochs[best], axes.y[1]), "rule")
    ends = {part: axes.at(epochs[-1], ys[-1])[1] for part, ys in series.items()}
    upper, lower = sorted(ends, key=lambda part: ends[part])
    if ends[lower] - ends[upper] < GAP:
        middle = (ends[lower] + ends[upper]) / 2
        ends = {upper: middle - GAP / 2, lower: middle + GAP / 2}
    for part, said in (("train", "training"), ("val", "validation")):
        kind = "strong" if part == "val" else "soft"
        SubElement(svg, "path", {"d": axes.path(epochs, series[part]), "class": f"line {kind}"})
        _text(svg, WIDTH - 68, ends[part] + 4, said, f"label {kind}-text")
    x, y = axes.at(epochs[best], series["val"][best])
    _circle(svg, x, y, 4, "dot")
    _text(svg, *axes.at(axes.x[1], axes.y[0]), "epoch", "tick", dy=16, dx=10)
    return _markup(svg)


def reliability(bins: Mapping[str, Any]) -> Markup:
    """Share right against confidence, with 95% intervals; on the diagonal confidence is honest.

    `bins` as `reliability` in confidence.json; size tells how many pictures.
    """
    axes = Axes((0, 1), (0, 1))
    svg = _svg("share of right answers at each confidence, against the diagonal of honesty")
    _grid(svg, axes, (0, 0.25, 0.5, 0.75, 1), (0, 0.25, 0.5, 0.75, 1), True, across=True)
    _line(svg, axes.at(0, 0), axes.at(1, 1), "rule")
    _text(svg, *axes.at(0.03, 0.9), "not sure enough", "label faint")
    _text(svg, *axes.at(0.98, 0.06), "too sure", "label faint end")
    most, shares = max(bins["counts"]), bins["accuracy"]
    ends = (bins.get(end, shares) for end in ("low", "high"))  # early versions stored none
    for n, x, share, low, high in zip(
        bins["counts"], bins["confidence"], shares, *ends, strict=True
    ):
        if n:
            _line(svg, axes.at(x, low), axes.at(x, high), "whisker")
            _circle(svg, *axes.at(x, share), 2.5 + 5 * (n / most) ** 0.5, "dot")
    return _markup(svg)


def confidence_histogram(confidence: Mapping[str, Any]) -> Markup:
    """How sure the right answers were (upwards) and the wrong ones (downwards); as in confidence.json.

    Each kind fills its own half, as there are far fewer wrong ones.
    """
    svg = _svg("how many right and wrong answers there are at each confidence")
    edges = confidence["edges"]
    axes = Axes((0, 1), (-1, 1))
    for kind, sign, style in (("right", 1, "quiet"), ("wrong", -1, "loud")):
        counts = confidence[f"{kind}_counts"]
        most = max(counts) or 1
        for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True):
            left, top = axes.at(low, max(0, sign * REACH * n / most))
            end, bottom = axes.at(high, min(0, sign * REACH * n / most))
            box = {"x": left + 0.7, "y": top, "width": end - left - 1.4, "height": bottom - top}
            SubElement(svg, "rect", {**_numbers(box), "class": style})
        average = confidence[kind]["value"]
        sure = "" if average is None else f", {average:.0%} sure on average"
        text = f"{sum(counts):,} {kind}{sure}"
        _text(svg, *axes.at(0, sign * 0.9), text, f"label {style}-text", dy=4)
    _line(svg, axes.at(0, 0), axes.at(1, 0), "axis")
    for tick in (0, 0.25, 0.5, 0.75, 1):
        _text(svg, *axes.at(tick, -1), f"{tick:.0%}", "tick middle", dy=18)
    return _markup(svg)


def risk_coverage(curve: Mapping[str, Any]) -> Markup:
    """The share wrong among those answered, when only the surest are; as in confidence.json."""
    coverage, risk, chance = curve["coverage"], curve["risk"], curve["chance"]
    top = max(_ticks(0, max(chance, *risk, 0.001)))
    axes = Axes((0, 1), (0, top))
    svg = _svg("share of wrong answers when only the surest pictures are answered")
    _grid(svg, axes, (0, 0.25, 0.5, 0.75, 1), _ticks(0, top), True, across=True)
    _line(svg, axes.at(0, chance), axes.at(1, chance), "rule")
    _text(svg, *axes.at(0.01, chance), "if confidence knew nothing", "label faint", dy=-5)
    SubElement(svg, "path", {"d": axes.path(coverage, risk), "class": "line strong"})
    for wanted in (0.8, 0.9):
        at = min(int(np.searchsorted(coverage, wanted)), len(coverage) - 1)
        x, y = axes.at(coverage[at], risk[at])
        _circle(svg, x, y, 4, "dot")
        said = f"{coverage[at]:.0%} answered: {1 - risk[at]:.1%} right"
        _text(svg, x - 8, y - 4, said, "label end")
    return _markup(svg)


def strengths(
    curves: Mapping[str, Mapping[str, Any]], clean: float, *, doubling: bool = False
) -> Markup:
    """Share right against strength, each curve with its 95% band; dashed: `clean`, without any.

    `curves` by what is written at their ends, as in robustness.json, drawn in the order of `LINES`;
    with `doubling` equal factors are equally far.
    """
    along = np.log2 if doubling else np.asarray
    marks = sorted({s for curve in curves.values() for s in curve["strengths"]})
    xs = [float(along(s)) for s in (marks[0], marks[-1])]
    axes = Axes((xs[0], xs[1]), (0, 1), right=64 if len(curves) > 1 else RIGHT)
    svg = _svg(f"share right by {next(iter(curves.values()))['about']}")
    shown = (
        marks if doubling else [marks[0], *(m for m in _ticks(*xs) if xs[0] < m < xs[1]), marks[-1]]
    )
    _grid(svg, axes, (), (0, 0.25, 0.5, 0.75, 1), True)
    for mark in shown:
        _text(svg, *axes.at(float(along(mark)), 0), f"{mark:g}", "tick middle", dy=16)
    _line(svg, axes.at(xs[0], clean), axes.at(xs[1], clean), "rule")
    ends = {}
    for (name, curve), kind in zip(curves.items(), LINES, strict=False):
        at = [float(along(s)) for s in curve["strengths"]]
        low, high, value = ([i[k] for i in curve["accuracy"]] for k in ("low", "high", "value"))
        band = axes.path([*at, *reversed(at)], [*low, *reversed(high)])
        SubElement(svg, "path", {"d": f"{band}Z", "class": f"band {kind}"})
        SubElement(svg, "path", {"d": axes.path(at, value), "class": f"line {kind}"})
        ends[name] = axes.at(at[-1], value[-1])[1], kind
    if len(curves) > 1:
        lowest = float(HEIGHT)
        for name in sorted(ends, key=lambda name: -ends[name][0]):
            height, kind = ends[name]
            lowest = min(height + 4, lowest - GAP)
            _text(svg, WIDTH - 58, lowest, name, f"label {kind}-text")
    return _markup(svg)


def interval(
    figure: Mapping[str, float | None], floor: float, mark: float | None = None, top: float = 1.0
) -> Markup:
    """A rate as a dot with its 95% interval, on a line from `floor` to `top`; stretches with its cell.

    `mark` is a rate to compare with.
    """
    svg = Element("svg", {"class": "interval", "aria-hidden": "true"})

    def across(rate: float) -> str:
        return f"{100 * (rate - floor) / (top - floor):.2f}%"

    SubElement(svg, "line", {"x1": "0", "x2": "100%", "y1": "50%", "y2": "50%", "class": "track"})
    if mark is not None:
        x = across(mark)
        SubElement(svg, "line", {"x1": x, "x2": x, "y1": "0", "y2": "100%", "class": "rule"})
    value, low, high = (figure.get(name) for name in ("value", "low", "high"))
    if value is not None:
        if low is not None and high is not None:
            ends = {"x1": across(max(low, floor)), "x2": across(high), "y1": "50%", "y2": "50%"}
            SubElement(svg, "line", {**ends, "class": "whisker"})
        SubElement(svg, "circle", {"cx": across(value), "cy": "50%", "r": "4", "class": "dot"})
    return _markup(svg)


def bar(value: float, most: float) -> Markup:
    """A count as a bar that stretches with its cell."""
    svg = Element("svg", {"class": "interval", "aria-hidden": "true"})
    width = f"{100 * value / (most or 1):.2f}%"
    SubElement(svg, "rect", {"width": width, "height": "60%", "y": "20%", "class": "quiet"})
    return _markup(svg)


def _svg(said: str) -> Element:
    svg = Element("svg", {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "class": "chart", "role": "img"})
    SubElement(svg, "title").text = said
    return svg


def _grid(
    svg: Element,
    axes: Axes,
    xs: Iterable[float],
    ys: Iterable[float],
    percent: bool,
    across: bool = False,
) -> None:
    """Lines at `ys` with their values, and values at `xs`; in percent upwards, and `across` too."""
    for y in ys:
        _line(svg, axes.at(axes.x[0], y), axes.at(axes.x[1], y), "grid")
        left, height = axes.at(axes.x[0], y)
        _text(svg, left - 6, height + 4, f"{y:.0%}" if percent else f"{y:g}", "tick end")
    for x in xs:
        _text(svg, *axes.at(x, axes.y[0]), f"{x:.0%}" if across else f"{x:g}", "tick middle", dy=16)


def _ticks(low: float, high: float) -> list[float]:
    """Round values about a range, from below it to above it."""
    found = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(round(tick, 10)) for tick in found]


def _line(svg: Element, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
    places = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    SubElement(svg, "line", {**_numbers(places), "class": kind})


def _circle(svg: Element, x: float, y: float, r: float, kind: str) -> None:
    SubElement(svg, "circle", {**_numbers({"cx": x, "cy": y, "r": r}), "class": kind})


def _text(
    svg: Element, x: float, y: float, text: str, kind: str, *, dx: float = 0, dy: float = 0
) -> None:
    place = _numbers({"x": x + dx, "y": y + dy})
    SubElement(svg, "text", {**place, "class": kind}).text = visible(text)


def _numbers(values: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{value:.1f}" for name, value in values.items()}


def _markup(svg: Element) -> Markup:
    return Markup(tostring(svg, encoding="unicode"))
