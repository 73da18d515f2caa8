"""The drawings of a report as files, each as PNG and as SVG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.evaluation.metrics import Reliability
from seewhy.page.stored import Stored
from seewhy.plots.drawings import split_drawings
from seewhy.plots.metrics import curves
from seewhy.plots.robustness import robustness_drawings
from seewhy.plots.sheets import Pictures
from seewhy.plots.style import Drawings, write_drawings


def draw_figures(stored: Stored, images: Pictures | None, folder: Path) -> None:
    """Draws all that is stored, as PNG and SVG files in `folder`, which are written over.

    `images` uint8 (N, H, W, 3) are the validation pictures; without them no mistake is shown.
    """
    drawings: Drawings = {"curves": (curves, [stored.history])}
    drawings |= split_drawings(stored.val, _bins(stored.analysis), stored.analysis, images)
    if "test" in stored.metrics:
        found = stored.test_analysis
        drawings |= split_drawings(stored.metrics["test"], _bins(found), found)
    if "robustness" in stored.analysis:
        drawings |= robustness_drawings(stored.analysis["robustness"])
    write_drawings(drawings, folder)


def _bins(found: Mapping[str, Any]) -> Reliability | None:
    """The bins as arrays, as they were before they were stored."""
    if "confidence" not in found:
        return None
    stored = found["confidence"]["reliability"]
    known = {name: np.array(values, float) for name, values in stored.items()}
    ends = dict.fromkeys(("low", "high"), known["accuracy"])  # early versions stored none
    return Reliability(**(ends | known))
