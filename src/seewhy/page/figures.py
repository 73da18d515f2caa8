"""The figures of a report as PNG and SVG files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.evaluation.metrics import Reliability
from seewhy.page.stored import Stored
from seewhy.plots.drawings import split_drawings
from seewhy.plots.metrics import curves
from seewhy.plots.robustness import robustness_drawings
from seewhy.plots.sheets import Pixels
from seewhy.plots.style import Drawings, write_drawings


def draw_figures(stored: Stored, images: Pixels | None, folder: Path) -> None:
    """Writes the figures of all stored results to `folder` as PNG and SVG, replacing existing files.

    `images` uint8 (N, H, W, 3) are the validation images; without them no mistakes are drawn.
    """
    drawings: Drawings = {"curves": (curves, [stored.history, stored.keep])}
    drawings |= split_drawings(stored.val, _bins(stored.analysis), stored.analysis, images)
    if "test" in stored.metrics:
        parts = stored.test_analysis
        drawings |= split_drawings(stored.metrics["test"], _bins(parts), parts)
    if "robustness" in stored.analysis:
        drawings |= robustness_drawings(stored.analysis["robustness"])
    write_drawings(drawings, folder)


def _bins(analysis: Mapping[str, Any]) -> Reliability | None:
    """The stored bins of the reliability curve as arrays."""
    if "confidence" not in analysis:
        return None
    stored = analysis["confidence"]["reliability"]
    known = {name: np.array(values, float) for name, values in stored.items()}
    ends = dict.fromkeys(("low", "high"), known["accuracy"])  # early versions stored no intervals
    return Reliability(**(ends | known))
