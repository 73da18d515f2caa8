"""How a model's answers are given: with honest confidence, "not sure", "out of scope"."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.data import ImageSet, sources
from seewhy.data.images.decode import Picture, read
from seewhy.data.sources.folders import scan
from seewhy.errors import DataError, ImageError
from seewhy.evaluation.decision.fit import Calibration, fit_decision
from seewhy.inference.bundle import Bundle
from seewhy.inference.classifier import Classifier, unlabelled

Progress = Callable[[int, int], None] | None

MOST_OTHERS = 2_000  # pictures of another kind that are looked at
FEWEST = 20


def calibrate(
    classifier: Classifier,
    data: str | Path,
    *,
    precision: float | None = None,
    coverage: float | None = None,
    out_of_scope: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    show: Callable[[str], None] = lambda line: None,
    progress: Progress = None,
    loading: Progress = None,
) -> tuple[Bundle, Calibration]:
    """Fits a model's decision on the validation split of `data`; gives a new bundle, to be saved.

    `out_of_scope` is a data set, or any folder of pictures, of another kind. The bundle's parents are
    those of the model and the model itself.
    """
    splits = classifier.splits(data, options, progress=loading)
    for note in splits.notes:
        show(note)
    others = None
    if out_of_scope is not None:
        pictures = _others(classifier, out_of_scope)
        others = classifier.predict_set(pictures, embed=True, progress=progress)
    inside = classifier.predict_set(splits.val, embed=others is not None, progress=progress)
    found = fit_decision(inside, precision=precision, coverage=coverage, outside=others)
    model = classifier.bundle
    if model.decision.threshold is not None and found.decision.threshold is None:
        show("the model's threshold is dropped: --precision or --coverage fits it anew")
    if model.decision.scope is not None and found.decision.scope is None:
        show("the model's scope is dropped: --out-of-scope fits it anew")
    bundle = replace(
        model, decision=found.decision, parents=(*model.parents, model.digest), digest=""
    )
    return bundle, found


def _others(classifier: Classifier, data: str | Path) -> ImageSet:
    """Pictures of another kind as this model takes them, evenly from all there are; labels do not count."""
    folder = Path(data)
    if folder.is_dir() and (names := scan(folder).pictures):
        pictures: Iterable[Picture | ImageError] = (folder / name for name in names)
        total = len(names)
    else:
        reading = sources.find(data).read()
        pictures, total = (record.picture for record in reading.records), reading.total
    stored = []
    for picture in islice(pictures, 0, None, -(-total // MOST_OTHERS)):
        # What cannot be read needs no score.
        with suppress(ImageError):
            if not isinstance(picture, ImageError):
                stored.append(read(picture, classifier.rule))
    if len(stored) < FEWEST:
        raise DataError(
            f"{len(stored)} readable pictures in {data}: {FEWEST} at least tell one kind from another"
        )
    return unlabelled(np.stack(stored), classifier.classes)
