"""The whole analysis of a split: `seewhy evaluate --full` prints and stores."""

from dataclasses import dataclass, fields
from pathlib import Path

from seewhy.analysis.causes import Causes
from seewhy.analysis.confidence import Confidence, confidence
from seewhy.analysis.mistakes import Mistakes, mistakes
from seewhy.analysis.slices import Slices
from seewhy.evaluation.metrics import labelled
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.ranking import ClassCurves, class_curves
from seewhy.files import write_json


@dataclass(frozen=True, eq=False)
class Analysis:
    """What the predictions of one split tell; the images of validation tell `slices` and `causes`."""

    confidence: Confidence
    curves: dict[str, ClassCurves]
    mistakes: Mistakes
    slices: Slices | None = None
    causes: Causes | None = None


def analyse_predictions(predictions: Predictions) -> Analysis:
    """Computes what needs no images. Raises `DataError` when no image has a label."""
    return Analysis(
        confidence=confidence(predictions),
        curves=class_curves(labelled(predictions)),
        mistakes=mistakes(predictions),
    )


def write_analysis(analysis: Analysis, split: str, folder: Path) -> None:
    """Writes each part that was worked out to a file of its own: confidence-SPLIT.json and so on."""
    for field in fields(analysis):
        part = getattr(analysis, field.name)
        if part is not None:
            write_json(part, folder / f"{field.name}-{split}.json")
