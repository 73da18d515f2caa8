"""Figures of a network's input: images from the file to the network, and each augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from seewhy.config.input_rule import InputRule
from seewhy.data import ImageSet
from seewhy.data.originals import Original
from seewhy.plots.style import GREY, VERMILION, Page, png, short

if TYPE_CHECKING:
    from seewhy.augment.preview import Ladder, Versions

LABEL, TILE, GAP, LINE, HEAD, FOOT = 1.5, 1.2, 0.1, 0.17, 0.62, 0.34  # inches
CAPTION = 8  # points
EVEN = "all amounts are equally likely"
MIXED = ", except when mixing: there 5, 25, 50, 75 and 95% of the images keep less than shown"

Tile = tuple[np.ndarray, str]  # an image, uint8 (h, w, 3), and its caption


@dataclass(frozen=True)
class _Row:
    name: str
    about: str
    tiles: Sequence[Tile]


@png
def input_sheet(
    examples: ImageSet, originals: Sequence[Original], rule: InputRule, versions: "Versions"
) -> Figure:
    """One row per image: as in its file, as evaluated, and as augmented in training.

    The frame in the original marks what evaluation sees. Below a mixed image is the share of its target
    that is its own class.
    """
    rows = []
    for number, original in enumerate(originals):
        label, shares = examples.classes[examples.labels[number]], versions.shares[number]
        mixed = [f"{share:.0%} {short(label)}" if share < 1 else "" for share in shares]
        tiles = [(original.image, ""), (versions.seen[number], "")]
        tiles += zip(versions.varied[number], mixed, strict=True)
        rows.append(_Row(label, f"{original.width}x{original.height}", tiles))
    size = rule.size
    heads = {0: "file", 1: "evaluation", 2: "training, different each time"}
    title = f"Network input: stored at {rule.store}x{rule.store} ({rule.fit}), network sees {size}x{size}"
    figure = _grid(rows, heads, title, "frame: the part that evaluation sees")
    for axes, original in zip(figure.axes[:: len(rows[0].tiles)], originals, strict=True):
        height, width = original.image.shape[:2]
        left, top, right, bottom = rule.seen(width, height)
        corner, wide, high = (left - 0.5, top - 0.5), right - left, bottom - top
        frame = Rectangle(corner, wide, high, fill=False, color=VERMILION, linewidth=1.2)
        axes.add_patch(frame).set_clip_on(False)
    return figure


@png
def ladder_sheet(seen: np.ndarray, ladders: "Sequence[Ladder]") -> Figure:
    """Each augmentation alone, over its range, on the image `seen`."""
    rows = [_Row("not augmented", "", [(seen, "")])]
    for ladder in ladders:
        tiles = list(zip(ladder.images, ladder.amounts, strict=True))
        rows.append(_Row(ladder.name, _amount(ladder.value), tiles))
    mixing = any(ladder.name in ("mixup", "cutmix") for ladder in ladders)
    return _grid(rows, {}, "Each augmentation alone, over its range", EVEN + MIXED * mixing)


def _amount(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _grid(rows: Sequence[_Row], heads: dict[int, str], title: str, foot: str) -> Figure:
    """Rows of images with a name before each, and headings above some columns."""
    columns = max(len(row.tiles) for row in rows)
    room = LINE * max(len(text.splitlines()) for row in rows for _, text in row.tiles)
    step = TILE + GAP + room
    width = LABEL + columns * (TILE + GAP)
    head = HEAD if heads else HEAD - LINE
    height = head + len(rows) * step + FOOT
    page = Page(width, height)
    write = page.text
    write(GAP, GAP, title, va="top", weight="bold", fontsize=11)
    for column, text in heads.items():
        write(LABEL + column * (TILE + GAP), head - 0.06, text, va="bottom", color=GREY, fontsize=9)
    write(GAP, height - GAP, foot, va="bottom", color=GREY, fontsize=CAPTION)
    for number, row in enumerate(rows):
        top = head + number * step
        page.fitted(GAP, top + TILE / 2, LABEL - 2 * GAP, short(row.name), 9, va="bottom")
        write(GAP, top + TILE / 2 + 0.04, row.about, va="top", color=GREY, fontsize=CAPTION)
        for column, (image, caption) in enumerate(row.tiles):
            left = LABEL + column * (TILE + GAP)
            page.image(left, top, TILE, image)
            middle, below = left + TILE / 2, top + TILE + 0.03
            for line, text in enumerate(caption.splitlines()):
                y = below + LINE * line
                page.fitted(middle, y, TILE + GAP / 2, text, CAPTION, ha="center", va="top")
    return page.figure
