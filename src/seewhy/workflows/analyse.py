"""All that the predictions of a split tell, at once: what `seewhy evaluate --full` prints and keeps."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from seewhy.analysis.attributes import attributes
from seewhy.analysis.causes import Evidence, find_causes
from seewhy.analysis.labels.review import Suspect
from seewhy.analysis.overview import Analysis, analyse
from seewhy.analysis.slices import find_slices
from seewhy.data import Splits
from seewhy.evaluation.predictions import Predictions
from seewhy.inference.classifier import Classifier
from seewhy.inference.device import pick_amp
from seewhy.inference.forward import predict


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
