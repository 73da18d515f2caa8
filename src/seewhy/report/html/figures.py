"""The drawings of a report as files, each as PNG and as SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.evaluation.metrics import Reliability
from seewhy.report import analysis_figures, figures
from seewhy.report.html.stored import Stored
from seewhy.report.robustness_figures import robustness_drawings
from seewhy.report.style import Drawing, write_drawings


def draw_figures(stored: Stored, folder: Path) -> None:
    """Draws all that is stored, as PNG and SVG files in `folder`, which are written over."""
    write_drawings(_drawings(stored), folder)


def _drawings(stored: Stored) -> dict[str, tuple[Drawing[Any], Sequence[Any]]]:
    """Each drawing by its file's name, with what it takes."""
    found: dict[str, tuple[Drawing[Any], Sequence[Any]]] = {
        "curves": (figures.curves, [stored.history])
    }
    for split, metrics in stored.metrics.items():
        if split != "train":
            found[f"confusion-{split}"] = figures.confusion_matrix, [metrics]
            found[f"per-class-{split}"] = figures.per_class, [metrics]
    curves = stored.analysis.get("curves")
    if curves is not None:
        found["confusion-rates-val"] = figures.confusion_matrix, [stored.val, True]
        found["class-heat-map-val"] = analysis_figures.class_heat_map, [stored.val]
        found["ranking-val"] = analysis_figures.ranking_curves, [curves, stored.val]
    confidence = stored.analysis.get("confidence")
    if confidence is not None:
        found["confidence-val"] = analysis_figures.confidence_histograms, [confidence]
        curve = confidence["risk_coverage"]
        found["risk-coverage-val"] = analysis_figures.risk_coverage_curve, [curve]
        bins = _reliability(confidence["reliability"])
        found["reliability-val"] = figures.reliability, [bins, "val"]
    if "robustness" in stored.analysis:
        found |= robustness_drawings(stored.analysis["robustness"])
    return found


def _reliability(stored: Mapping[str, Any]) -> Reliability:
    """The bins as arrays, as they were before they were stored."""
    return Reliability(
        edges=np.array(stored["edges"]),
        counts=np.array(stored["counts"]),
        confidence=np.array(stored["confidence"], float),
        accuracy=np.array(stored["accuracy"], float),
    )
