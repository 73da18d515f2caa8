"""Sheets of images with captions: mistakes, confused pairs, suspected labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from seewhy.analysis.labels.review import Suspect
from seewhy.analysis.labels.suspects import Shown
from seewhy.analysis.mistakes import Mistake, Mistakes
from seewhy.data import Rows
from seewhy.plots.style import GREY, VERMILION, Page, png, short
from seewhy.text import counted

Pixels = NDArray[np.uint8] | Rows

COLUMNS = 8
MOST = 64  # images on a sheet
WORST = 40  # images on a sheet of the most confident mistakes or suspects
PAIRS = 5  # confused pairs on a sheet
FONT = 8.0  # points; a caption wider than its image is drawn smaller
SIDE, GAP, LINE, TITLE = (
    1.3,
    0.12,
    0.155,
    0.24,
)  # inches: image, gap, line of caption, line of title


@dataclass(frozen=True, eq=False)
class Tile:
    """An image, uint8 (H, W, 3), with up to three lines below: true class, prediction, a remark."""

    image: NDArray[np.uint8]
    true: str
    predicted: str = ""
    remark: str = ""

    def lines(self) -> tuple[tuple[str, str], ...]:
        """The lines of text with their colours."""
        return ((self.true, "black"), (self.predicted, VERMILION), (self.remark, GREY))


def worst_mistakes(mistakes: Mistakes, images: Pixels) -> tuple[list[Tile], str]:
    """Tiles and title for `sheet` of the most confident mistakes.

    `images` uint8 (N, H, W, 3) are all images of the split; each mistake names its row.
    """
    worst = mistakes.worst[:WORST]
    count = counted(mistakes.count, "mistake")
    which = count if len(worst) == mistakes.count else f"The {len(worst)} most confident of {count}"
    return [_tile(mistake, images) for mistake in worst], f"{which}: true class, prediction"


def confused_pairs(mistakes: Mistakes, images: Pixels) -> tuple[list[Tile | None], str]:
    """Tiles and title for `sheet` of the most confused pairs, a new line for each; as `worst_mistakes`."""
    pairs = mistakes.pairs[:PAIRS]
    tiles: list[Tile | None] = []
    for pair in pairs:
        tiles += [_tile(mistake, images) for mistake in pair.examples]
        tiles += [None] * (-len(tiles) % COLUMNS)
    title = (
        f"{counted(len(pairs), 'most frequent confusion')}, each with its most confident mistakes"
    )
    return tiles, f"The {title}"


def draw_suspects(suspects: Sequence[Suspect], shown: Shown) -> bytes:
    """A sheet of the images whose labels are most likely wrong, as PNG."""
    pairs = list(zip(suspects, shown.images, strict=False))[:WORST]
    title = (
        f"The top {len(pairs)} of {counted(len(suspects), 'label')} that look wrong: label, "
        f"suggested class"
    )
    tiles = [
        Tile(image, one.label, f"{one.suggested} {one.suggested_probability:.0%}")
        for one, image in pairs
    ]
    return sheet(tiles, title)


def _tile(mistake: Mistake, images: Pixels) -> Tile:
    answer = f"{mistake.predicted} {mistake.confidence:.0%}"
    return Tile(images[mistake.row], mistake.true, answer)


@png
def sheet(tiles: Sequence[Tile | None], title: str, columns: int = COLUMNS) -> Figure:
    """Images in rows, with the true class in black, the prediction in red and a remark in grey below.

    None leaves a place empty.
    """
    shown = tiles[:MOST]
    columns = max(4, min(columns, len(shown)))
    rows = -(-len(shown) // columns)
    lines = max((sum(bool(text) for text, _ in tile.lines()) for tile in shown if tile), default=0)
    width = columns * (SIDE + GAP) + GAP
    title = fill(title, round(10.5 * width))
    head = TITLE * (1 + title.count("\n")) + GAP
    step = SIDE + GAP + LINE * lines
    page = Page(width, head + rows * step + GAP)
    for place, tile in enumerate(shown):
        if tile is None:
            continue
        row, column = divmod(place, columns)
        left, top = GAP + column * (SIDE + GAP), head + row * step
        page.image(left, top, SIDE, tile.image)
        for number, (text, colour) in enumerate(tile.lines()):
            x, y = left + SIDE / 2, top + SIDE + 0.03 + LINE * number
            page.fitted(
                x, y, SIDE + GAP / 2, short(text), FONT, color=colour, ha="center", va="top"
            )
    page.figure.suptitle(title, y=1 - GAP / 2 / page.height, va="top")
    return page.figure
