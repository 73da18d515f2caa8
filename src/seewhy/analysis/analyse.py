"""All that the predictions of a split tell, at once: what `seewhy evaluate --full` prints and keeps."""

from dataclasses import dataclass, fields
from pathlib import Path

from seewhy.analysis.confidence import Confidence, confidence
from seewhy.analysis.mistakes import Mistakes, mistakes
from seewhy.analysis.records import write_json
from seewhy.evaluation.metrics import labelled
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.ranking import ClassCurves, class_curves


@dataclass(frozen=True, eq=False)
class Analysis:
    """What the predictions of one split tell."""

    confidence: Confidence
    curves: dict[str, ClassCurves]
    mistakes: Mistakes


def analyse(predictions: Predictions) -> Analysis:
    """Works out everything. Raises `DataError` when no picture has a label."""
    return Analysis(
        confidence=confidence(predictions),
        curves=class_curves(labelled(predictions)),
        mistakes=mistakes(predictions),
    )


def write_analysis(found: Analysis, split: str, folder: Path) -> None:
    """Writes each part to a file of its own: confidence-SPLIT.json and so on."""
    for field in fields(found):
        write_json(getattr(found, field.name), folder / f"{field.name}-{split}.json")
