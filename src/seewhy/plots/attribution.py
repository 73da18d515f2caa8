"""Drawings of explanations: pictures with their maps, the tests of these, and what the channels see.

Vermilion speaks for a class and blue against it, whatever the method, and paler is less. One scale
serves all pictures of a method, so that they can be compared.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from PIL import Image

from seewhy.config.names import UNSIGNED_METHODS
from seewhy.evaluation.stats.intervals import Interval
from seewhy.plots.style import BLUE, DASHED, GREY, LIGHT_BLUE, PALE, VERMILION, png, short

if TYPE_CHECKING:
    from seewhy.attribution.channels import Channels
    from seewhy.attribution.class_averages import ClassAverages
    from seewhy.attribution.explanations import Explanations
    from seewhy.attribution.faithfulness import Faithfulness

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]

CELL, GAP = 1.5, 0.1  # inches: a picture, and the room between two
HEADER, TITLE, FOOTER = 0.6, 0.5, 0.55  # inches: above a picture's cells, above and below them all
CELLS_ACROSS = 8
PICTURES_DOWN = 4  # on one sheet
SIDE = 256  # pixels of a drawn cell
STRONGEST = 8  # channels drawn of a layer
MOST_FILTERS = 96


def shared_scale(maps: Floats) -> float:
    """The size that is drawn in full colour: only one value in 200 of all maps is larger."""
    return max(float(np.quantile(np.abs(maps), 0.995)), 1e-12)


def coloured(values: Floats, scale: float, side: int = SIDE) -> Pixels:
    """A map (H, W) on white, (side, side, 3): vermilion above 0, blue below, full at `scale`."""
    strength, colour = _signed(values, scale, side)
    return _bytes(255 + strength * (colour - 255))


def overlay(image: Pixels, values: Floats, scale: float, side: int = SIDE) -> Pixels:
    """A map (H, W) over its picture (H, W, 3) in pale grey, (side, side, 3); colours as `coloured`."""
    strength, colour = _signed(values, scale, side)
    grey = np.asarray(_enlarged(image, side).convert("L"), np.float32)[..., None]
    paler = 255 - 0.8 * (255 - grey)
    return _bytes(paler + 0.8 * strength * (colour - paler))


def sheets(found: "Explanations") -> list[list[int]]:
    """Which pictures go on which sheet."""
    most = _across(len(found.maps)) * PICTURES_DOWN
    rows = list(range(len(found)))
    return [rows[start : start + most] for start in range(0, len(rows), most)]


@png
def explanation_sheet(found: "Explanations", rows: Sequence[int]) -> Figure:
    """Some pictures, each with the map of every method, over the picture and alone, and the answers.

    A map that failed a test is framed and says which. The scale is that of all pictures.
    """
    methods = list(found.maps)
    across = min(_across(len(methods)), len(rows))
    down = -(-len(rows) // across)
    width = (1 + len(methods)) * (CELL + GAP) + 2 * GAP
    height = HEADER + 2 * (CELL + GAP) + GAP
    page = _Page(max(across * width + GAP, 6.5), TITLE + down * height + FOOTER)
    scales = {name: shared_scale(maps) for name, maps in found.maps.items()}
    for place, row in enumerate(rows):
        left = GAP + place % across * width
        top = TITLE + place // across * height
        _header(page, found, row, left, top)
        top += HEADER
        _show(page.axes(left, top, CELL, CELL), np.asarray(_enlarged(found.images[row], SIDE)))
        _answers(page.axes(left, top + CELL + GAP, CELL, CELL), found, row)
        for column, name in enumerate(methods, 1):
            at = left + column * (CELL + GAP)
            faults = found.checks[name].faults(row) if name in found.checks else ()
            values, scale = found.maps[name][row], scales[name]
            page.text(at, top - 0.05, name, fontsize=8, color=GREY)
            pictures = overlay(found.images[row], values, scale), coloured(values, scale)
            for line, picture in enumerate(pictures):
                axes = page.axes(at, top + line * (CELL + GAP), CELL, CELL)
                _show(axes, picture, VERMILION if faults else PALE)
            if faults:
                _stamp(axes, faults)
    count = f"{len(found)} picture{'s' * (len(found) > 1)}"
    page.text(GAP, 0.33, f"What speaks for the class in {count}", **_BOLD)
    _legend(page, "for the class; one scale a method", methods)
    return page.figure


@png
def faithfulness_curves(checks: "Mapping[str, Faithfulness]") -> Figure:
    """How the class's probability falls and rises with what the maps mark, against the maps moved.

    Means over all pictures, one panel a method. Deletion is better low, insertion high.
    """
    across = min(4, len(checks))
    down = -(-len(checks) // across)
    figure = Figure(figsize=(max(3.1 * across, 5.6) + 0.4, 2.9 * down + 1.1))
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    share = np.linspace(0, 1, next(iter(checks.values())).deletion.shape[1])
    for axes in panels.flat[len(checks) :]:
        axes.set_visible(False)
    for axes, (name, check) in zip(panels.flat, checks.items(), strict=False):
        for kind, colour in (("deletion", VERMILION), ("insertion", BLUE)):
            own, random = getattr(check, kind), getattr(check, f"random_{kind}")
            means = [check.areas[name].mean() for name in (kind, f"random_{kind}")]
            label = "{}  {:.2f}, moved {:.2f}".format(kind, *means)
            axes.plot(share, own.mean(0), color=colour, label=label)
            axes.plot(share, random.mean(0), **{**DASHED, "color": colour})
        axes.set_title(f"{name}: {check.reliable.sum()} of {len(check)} reliable")
        axes.legend(loc="upper left", fontsize=7.5, handlelength=1.2)
        axes.text(
            0.97,
            0.03,
            f"shuffled weights {check.randomised.mean():+.2f}".replace("-0.00", "0.00"),
            transform=axes.transAxes,
            ha="right",
            color=GREY,
            fontsize=7.5,
        )
        axes.set(xlim=(0, 1), ylim=(0, 1.25), yticks=np.linspace(0, 1, 6))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    figure.supxlabel("share of the pixels, those first that the map marks most", fontsize=9)
    figure.supylabel("probability of the class", fontsize=9)
    figure.suptitle(
        "Do the maps tell what matters?\nThe area under each curve, and under the moved map's (dashed)"
    )
    return figure


@png
def layer_maps(image: Pixels, layers: Mapping[str, Floats]) -> Figure:
    """What the parts of a network make of one picture: the channels (C, h, w) that answer most."""
    cell = 0.95
    page = _Page(1.9 + STRONGEST * (cell + GAP), TITLE + len(layers) * (cell + GAP) + GAP)
    _show(page.axes(GAP, GAP / 2, 0.5, 0.5), np.asarray(_enlarged(image, SIDE)))
    page.text(0.75, 0.33, f"The {STRONGEST} channels of each layer that answer most", **_BOLD)
    for line, (name, maps) in enumerate(layers.items()):
        top = TITLE + line * (cell + GAP)
        count, height, width = maps.shape
        page.text(GAP, top + 0.4, short(name), fontsize=9)
        page.text(GAP, top + 0.62, f"{count} of {height}x{width}", fontsize=8, color=GREY)
        strongest = np.abs(maps).mean((1, 2)).argsort()[::-1][:STRONGEST]
        scale = shared_scale(maps[strongest])
        for column, channel in enumerate(strongest):
            axes = page.axes(1.7 + column * (cell + GAP), top, cell, cell)
            _show(axes, coloured(maps[channel], scale))
    return page.figure


@png
def filters(kernels: Floats) -> Figure:
    """The kernels (C, 3, k, k) that a network lays on the pixels, in colour; grey is 0."""
    shown = kernels[:MOST_FILTERS]
    scale = float(np.abs(shown).max()) or 1.0
    across = min(12, len(shown))
    cell, down = 0.62, -(-len(shown) // across)
    page = _Page(max(across * (cell + GAP) + GAP, 5), TITLE + down * (cell + GAP))
    side = "x".join(map(str, kernels.shape[2:]))
    page.text(GAP, 0.33, f"{len(kernels)} first-layer filters of {side} pixels", **_BOLD)
    for number, kernel in enumerate(shown):
        left = GAP + number % across * (cell + GAP)
        axes = page.axes(left, TITLE + number // across * (cell + GAP), cell, cell)
        _show(axes, _bytes(127.5 + 127.5 / scale * kernel.transpose(1, 2, 0)))
    return page.figure


@png
def channel_sheet(found: "Channels", images: Pixels, rows: int = STRONGEST) -> Figure:
    """The channels whose loss costs most, how much, and the pictures that excite them most.

    `images` (N, H, W, 3) are those that the channels were measured on; a ring is where the channel
    is largest.
    """
    best = found.by_importance()[:rows]
    count = found.exciting.shape[1]
    cell, left = 0.95, 3.4
    height = TITLE + 0.3 + len(best) * (cell + GAP)
    page = _Page(left + count * (cell + GAP) + GAP, height + 0.5)
    page.text(GAP, 0.33, "The channels that matter most, and what excites them", **_BOLD)
    page.text(left, TITLE + 0.2, "largest here, ringed", fontsize=8, color=GREY)
    drops = page.axes(0.95, TITLE + 0.3, left - 1.25, len(best) * (cell + GAP) - GAP)
    _drops(drops, [found.logit_drop[c] for c in best], [found.accuracy_drop[c] for c in best])
    drops.set_yticks(range(len(best)), [f"channel {c}" for c in best], fontsize=8)
    for line, channel in enumerate(best):
        for column, row in enumerate(found.exciting[channel]):
            top = TITLE + 0.3 + line * (cell + GAP)
            axes = page.axes(left + column * (cell + GAP), top, cell, cell)
            _show(axes, np.asarray(_enlarged(images[row], SIDE)))
            y, x = SIDE * found.peaks[channel, column]
            for colour, thickness in (("white", 3.0), (VERMILION, 1.5)):
                ring = Circle((x, y), SIDE / 9, fill=False, color=colour, linewidth=thickness)
                axes.add_patch(ring)
    return page.figure


@png
def class_average_sheet(found: "ClassAverages") -> Figure:
    """The mean map of each class on one scale; in vermilion, where the evidence is at the border."""
    classes = found.classes
    across = min(5, len(classes))
    width, height = CELL + 0.35, CELL + 0.55
    down = -(-len(classes) // across)
    page = _Page(max(across * width + GAP, 7), TITLE + 0.3 + down * height + FOOTER)
    page.text(GAP, 0.33, "Where the evidence for each class lies, on average", **_BOLD)
    page.text(
        GAP,
        0.6,
        f"share of it in the outer eighth; evenly spread: {found.even_border:.0%}",
        fontsize=9,
        color=GREY,
    )
    scale = shared_scale(found.maps)
    for place, name in enumerate(classes):
        left = GAP + place % across * width
        top = TITLE + 0.3 + place // across * height
        border, count = found.border[place], found.counts[place]
        outside = border > found.even_border
        said = f"{count:,} pictures, {border:.0%}" if count else "no pictures"
        page.text(left, top + 0.15, short(name), fontsize=9, weight="bold")
        page.text(left, top + 0.33, said, fontsize=8, color=VERMILION if outside else GREY)
        axes = page.axes(left, top + 0.4, CELL, CELL)
        _show(axes, coloured(found.maps[place], scale), VERMILION if outside else PALE)
    _legend(page, "for the class")
    return page.figure


_BOLD: dict[str, Any] = {"fontsize": 11, "weight": "bold"}


class _Page:
    """A figure on which things are placed in inches from the top left."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        self.figure.set_layout_engine("none")
        self.width, self.height = width, height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def text(self, left: float, baseline: float, said: str, **how: Any) -> None:
        x, y = left / self.width, 1 - baseline / self.height
        self.figure.text(x, y, said, va="baseline", **how)


def _across(methods: int) -> int:
    return max(1, CELLS_ACROSS // (1 + methods))


def _enlarged(image: Pixels, side: int) -> Image.Image:
    return Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)


def _signed(values: Floats, scale: float, side: int) -> tuple[Floats, Floats]:
    """How strong a map is, in [0, 1], and in which colour, both (side, side, ...)."""
    smooth = Image.fromarray(values.astype(np.float32)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    scaled = np.clip(np.asarray(smooth) / scale, -1, 1)[..., None]
    colours = 255 * np.array([to_rgb(BLUE), to_rgb(VERMILION)], np.float32)
    return np.abs(scaled), np.where(scaled < 0, colours[0], colours[1])


def _bytes(pixels: Floats) -> Pixels:
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def _show(axes: Axes, picture: Pixels, frame: str = PALE) -> None:
    axes.imshow(picture, interpolation="nearest" if picture.shape[0] < SIDE else None)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(visible=True, color=frame, linewidth=1.5 if frame == VERMILION else 0.6)


def _header(page: _Page, found: "Explanations", row: int, left: float, top: float) -> None:
    """What was answered and what is true, then the file's name, in the width of the picture's cells."""
    (name, probability), label = found.top(row)[0], found.label(row)
    wrong = label is not None and label != name
    said = f"{short(name)}, {probability:.0%}"
    if label is not None:
        said += f": wrong, is {short(label)}" if wrong else ": right"
    about = short(PurePath(str(found.predictions.ids[row])).name)
    target = found.predictions.classes[found.targets[row]]
    if target != name:
        about += f"; explained: {short(target)}"
    room = 72 * (1 + len(found.maps)) * (CELL + GAP)  # points
    colour = VERMILION if wrong else "black"
    size = min(9.5, room / (0.8 * len(said)))  # no letter is wider than its height by much
    page.text(left, top + 0.2, said, fontsize=size, weight="bold", color=colour)
    page.text(left, top + 0.38, about, fontsize=min(8, room / (0.75 * len(about))), color=GREY)


def _answers(axes: Axes, found: "Explanations", row: int) -> None:
    """The most probable classes as bars, the explained one in dark."""
    target, label = found.predictions.classes[found.targets[row]], found.label(row)
    for line, (name, probability) in enumerate(found.top(row)):
        colour = BLUE if name == target else LIGHT_BLUE
        axes.barh(line + 0.2, 1, height=0.26, color=PALE)
        axes.barh(line + 0.2, probability, height=0.26, color=colour)
        said = short(name) + (" ✓" if name == label else "")
        axes.text(0, line - 0.06, said, fontsize=min(8, 100 / len(said)), va="bottom")
        axes.text(1, line - 0.06, f"{probability:.0%}", fontsize=8, va="bottom", ha="right")
    axes.set(xlim=(0, 1), ylim=(2.6, -0.55))
    axes.axis("off")


def _stamp(axes: Axes, faults: Sequence[str]) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
    axes.text(
        0.5,
        0.03,
        f"unreliable: {', '.join(faults)}",
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        bbox=box,
        fontsize=6.5,
        color=VERMILION,
        weight="bold",
    )


def _legend(page: _Page, said: str, methods: Sequence[str] = ()) -> None:
    """What the colours mean, at the foot of the page."""
    low = page.height - 0.28
    axes = page.axes(GAP + 0.55, low, 1.6, 0.12)
    ramp = np.tile(np.linspace(-1, 1, SIDE, dtype=np.float32), (SIDE, 1))
    axes.imshow(coloured(ramp, 1.0), aspect="auto")
    axes.axis("off")
    page.text(GAP, low + 0.11, "against", fontsize=8, color=GREY)
    page.text(GAP + 2.22, low + 0.11, said, fontsize=8, color=GREY)
    signs = [name for name in methods if name in UNSIGNED_METHODS]
    if signs:
        note = f"{', '.join(signs)}: vermilion where brighter, blue where darker would speak for it"
        page.text(GAP, low - 0.08, note, fontsize=8, color=GREY)


def _drops(axes: Axes, logits: Sequence[Interval], accuracies: Sequence[Interval]) -> None:
    for line, (logit, accuracy) in enumerate(zip(logits, accuracies, strict=True)):
        axes.barh(line, logit.value, height=0.3, color=LIGHT_BLUE)
        axes.plot((logit.low, logit.high), (line, line), color=BLUE, linewidth=2.2)
        value, low, high = (0.0 - bound for bound in (accuracy.value, accuracy.high, accuracy.low))
        said = f"accuracy {value:+.1%}\n({low:+.1%} to {high:+.1%})"
        axes.text(0, line + 0.22, said, fontsize=6.5, color=GREY, va="top")
    axes.set_ylim(len(logits) - 0.4, -0.5)
    axes.set_xlim(left=min(0, *(logit.low for logit in logits)))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("lost of the true class's logit, with its 95% interval", fontsize=7.5)
