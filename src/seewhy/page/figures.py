"""The figures of a report as PNG and SVG files."""

from pathlib import Path

from seewhy.page.stored import Stored
from seewhy.plots.drawings import split_drawings
from seewhy.plots.metrics import curves
from seewhy.plots.robustness import robustness_drawings
from seewhy.plots.sheets import Pixels
from seewhy.plots.style import Drawings, write_drawings


def draw_figures(stored: Stored, images: Pixels | None, folder: Path) -> dict[str, bytes]:
    """Writes the figures of all stored results to `folder` as PNG and SVG, replacing existing files.

    Returns the SVGs by name, for the page.
    """
    return write_drawings(all_drawings(stored, images), folder)


def all_drawings(stored: Stored, images: Pixels | None) -> Drawings:
    """The figures of all stored results, by file name.

    `images` uint8 (N, H, W, 3) are the validation images; without them no mistakes are drawn.
    """
    drawings: Drawings = {}
    if stored.epochs:
        drawings["curves"] = (curves, [stored.history, stored.recipe.train.keep])
    drawings |= split_drawings(stored.val.metrics, stored.val.analysis, images)
    if stored.test:
        drawings |= split_drawings(stored.test.metrics, stored.test.analysis)
    if stored.robustness:
        drawings |= robustness_drawings(stored.robustness)
    return drawings
