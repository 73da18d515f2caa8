"""Which drawings a split has, by their files' names: the one table of them."""

from collections.abc import Mapping
from typing import Any

from seewhy.evaluation.metrics import Reliability
from seewhy.plots import analysis as analysis_figures
from seewhy.plots import metrics as figures
from seewhy.plots.sheets import Pictures, confused_pairs, sheet, worst_mistakes
from seewhy.plots.style import Drawings


def split_drawings(
    metrics: Mapping[str, Any],
    bins: Reliability | None = None,
    found: Mapping[str, Any] | None = None,
    images: Pictures | None = None,
) -> Drawings:
    """The drawings of all that is known of a split.

    `metrics` as in metrics.json; `found` the parts of its analysis as under analysis/, by name, where
    they were worked out; `images` uint8 (N, H, W, 3), its pictures, where they may be shown.
    """
    found = {name: part for name, part in (found or {}).items() if part}
    drawings: Drawings = {
        "confusion": (figures.confusion_matrix, [metrics]),
        "confusion-rates": (figures.confusion_matrix, [metrics, True]),
        "per-class": (figures.per_class, [metrics]),
        "class-heat-map": (analysis_figures.class_heat_map, [metrics]),
    }
    if bins is not None:
        drawings["reliability"] = figures.reliability, [bins, metrics["split"]]
    if "curves" in found:
        drawings["ranking"] = analysis_figures.ranking_curves, [found["curves"], metrics]
    if "confidence" in found:
        sure = found["confidence"]
        drawings["confidence"] = analysis_figures.confidence_histograms, [sure]
        drawings["risk-coverage"] = analysis_figures.risk_coverage_curve, [sure["risk_coverage"]]
    if "slices" in found and found["slices"]["slices"]:
        drawings["slices"] = analysis_figures.weak_slices, [found["slices"]]
    if "causes" in found and found["causes"]["mistakes"]:
        drawings["causes"] = analysis_figures.mistakes_by_cause, [found["causes"]]
    if "mistakes" in found and found["mistakes"]["worst"] and images is not None:
        drawings["worst-mistakes"] = sheet, worst_mistakes(found["mistakes"], images)
        drawings["confused-pairs"] = sheet, confused_pairs(found["mistakes"], images)
    return {f"{name}-{metrics['split']}": drawing for name, drawing in drawings.items()}
