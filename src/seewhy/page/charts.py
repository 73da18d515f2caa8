"""Charts of the page as inline SVG, styled by the page, so that they follow its theme.

They are built as a tree of elements, so that no name can become markup. A chart is as wide as a phone;
wider screens show several side by side.
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
GAP = 14  # smallest distance between two labels
LINES = ("strong", "soft", "plain")  # styles of the first, second and third curve
REACH = 0.76  # height of the tallest bar, as a share of its half of the histogram


@dataclass(frozen=True)
class Axes:
    """The scales of a chart: x from `LEFT` to the right edge, y upwards."""

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


def training_curves(history: Sequence[Mapping[str, float]], name: str, kept: int) -> Markup:
    """Training and validation loss or accuracy by epoch; `kept` is the row of the kept epoch, marked."""
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
    _line(svg, axes.at(epochs[kept], axes.y[0]), axes.at(epochs[kept], axes.y[1]), "rule")
    ends = {part: axes.at(epochs[-1], ys[-1])[1] for part, ys in series.items()}
    upper, lower = sorted(ends, key=lambda part: ends[part])
    if ends[lower] - ends[upper] < GAP:
        middle = (ends[lower] + ends[upper]) / 2
        ends = {upper: middle - GAP / 2, lower: middle + GAP / 2}
    for part, label, kind in (("train", "training", "soft"), ("val", "validation", "strong")):
        SubElement(svg, "path", {"d": axes.path(epochs, series[part]), "class": f"line {kind}"})
        _text(svg, WIDTH - 68, ends[part] + 4, label, f"label {kind}-text")
    x, y = axes.at(epochs[kept], series["val"][kept])
    _circle(svg, x, y, 4, "dot")
    _text(svg, *axes.at(axes.x[1], axes.y[0]), "epoch", "tick", dy=16, dx=10)
    return _markup(svg)


def reliability(bins: Mapping[str, Any]) -> Markup:
    """The reliability curve: accuracy by confidence with 95% intervals; on the diagonal, perfect calibration.

    `bins` as `reliability` in confidence-val.json; the size of a dot shows the number of images.
    """
    axes = Axes((0, 1), (0, 1))
    svg = _svg("reliability curve: accuracy by confidence; the diagonal is perfect calibration")
    _grid(svg, axes, (0, 0.25, 0.5, 0.75, 1), (0, 0.25, 0.5, 0.75, 1), True, across=True)
    _line(svg, axes.at(0, 0), axes.at(1, 1), "rule")
    _text(svg, *axes.at(0.03, 0.9), "underconfident", "label faint")
    _text(svg, *axes.at(0.98, 0.06), "overconfident", "label faint end")
    most, shares = max(bins["counts"]), bins["accuracy"]
    ends = (bins.get(end, shares) for end in ("low", "high"))  # early versions stored no intervals
    for n, x, share, low, high in zip(
        bins["counts"], bins["confidence"], shares, *ends, strict=True
    ):
        if n:
            _line(svg, axes.at(x, low), axes.at(x, high), "whisker")
            _circle(svg, *axes.at(x, share), 2.5 + 5 * (n / most) ** 0.5, "dot")
    return _markup(svg)


def confidence_histogram(confidence: Mapping[str, Any]) -> Markup:
    """Confidence of correct (upwards) and wrong predictions (downwards); as in confidence-val.json.

    Each half has its own scale, since there are far fewer wrong ones.
    """
    svg = _svg("histogram of the confidence of correct and wrong predictions")
    edges = confidence["edges"]
    axes = Axes((0, 1), (-1, 1))
    kinds = (("right", "correct", 1, "quiet"), ("wrong", "wrong", -1, "loud"))
    for kind, word, sign, style in kinds:
        counts = confidence[f"{kind}_counts"]
        most = max(counts) or 1
        for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True):
            left, top = axes.at(low, max(0, sign * REACH * n / most))
            end, bottom = axes.at(high, min(0, sign * REACH * n / most))
            box = {"x": left + 0.7, "y": top, "width": end - left - 1.4, "height": bottom - top}
            SubElement(svg, "rect", {**_numbers(box), "class": style})
        average = confidence[kind]["value"]
        mean = "" if average is None else f", mean confidence {average:.0%}"
        text = f"{sum(counts):,} {word}{mean}"
        _text(svg, *axes.at(0, sign * 0.9), text, f"label {style}-text", dy=4)
    _line(svg, axes.at(0, 0), axes.at(1, 0), "axis")
    for tick in (0, 0.25, 0.5, 0.75, 1):
        _text(svg, *axes.at(tick, -1), f"{tick:.0%}", "tick middle", dy=18)
    return _markup(svg)


def risk_coverage(curve: Mapping[str, Any]) -> Markup:
    """Error rate by coverage, the most confident predictions first; as in confidence-val.json."""
    coverage, risk, chance = curve["coverage"], curve["risk"], curve["chance"]
    top = max(_ticks(0, max(chance, *risk, 0.001)))
    axes = Axes((0, 1), (0, top))
    svg = _svg("error rate when only the most confident predictions are kept")
    _grid(svg, axes, (0, 0.25, 0.5, 0.75, 1), _ticks(0, top), True, across=True)
    _line(svg, axes.at(0, chance), axes.at(1, chance), "rule")
    _text(svg, *axes.at(0.01, chance), "random ranking", "label faint", dy=-5)
    SubElement(svg, "path", {"d": axes.path(coverage, risk), "class": "line strong"})
    for wanted in (0.8, 0.9):
        at = min(int(np.searchsorted(coverage, wanted)), len(coverage) - 1)
        x, y = axes.at(coverage[at], risk[at])
        _circle(svg, x, y, 4, "dot")
        _text(
            svg,
            x - 8,
            y - 4,
            f"{coverage[at]:.0%} answered: {1 - risk[at]:.1%} correct",
            "label end",
        )
    return _markup(svg)


def strengths(
    curves: Mapping[str, Mapping[str, Any]], clean: float, *, doubling: bool = False
) -> Markup:
    """Accuracy by strength, each curve with its 95% confidence band; dashed: `clean`, on unchanged images.

    `curves` by the label at their end, as in robustness.json, drawn in the order of `LINES`; with
    `doubling` the x axis is logarithmic.
    """
    along = np.log2 if doubling else np.asarray
    marks = sorted({s for curve in curves.values() for s in curve["strengths"]})
    xs = [float(along(s)) for s in (marks[0], marks[-1])]
    axes = Axes((xs[0], xs[1]), (0, 1), right=64 if len(curves) > 1 else RIGHT)
    svg = _svg(f"accuracy by {next(iter(curves.values()))['about']}")
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
    """A rate as a dot with its 95% interval, on a line from `floor` to `top`, as wide as its cell.

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
    """A count as a bar; the largest, `most`, is as wide as its cell."""
    svg = Element("svg", {"class": "interval", "aria-hidden": "true"})
    width = f"{100 * value / (most or 1):.2f}%"
    SubElement(svg, "rect", {"width": width, "height": "60%", "y": "20%", "class": "quiet"})
    return _markup(svg)


def _svg(title: str) -> Element:
    svg = Element("svg", {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "class": "chart", "role": "img"})
    SubElement(svg, "title").text = title
    return svg


def _grid(
    svg: Element,
    axes: Axes,
    xs: Iterable[float],
    ys: Iterable[float],
    percent: bool,
    across: bool = False,
) -> None:
    """Lines and labels at `ys`, labels at `xs`; as percentages if `percent` (y) and `across` (x)."""
    for y in ys:
        _line(svg, axes.at(axes.x[0], y), axes.at(axes.x[1], y), "grid")
        left, height = axes.at(axes.x[0], y)
        _text(svg, left - 6, height + 4, f"{y:.0%}" if percent else f"{y:g}", "tick end")
    for x in xs:
        _text(svg, *axes.at(x, axes.y[0]), f"{x:.0%}" if across else f"{x:g}", "tick middle", dy=16)


def _ticks(low: float, high: float) -> list[float]:
    """Round values that cover a range."""
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(round(tick, 10)) for tick in ticks]


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
