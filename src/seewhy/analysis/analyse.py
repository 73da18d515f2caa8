"""All that the predictions of a split tell, at once: what `seewhy evaluate --full` prints and keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from seewhy.analysis.attributes import attributes
from seewhy.analysis.causes import Causes, Evidence, find_causes
from seewhy.analysis.confidence import Confidence, confidence
from seewhy.analysis.mistakes import Mistakes, mistakes
from seewhy.analysis.records import write_json
from seewhy.analysis.slices import Slices, find_slices
from seewhy.data import Splits
from seewhy.data.review import Suspect
from seewhy.evaluation.metrics import labelled
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.ranking import ClassCurves, class_curves
from seewhy.inference.classifier import Classifier
from seewhy.inference.device import pick_amp
from seewhy.inference.forward import predict


@dataclass(frozen=True, eq=False)
class Analysis:
    """What the predictions of one split tell; the pictures of validation tell `slices` and `causes`."""

    confidence: Confidence
    curves: dict[str, ClassCurves]
    mistakes: Mistakes
    slices: Slices | None = None
    causes: Causes | None = None


def analyse(predictions: Predictions) -> Analysis:
    """Works out what needs no pictures. Raises `DataError` when no picture has a label."""
    return Analysis(
        confidence=confidence(predictions),
        curves=class_curves(labelled(predictions)),
        mistakes=mistakes(predictions),
    )


def analyse_validation(
    predictions: Predictions,
    classifier: Classifier,
    splits: Splits,
    *,
    suspects: Mapping[bytes, Suspect] | None = None,
    folder: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Analysis:
    """Works out everything that `predictions` of `splits.val` tell, looking at all training pictures too.

    `suspects` are doubted labels by content hash, listed in `folder`. `progress` hears of pictures that
    the network looks at.
    """
    found = analyse(predictions)
    known = predict(  # which training pictures are near is as plain in bfloat16
        classifier.bundle.network,
        splits.train,
        size=classifier.rule.size,
        views=classifier.bundle.views,
        device=classifier.device,
        amp=pick_amp("auto", classifier.device),
        embed=True,
        progress=progress,
    )
    evidence = Evidence(
        val=splits.val,
        train=splits.train,
        found=classifier.predict_set(splits.val, embed=True),
        known=known,
        stored_side=splits.rule.store,
        scope=classifier.bundle.decision.scope,
        suspects=suspects,
        folder=folder,
    )
    return replace(
        found,
        slices=find_slices(predictions, attributes(splits.val)),
        causes=find_causes(found.mistakes.worst, evidence),
    )


def write_analysis(found: Analysis, split: str, folder: Path) -> None:
    """Writes each part that was worked out to a file of its own: confidence-SPLIT.json and so on."""
    for field in fields(found):
        part = getattr(found, field.name)
        if part is not None:
            write_json(part, folder / f"{field.name}-{split}.json")
