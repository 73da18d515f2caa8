"""The figures of a split, by file name."""

from collections.abc import Mapping
from typing import Any

from seewhy.evaluation.metrics import Reliability
from seewhy.plots import analysis as analysis_figures
from seewhy.plots import metrics as figures
from seewhy.plots.sheets import Pixels, confused_pairs, sheet, worst_mistakes
from seewhy.plots.style import Drawings


def split_drawings(
    metrics: Mapping[str, Any],
    bins: Reliability | None = None,
    analysis: Mapping[str, Any] | None = None,
    images: Pixels | None = None,
) -> Drawings:
    """All figures that the records of a split allow.

    `metrics` as in metrics.json; `analysis` the parts of its analysis by name, as under analysis/, as far
    as they exist; `images` uint8 (N, H, W, 3), the images of the split, if they may be shown.
    """
    parts = {name: part for name, part in (analysis or {}).items() if part}
    drawings: Drawings = {
        "confusion": (figures.confusion_matrix, [metrics]),
        "confusion-rates": (figures.confusion_matrix, [metrics, True]),
        "per-class": (figures.per_class, [metrics]),
        "class-heat-map": (analysis_figures.class_heat_map, [metrics]),
    }
    if bins is not None:
        drawings["reliability"] = figures.reliability, [bins, metrics["split"]]
    if "curves" in parts:
        drawings["ranking"] = analysis_figures.ranking_curves, [parts["curves"], metrics]
    if "confidence" in parts:
        sure = parts["confidence"]
        drawings["confidence"] = analysis_figures.confidence_histograms, [sure]
        drawings["risk-coverage"] = analysis_figures.risk_coverage_curve, [sure["risk_coverage"]]
    if "slices" in parts and parts["slices"]["slices"]:
        drawings["slices"] = analysis_figures.weak_slices, [parts["slices"]]
    if "causes" in parts and parts["causes"]["mistakes"]:
        drawings["causes"] = analysis_figures.mistakes_by_cause, [parts["causes"]]
    if "mistakes" in parts and parts["mistakes"]["worst"] and images is not None:
        drawings["worst-mistakes"] = sheet, worst_mistakes(parts["mistakes"], images)
        drawings["confused-pairs"] = sheet, confused_pairs(parts["mistakes"], images)
    return {f"{name}-{metrics['split']}": drawing for name, drawing in drawings.items()}
