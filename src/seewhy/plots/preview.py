"""Drawings of what a network gets to see: pictures from the file to the input, and each augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from seewhy.data import ImageSet, InputRule
from seewhy.data.originals import Original
from seewhy.plots.sheets import SMALL
from seewhy.plots.style import GREY, VERMILION, png, short

if TYPE_CHECKING:
    from seewhy.augment.preview import Ladder, Versions

LABEL, TILE, GAP, LINE, HEAD, FOOT = 1.5, 1.2, 0.1, 0.17, 0.62, 0.34  # inches
CAPTION = 8  # points
EVEN = "all amounts are equally likely"
MIXED = ", but in mixing: there 5, 25, 50, 75 and 95% of the pictures keep less than is shown"

Tile = tuple[np.ndarray, str]  # a picture, uint8 (h, w, 3), and what is said below it


@dataclass(frozen=True)
class _Row:
    name: str
    about: str
    tiles: Sequence[Tile]


@png
def input_sheet(
    examples: ImageSet, originals: Sequence[Original], rule: InputRule, versions: "Versions"
) -> Figure:
    """Each picture as its file has it, as it is evaluated, and as training varies it, in a row.

    The frame in the originals is what evaluation sees. Below a mixed picture is how much of its target
    is its own class.
    """
    rows = []
    for number, original in enumerate(originals):
        label, shares = examples.classes[examples.labels[number]], versions.shares[number]
        mixed = [f"{share:.0%} {short(label)}" if share < 1 else "" for share in shares]
        tiles = [(original.image, ""), (versions.seen[number], "")]
        tiles += zip(versions.varied[number], mixed, strict=True)
        rows.append(_Row(label, f"{original.width}x{original.height}", tiles))
    size = rule.size
    heads = {0: "the file", 1: "evaluation", 2: "training, drawn anew each time"}
    title = f"What the network sees: stored at {rule.store}x{rule.store}, seen at {size}x{size}"
    figure = _grid(rows, heads, title, "framed: what evaluation sees of it")
    for axes, original in zip(figure.axes[:: len(rows[0].tiles)], originals, strict=True):
        height, width = original.image.shape[:2]
        side = min(height, width) * rule.size / rule.store
        corner = ((width - side) / 2 - 0.5, (height - side) / 2 - 0.5)
        frame = Rectangle(corner, side, side, fill=False, color=VERMILION, linewidth=1.2)
        axes.add_patch(frame).set_clip_on(False)
    return figure


@png
def ladder_sheet(seen: np.ndarray, ladders: "Sequence[Ladder]") -> Figure:
    """Each augmentation alone, from one end of its range to the other, on the picture `seen`."""
    rows = [
        _Row(
            ladder.name,
            f"{ladder.value:g}",
            list(zip(ladder.pictures, ladder.amounts, strict=True)),
        )
        for ladder in ladders
    ]
    rows.insert(0, _Row("not varied", "", [(seen, "")]))
    mixing = any(ladder.name in ("mixup", "cutmix") for ladder in ladders)
    foot = EVEN + MIXED * mixing
    return _grid(rows, {}, "Each augmentation alone, through its range", foot)


def _grid(rows: Sequence[_Row], heads: dict[int, str], title: str, foot: str) -> Figure:
    """Rows of pictures with a name before each, and heads above some columns."""
    columns = max(len(row.tiles) for row in rows)
    caption = LINE * any(said for row in rows for _, said in row.tiles)
    step = TILE + GAP + caption
    width = LABEL + columns * (TILE + GAP)
    head = HEAD if heads else HEAD - LINE
    height = head + len(rows) * step + FOOT
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")

    def write(x: float, y: float, text: str, **how: Any) -> None:
        figure.text(x / width, 1 - y / height, text, **how)

    write(GAP, GAP, title, va="top", weight="bold", fontsize=11)
    for column, text in heads.items():
        write(LABEL + column * (TILE + GAP), head - 0.06, text, va="bottom", color=GREY, fontsize=9)
    write(GAP, height - GAP, foot, va="bottom", color=GREY, fontsize=CAPTION)
    for number, row in enumerate(rows):
        top = head + number * step
        write(GAP, top + TILE / 2, short(row.name), va="bottom", fontsize=9)
        write(GAP, top + TILE / 2 + 0.04, row.about, va="top", color=GREY, fontsize=CAPTION)
        for column, (picture, said) in enumerate(row.tiles):
            left = LABEL + column * (TILE + GAP)
            box = (left / width, 1 - (top + TILE) / height, TILE / width, TILE / height)
            axes = figure.add_axes(box)
            small = max(picture.shape[:2]) <= SMALL
            axes.imshow(picture, interpolation="nearest" if small else "antialiased")
            axes.set_axis_off()
            middle = left + TILE / 2
            write(middle, top + TILE + 0.03, said, ha="center", va="top", fontsize=CAPTION)
    return figure
