"""Sheets of pictures, each with its caption: what a mistake looks like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from seewhy.analysis.labels.review import Suspect
from seewhy.analysis.labels.suspects import Shown
from seewhy.data import Rows
from seewhy.plots.style import GREY, VERMILION, png, short

Pictures = NDArray[np.uint8] | Rows

COLUMNS = 8
MOST = 64  # pictures on a sheet
WORST = 40  # of them, where they are the worst of many
PAIRS = 5  # confused pairs on a sheet
SMALL = 64  # pixels: below, pictures are shown with their pixels as they are
FONT = 8.0  # points; what is too wide for its picture is drawn smaller
SIDE, GAP, LINE, TITLE = 1.3, 0.12, 0.155, 0.24  # inches: a picture, what parts two, lines of text


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture, uint8 (H, W, 3), with up to three lines beneath: what it is, what was said, a remark."""

    picture: NDArray[np.uint8]
    true: str
    said: str = ""
    remark: str = ""

    def lines(self) -> tuple[tuple[str, str], ...]:
        """The lines with their colours."""
        return ((self.true, "black"), (self.said, VERMILION), (self.remark, GREY))


def worst_mistakes(found: Mapping[str, Any], images: Pictures) -> tuple[list[Tile], str]:
    """What `sheet` shows of the most confident mistakes; `found` as in analysis/mistakes.json.

    `images` uint8 (N, H, W, 3) are the pictures that the mistakes' rows count.
    """
    worst = found["worst"][:WORST]
    title = (
        f"The {len(worst)} most confident of {found['count']:,} mistakes: what it is, what was said"
    )
    return [_tile(mistake, images) for mistake in worst], title


def confused_pairs(found: Mapping[str, Any], images: Pictures) -> tuple[list[Tile | None], str]:
    """What `sheet` shows of the most confused pairs, each beginning a line; as `worst_mistakes`."""
    pairs = found["pairs"][:PAIRS]
    tiles: list[Tile | None] = []
    for pair in pairs:
        tiles += [_tile(mistake, images) for mistake in pair["examples"]]
        tiles += [None] * (-len(tiles) % COLUMNS)
    return tiles, f"The {len(pairs)} most frequent confusions, the most confident of each"


def draw_suspects(suspects: Sequence[Suspect], shown: Shown) -> bytes:
    """A sheet of the pictures whose labels most surely look wrong, as PNG."""
    pairs = list(zip(suspects, shown.images, strict=False))[:WORST]
    title = f"The surest {len(pairs)} of {len(suspects):,} labels that look wrong: label, what it looks like"
    tiles = [
        Tile(image, one.label, f"{one.suggested} {one.suggested_probability:.0%}")
        for one, image in pairs
    ]
    return sheet(tiles, title)


def _tile(mistake: Mapping[str, Any], images: Pictures) -> Tile:
    said = f"{mistake['predicted']} {mistake['confidence']:.0%}"
    return Tile(images[mistake["row"]], mistake["true"], said)


@png
def sheet(tiles: Sequence[Tile | None], title: str, columns: int = COLUMNS) -> Figure:
    """Pictures in rows, what each is beneath it in black, what was said in red, a remark in grey.

    None leaves a place free.
    """
    shown = tiles[:MOST]
    columns = max(4, min(columns, len(shown)))
    rows = -(-len(shown) // columns)
    lines = max((sum(bool(text) for text, _ in tile.lines()) for tile in shown if tile), default=0)
    width = columns * (SIDE + GAP) + GAP
    title = fill(title, round(10.5 * width))
    head = TITLE * (1 + title.count("\n")) + GAP
    step = SIDE + GAP + LINE * lines
    height = head + rows * step + GAP
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")
    for place, tile in enumerate(shown):
        if tile is None:
            continue
        row, column = divmod(place, columns)
        left, top = GAP + column * (SIDE + GAP), head + row * step
        box = (left / width, 1 - (top + SIDE) / height, SIDE / width, SIDE / height)
        axes = figure.add_axes(box)
        small = max(tile.picture.shape[:2]) <= SMALL
        axes.imshow(tile.picture, interpolation="nearest" if small else "antialiased")
        axes.set_axis_off()
        for number, (text, colour) in enumerate(tile.lines()):
            x, y = left + SIDE / 2, top + SIDE + 0.03 + LINE * number
            text = short(text)
            size = FONT * min(1.0, 72 * (SIDE + GAP) / (_width(text) + 1))
            figure.text(
                x / width, 1 - y / height, text, color=colour, ha="center", va="top", fontsize=size
            )
    figure.suptitle(title, y=1 - GAP / 2 / height, va="top")
    return figure


def _width(text: str) -> float:
    """How wide a caption is at full size, in points."""
    return float(TextPath((0, 0), text, size=FONT).get_extents().width) if text.strip() else 0.0
