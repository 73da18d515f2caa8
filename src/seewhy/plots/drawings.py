"""The figures of a split, by file name."""

from seewhy.analysis.overview import Analysis
from seewhy.evaluation.metrics import Metrics
from seewhy.plots import analysis as analysis_figures
from seewhy.plots import metrics as figures
from seewhy.plots.sheets import Pixels, confused_pairs, sheet, worst_mistakes
from seewhy.plots.style import Drawings


def split_drawings(
    metrics: Metrics, analysis: Analysis | None = None, images: Pixels | None = None
) -> Drawings:
    """All figures that the records of a split allow.

    `images` uint8 (N, H, W, 3) are the images of the split, if they may be shown.
    """
    drawings: Drawings = {
        "confusion": (figures.confusion_matrix, [metrics]),
        "confusion-rates": (figures.confusion_matrix, [metrics, True]),
        "per-class": (figures.per_class, [metrics]),
        "class-heat-map": (analysis_figures.class_heat_map, [metrics]),
    }
    bins = analysis.confidence.reliability if analysis else metrics.reliability
    if bins is not None:
        drawings["reliability"] = figures.reliability, [bins, metrics.split]
    if analysis:
        drawings |= _analysis_drawings(metrics, analysis, images)
    return {f"{name}-{metrics.split}": drawing for name, drawing in drawings.items()}


def _analysis_drawings(metrics: Metrics, analysis: Analysis, images: Pixels | None) -> Drawings:
    sure, mistakes = analysis.confidence, analysis.mistakes
    drawings: Drawings = {
        "ranking": (analysis_figures.ranking_curves, [analysis.curves, metrics]),
        "confidence": (analysis_figures.confidence_histograms, [sure]),
        "risk-coverage": (analysis_figures.risk_coverage_curve, [sure.risk_coverage]),
    }
    if analysis.slices and analysis.slices.slices:
        drawings["slices"] = analysis_figures.weak_slices, [analysis.slices]
    if analysis.causes and analysis.causes.mistakes:
        drawings["causes"] = analysis_figures.mistakes_by_cause, [analysis.causes]
    if mistakes.worst and images is not None:
        drawings["worst-mistakes"] = sheet, worst_mistakes(mistakes, images)
        drawings["confused-pairs"] = sheet, confused_pairs(mistakes, images)
    return drawings
