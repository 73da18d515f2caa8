"""Figures of explanations: images with attribution maps, faithfulness tests, and what channels detect.

With every method, vermilion is evidence for a class, blue evidence against it, and paler is weaker. All
images of a method share one scale, so that they can be compared.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from PIL import Image

from seewhy.config.names import UNSIGNED_METHODS
from seewhy.evaluation.stats.intervals import Interval
from seewhy.plots.style import (
    BLUE,
    DASHED,
    GREY,
    LIGHT_BLUE,
    PALE,
    VERMILION,
    Page,
    fitting,
    name_rows,
    png,
    short,
    short_names,
)
from seewhy.text import counted, percent

if TYPE_CHECKING:
    from seewhy.attribution.channels import Channels
    from seewhy.attribution.class_averages import ClassAverages
    from seewhy.attribution.explanations import Explanations, Whole
    from seewhy.attribution.faithfulness import Faithfulness

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]

CELL, GAP = 1.5, 0.1  # inches: an image, and the gap between two
HEADER, TITLE, FOOTER = (
    0.6,
    0.5,
    0.55,
)  # inches: above the cells of an image, above and below all of them
CELLS_ACROSS = 8
IMAGES_DOWN = 4  # on one sheet
SIDE = 256  # pixels of a drawn cell
STRONGEST = 8  # channels drawn per layer
MOST_FILTERS = 96
MOST_CLASSES = 100  # of more, a part is drawn


def shared_scale(maps: Floats) -> float:
    """The absolute value drawn in full colour: the 99.5% quantile over all maps."""
    return max(float(np.quantile(np.abs(maps), 0.995)), 1e-12)


def coloured(values: Floats, scale: float, side: int = SIDE) -> Pixels:
    """A map (H, W) on white, (side, side, 3): vermilion above 0, blue below, full at `scale`."""
    strength, colour = _signed(values, scale, side)
    return _bytes(255 + strength * (colour - 255))


def overlay(image: Pixels, values: Floats, scale: float, side: int = SIDE) -> Pixels:
    """A map (H, W) over its image (H, W, 3) in pale grey, (side, side, 3); colours as in `coloured`."""
    strength, colour = _signed(values, scale, side)
    grey = np.asarray(_enlarged(image, side).convert("L"), np.float32)[..., None]
    paler = 255 - 0.8 * (255 - grey)
    return _bytes(paler + 0.8 * strength * (colour - paler))


def transparent(values: Floats, scale: float) -> Pixels:
    """A map (H, W) to lay over its image, RGBA (H, W, 4): colours as in `coloured`, 0 is transparent."""
    strength, colour = _signed(values, scale, len(values))
    return _bytes(np.concatenate([colour, 255 * strength], axis=2))


def sheets(explanations: "Explanations") -> list[list[int]]:
    """The rows of the images on each sheet."""
    most = _across(len(explanations.maps)) * IMAGES_DOWN
    rows = list(range(len(explanations)))
    return [rows[start : start + most] for start in range(0, len(rows), most)]


@png
def explanation_sheet(explanations: "Explanations", rows: Sequence[int]) -> Figure:
    """Images with the map of every method, over the image and alone, and the top predictions.

    A map that failed a faithfulness test has a frame and names the test. The scale is that of all images. If
    the network does not see a whole image, what it sees is framed and the rest is paler.
    """
    methods = list(explanations.maps)
    across = min(_across(len(methods)), len(rows))
    down = -(-len(rows) // across)
    width = (1 + len(methods)) * (CELL + GAP) + 2 * GAP
    height = HEADER + 2 * (CELL + GAP) + GAP
    page = Page(max(across * width + GAP, 4.6), TITLE + down * height + FOOTER)
    scales = {name: shared_scale(maps) for name, maps in explanations.maps.items()}
    for place, row in enumerate(rows):
        left = GAP + place % across * width
        top = TITLE + place // across * height
        _header(page, explanations, row, left, top)
        top += HEADER
        image = explanations.images[row]
        if row in explanations.wholes:
            _show_whole(page.axes(left, top, CELL, CELL), explanations.wholes[row])
        else:
            _show(page.axes(left, top, CELL, CELL), np.asarray(_enlarged(image, SIDE)))
        _answers(page.axes(left, top + CELL + GAP, CELL, CELL), explanations, row)
        for column, name in enumerate(methods, 1):
            at = left + column * (CELL + GAP)
            checks = explanations.checks.get(name)
            unreliable = checks.verdict(row) if checks and checks.faults(row) else ""
            values, scale = explanations.maps[name][row], scales[name]
            page.text(at, top - 0.05, name, fontsize=8, color=GREY)
            drawn = overlay(image, values, scale), coloured(values, scale)
            for line, pixels in enumerate(drawn):
                axes = page.axes(at, top + line * (CELL + GAP), CELL, CELL)
                _show(axes, pixels, VERMILION if unreliable else PALE)
            if unreliable:
                _stamp(axes, unreliable)
    count = counted(len(explanations), "image")
    page.text(GAP, 0.33, f"Attribution maps of {count}", **_BOLD)
    notes = ["blue frame: what the network sees"] if explanations.wholes else []
    _legend(page, "for the class; one scale per method", methods, notes)
    return page.figure


@png
def faithfulness_curves(checks: "Mapping[str, Faithfulness]") -> Figure:
    """Deletion and insertion curves of the maps, and of the same maps moved to other places.

    Means over all images, one panel per method. Lower is better for deletion, higher for insertion.
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
        axes.legend(loc="upper left", fontsize=7.5, handlelength=1.2)
        correlation = check.randomised.mean()
        shuffled = f"shuffled weights: {correlation:+.2f}".replace("-0.00", "0.00")
        if np.isnan(correlation):  # no weights are known
            shuffled = "shuffled weights: not tested"
        title = f"{name}: {check.reliable.sum()} of {len(check)} reliable"
        axes.set_title(f"{title}\n{shuffled}")
        axes.set(xlim=(0, 1), ylim=(0, 1.25), yticks=np.linspace(0, 1, 6))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    figure.supxlabel("share of the pixels, highest attribution first", fontsize=9)
    figure.supylabel("probability of the class", fontsize=9)
    figure.suptitle(
        "Faithfulness tests: are the marked pixels those that matter?\n"
        "Area under each curve, and the mean of 8 moved copies (dashed)"
    )
    return figure


@png
def layer_maps(image: Pixels, layers: Mapping[str, Floats]) -> Figure:
    """The activations of each layer for one image: its most active channels, of (C, h, w)."""
    cell = 0.95
    page = Page(1.9 + STRONGEST * (cell + GAP), TITLE + len(layers) * (cell + GAP) + GAP)
    _show(page.axes(GAP, GAP / 2, 0.5, 0.5), np.asarray(_enlarged(image, SIDE)))
    page.text(0.75, 0.33, f"The {STRONGEST} most active channels of each layer", **_BOLD)
    for line, (name, maps) in enumerate(layers.items()):
        top = TITLE + line * (cell + GAP)
        count, height, width = maps.shape
        page.text(GAP, top + 0.4, short(name), fontsize=9)
        page.text(
            GAP, top + 0.62, f"{counted(count, 'map')} of {height}x{width}", fontsize=8, color=GREY
        )
        strongest = np.abs(maps).mean((1, 2)).argsort()[::-1][:STRONGEST]
        scale = shared_scale(maps[strongest])
        for column, channel in enumerate(strongest):
            axes = page.axes(1.7 + column * (cell + GAP), top, cell, cell)
            _show(axes, coloured(maps[channel], scale))
    return page.figure


@png
def filters(kernels: Floats) -> Figure:
    """The kernels (C, 3, k, k) of a network's first layer, in colour; grey is 0."""
    shown = kernels[:MOST_FILTERS]
    scale = float(np.abs(shown).max()) or 1.0
    across = min(12, len(shown))
    cell, down = 0.62, -(-len(shown) // across)
    page = Page(max(across * (cell + GAP) + GAP, 5), TITLE + down * (cell + GAP))
    side = "x".join(map(str, kernels.shape[2:]))
    page.text(GAP, 0.33, f"{counted(len(kernels), 'first-layer filter')} of {side} pixels", **_BOLD)
    for number, kernel in enumerate(shown):
        left = GAP + number % across * (cell + GAP)
        axes = page.axes(left, TITLE + number // across * (cell + GAP), cell, cell)
        _show(axes, _bytes(127.5 + 127.5 / scale * kernel.transpose(1, 2, 0)))
    return page.figure


@png
def channel_sheet(channels: "Channels", images: Pixels, rows: int = STRONGEST) -> Figure:
    """The channels whose removal costs most, the cost, and the images that activate them most.

    `images` (N, H, W, 3) are those that the channels were measured on; a ring marks where the activation
    is largest.
    """
    best = channels.by_importance()[:rows]
    count = channels.exciting.shape[1]
    cell, left = 0.95, 3.4
    height = TITLE + 0.3 + len(best) * (cell + GAP)
    page = Page(left + count * (cell + GAP) + GAP, height + 0.5)
    page.text(GAP, 0.33, "The most important channels, and what activates them", **_BOLD)
    page.text(left, TITLE + 0.2, "ring: largest activation", fontsize=8, color=GREY)
    drops = page.axes(0.95, TITLE + 0.3, left - 1.25, len(best) * (cell + GAP) - GAP)
    _drops(drops, [channels.logit_drop[c] for c in best], [channels.accuracy_drop[c] for c in best])
    name_rows(drops, [f"channel {c}" for c in best], (len(best) - 0.4, -0.5), 8)
    for line, channel in enumerate(best):
        for column, row in enumerate(channels.exciting[channel]):
            top = TITLE + 0.3 + line * (cell + GAP)
            axes = page.axes(left + column * (cell + GAP), top, cell, cell)
            _show(axes, np.asarray(_enlarged(images[row], SIDE)))
            y, x = SIDE * channels.peaks[channel, column]
            for colour, thickness in (("white", 3.0), (VERMILION, 1.5)):
                ring = Circle((x, y), SIDE / 9, fill=False, color=colour, linewidth=thickness)
                axes.add_patch(ring)
    return page.figure


@png
def class_average_sheet(averages: "ClassAverages") -> Figure:
    """The mean map of each class on one scale; vermilion where the evidence is near the border.

    Of more than 100 classes, the 100 with the largest share of it there are drawn.
    """
    places = np.argsort(-np.nan_to_num(averages.border, nan=-1), kind="stable")[:MOST_CLASSES]
    places.sort()
    classes = [averages.classes[place] for place in places]
    across = min(5, len(classes))
    width, height = CELL + 0.35, CELL + 0.55
    down = -(-len(classes) // across)
    page = Page(max(across * width + GAP, 7), TITLE + 0.3 + down * height + FOOTER)
    part = f": the {len(classes)} with most of it at the border" * (
        len(classes) < len(averages.maps)
    )
    page.text(GAP, 0.33, f"Mean attribution map of each class{part}", **_BOLD)
    about = f"share of the attribution in the outer eighth; if uniform: {averages.even_border:.0%}"
    page.text(GAP, 0.6, about, fontsize=9, color=GREY)
    scale = shared_scale(averages.maps)
    for number, (place, name) in enumerate(zip(places, short_names(classes), strict=True)):
        left = GAP + number % across * width
        top = TITLE + 0.3 + number // across * height
        border, count = averages.border[place], averages.counts[place]
        outside = border > averages.even_border
        share = "nothing for the class" if np.isnan(border) else f"{border:.0%}"
        about = f"{counted(count, 'image')}, {share}" if count else "no images"
        page.fitted(left, top + 0.15, CELL + 0.25, name, fontsize=9, weight="bold")
        page.text(left, top + 0.33, about, fontsize=8, color=VERMILION if outside else GREY)
        axes = page.axes(left, top + 0.4, CELL, CELL)
        _show(axes, coloured(averages.maps[place], scale), VERMILION if outside else PALE)
    sizes = [] if averages.signed else ["size of the maps: how much it matters, never against"]
    _legend(page, "for the class", notes=sizes)
    return page.figure


_BOLD: dict[str, Any] = {"fontsize": 11, "weight": "bold"}


def _across(methods: int) -> int:
    return max(1, CELLS_ACROSS // (1 + methods))


def _enlarged(image: Pixels | Floats, side: int) -> Image.Image:
    return Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)


def _signed(values: Floats, scale: float, side: int) -> tuple[Floats, Floats]:
    """The strength of a map in [0, 1] and its colour, both (side, side, ...)."""
    smooth = _enlarged(values.astype(np.float32), side)
    scaled = np.clip(np.asarray(smooth) / scale, -1, 1)[..., None]
    colours = 255 * np.array([to_rgb(BLUE), to_rgb(VERMILION)], np.float32)
    return np.abs(scaled), np.where(scaled < 0, colours[0], colours[1])


def _bytes(pixels: Floats) -> Pixels:
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def _show(axes: Axes, image: Pixels, frame: str = PALE) -> None:
    axes.imshow(image, interpolation="nearest" if image.shape[0] < SIDE else None)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(visible=True, color=frame, linewidth=1.5 if frame == VERMILION else 0.6)


def _show_whole(axes: Axes, whole: "Whole") -> None:
    """A whole image, with a frame round the part that the network sees and the rest paler."""
    height, width = whole.image.shape[:2]
    left, top, right, bottom = whole.seen
    side = max(width, height)
    y, x = np.mgrid[:height, :width] + 0.5
    inside = (left <= x) & (x < right) & (top <= y) & (y < bottom)
    shown = np.where(inside[..., None], whole.image, 255 - 0.35 * (255.0 - whole.image))
    axes.imshow(_bytes(shown), extent=(0, width, height, 0))
    middle = ((width - side) / 2, (height - side) / 2)
    axes.set(xlim=(middle[0], middle[0] + side), ylim=(middle[1] + side, middle[1]))
    frame = Rectangle(
        (left, top), right - left, bottom - top, fill=False, color=BLUE, linewidth=1.2
    )
    axes.add_patch(frame).set_clip_on(False)
    axes.axis("off")


def _header(page: Page, explanations: "Explanations", row: int, left: float, top: float) -> None:
    """The prediction and the label, then the file name, no wider than the cells of the image."""
    (name, probability), label = explanations.top(row)[0], explanations.label(row)
    wrong = label is not None and label != name
    answer = f"{short(name)}, {percent(probability)}"
    if label is not None:
        answer += f": wrong, label {short(label)}" if wrong else ": correct"
    about = short(PurePath(str(explanations.predictions.ids[row])).name)
    target, share = explanations.target(row)
    if target != name:
        about += f"; explained: {short(target)}, {percent(share)}"
    room = (1 + len(explanations.maps)) * (CELL + GAP) - GAP
    colour = VERMILION if wrong else "black"
    page.fitted(left, top + 0.2, room, answer, 9.5, weight="bold", color=colour)
    page.fitted(left, top + 0.38, room, about, 8, color=GREY)


def _answers(axes: Axes, explanations: "Explanations", row: int) -> None:
    """The most probable classes as bars, the explained one dark, and also if it is not among them."""
    target, label = explanations.target(row), explanations.label(row)
    shown = explanations.top(row)
    shown += [target] if target not in shown else []
    texts = [short(name) + (" ✓" if name == label else "") for name, _ in shown]
    size = min(fitting(CELL - 0.4, text, 8) for text in texts)  # beside the percentage
    for line, (name, probability) in enumerate(shown):
        colour = BLUE if name == target[0] else LIGHT_BLUE
        axes.barh(line + 0.2, 1, height=0.26, color=PALE)
        axes.barh(line + 0.2, probability, height=0.26, color=colour)
        axes.text(0, line - 0.06, texts[line], fontsize=size, va="bottom")
        axes.text(1, line - 0.06, percent(probability), fontsize=8, va="bottom", ha="right")
    axes.set(xlim=(0, 1), ylim=(max(2.6, len(shown) - 0.4), -0.55))
    axes.axis("off")


def _stamp(axes: Axes, text: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
    how: dict[str, Any] = {"fontsize": 6.5, "color": VERMILION, "weight": "bold", "bbox": box}
    axes.text(0.5, 0.03, text, transform=axes.transAxes, ha="center", va="bottom", **how)


def _legend(page: Page, text: str, methods: Sequence[str] = (), notes: Sequence[str] = ()) -> None:
    """The meaning of the colours, at the bottom of the page."""
    low = page.height - 0.28
    axes = page.axes(GAP + 0.55, low, 1.6, 0.12)
    ramp = np.tile(np.linspace(-1, 1, SIDE, dtype=np.float32), (SIDE, 1))
    axes.imshow(coloured(ramp, 1.0), aspect="auto")
    axes.axis("off")
    page.text(GAP, low + 0.11, "against", fontsize=8, color=GREY)
    page.text(GAP + 2.22, low + 0.11, text, fontsize=8, color=GREY)
    unsigned = [name for name in methods if name in UNSIGNED_METHODS]
    if unsigned:
        signed = "vermilion = brighter pixels favour the class, blue = darker"
        notes = [*notes, f"{', '.join(unsigned)}: {signed}"]
    page.fitted(GAP, low - 0.08, page.width - 2 * GAP, "; ".join(notes), 8, color=GREY)


def _drops(axes: Axes, logits: Sequence[Interval], accuracies: Sequence[Interval]) -> None:
    """Drops of the logit as bars with their intervals, changes of the accuracy as text below."""
    for line, (logit, accuracy) in enumerate(zip(logits, accuracies, strict=True)):
        axes.barh(line, logit.value, height=0.3, color=LIGHT_BLUE)
        axes.plot((logit.low, logit.high), (line, line), color=BLUE, linewidth=2.2)
        value, low, high = (0.0 - bound for bound in (accuracy.value, accuracy.high, accuracy.low))
        change = f"accuracy {value:+.1%}\n({low:+.1%} to {high:+.1%})"
        axes.text(0, line + 0.22, change, fontsize=6.5, color=GREY, va="top")
    axes.set_xlim(left=min(0, *(logit.low for logit in logits)))
    axes.tick_params(axis="x", labelsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("drop of the true class's logit, with 95% CI", fontsize=7.5)
