"""The images on which a retrained model is compared with the champion, and what both answer to them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seewhy.analysis.corruptions import corrupted
from seewhy.analysis.replacement import Gate, GateLimits, Trial, judge
from seewhy.config.data import DataConfig
from seewhy.data import Data, ImageSet, Splits, load_data
from seewhy.data.images.decode import centre
from seewhy.data.sources import describe
from seewhy.errors import DataError
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import exact
from seewhy.events import OnEvent, Progress, ignore
from seewhy.inference.classifier import Classifier
from seewhy.inference.loading import load
from seewhy.text import counted, shortened
from seewhy.workflows.evaluate import part_of
from seewhy.workflows.trained_on import Keys, keys_of

# Of noise, blur, weather and light, and compression one each, of middle severity.
CORRUPTIONS = ("gaussian_noise", "defocus_blur", "fog", "contrast", "jpeg_compression")
SEVERITY = 2  # of 0 to 4
CORRUPTED = 1_000  # images, at most

Answers = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class GateImages:
    """Labelled images that neither model was trained on, `source`, and how many were left out for what."""

    images: ImageSet
    source: str
    left_out: dict[str, int]


def gate_images(
    splits: Splits, hold_out: Data | None, seen: Keys, on_event: OnEvent = ignore
) -> GateImages:
    """The val images of the new data, or those of a hold-out, without those of the keys `seen`.

    `seen` are the training images of the champion. A hold-out that has splits gives its val, another one all
    its images; those that are training or test images of the new data are left out too.
    """
    if hold_out is None:
        chosen, source, barred = splits.val, "val", {}
    else:
        source = describe(hold_out)
        config = DataConfig(on_bad="skip", max_bad=1)
        held = load_data(
            hold_out, config, rule=splits.rule, classes=splits.classes, on_event=on_event
        )
        chosen = part_of(held, "all" if held.drawn else "val")
        barred = {"training images of the candidate": keys_of(splits.train.hashes)}
        if splits.test is not None:
            barred["test images of the data, which stay sealed"] = keys_of(splits.test.hashes)
    barred = {"training images of the champion": seen, **barred}
    keys, kept, left_out = keys_of(chosen.hashes), chosen.labels >= 0, dict[str, int]()
    for why, those in barred.items():
        gone = kept & np.isin(keys, those)
        kept &= ~gone
        if gone.any():
            left_out[why] = int(gone.sum())
    first = np.unique(keys, return_index=True)[1]  # identical images count once
    rows = np.intersect1d(np.flatnonzero(kept), first)
    if not len(rows):
        reasons = " and ".join(f"{count:,} are {why}" for why, count in left_out.items())
        raise DataError(
            f"no image of {source} can judge a new model: of {counted(len(chosen), 'image')}, "
            f"{reasons or 'none has a label'}. Give others by --hold-out"
        )
    return GateImages(chosen.take(rows), source, left_out)


def compare_models(
    champion: Path,
    candidate: Path,
    gate: GateImages,
    limits: GateLimits,
    *,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> Gate:
    """Asks both models, which have one input rule, the same images, and judges the candidate.

    Images of a class that is new to the champion are not compared.
    """
    images = gate.images
    names = np.array(images.classes)[images.labels]
    with load(champion, device=device) as first, load(candidate, device=device) as second:
        with first.in_full_precision(), second.in_full_precision():
            answered = [_answers(one, images, on_event) for one in (first, second)]
            known = np.isin(names, first.classes)
            trial = Trial(
                classes=first.classes,
                labels=np.array([first.classes.index(name) for name in names[known]], np.int64),
                champion=(answered[0] == names)[known],
                candidate=(answered[1] == names)[known],
                corrupted=_corrupted((first, second), images.take(known), on_event),
            )
        dropped = [name for name in first.classes if name not in second.classes]
        new = [name for name in second.classes if name not in first.classes]
    missing = f"the candidate never answers {shortened(dropped)}, of which the data have no images"
    judged = judge(trial, limits, gate.source, [missing] if dropped else [])
    facts = [f"left out: {count:,} {why}" for why, count in gate.left_out.items()]
    if new:
        right = exact(int((answered[1] == names)[~known].sum()), int((~known).sum()))
        facts.append(
            f"not compared: {counted(len(new), 'class', 'are')} new to the champion ({shortened(new)}); "
            f"the candidate has {right.value:.1%} of their {counted(int((~known).sum()), 'image')} right"
        )
    reasons = (*judged.reasons[:1], *facts, *judged.reasons[1:])
    return replace(judged, reasons=reasons, left_out=gate.left_out)


def asked(classifier: Classifier, images: ImageSet, on_event: OnEvent) -> Predictions:
    """A model's predictions of images whose classes may be others than its own; without labels."""
    without = np.full(len(images), -1, np.int64)
    alike = replace(images, labels=without, classes=classifier.classes)
    return classifier.predict_set(alike, on_event=on_event, what="comparing with the champion")


def _answers(classifier: Classifier, images: ImageSet, on_event: OnEvent) -> Answers:
    """The names of the predicted classes (N,)."""
    return np.array(classifier.classes)[asked(classifier, images, on_event).predicted]


def _corrupted(
    models: tuple[Classifier, Classifier], images: ImageSet, on_event: OnEvent
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Which of the images, of some if they are many, each model has right by corruption."""
    if not len(images):
        return {}
    some = images.take(np.random.default_rng(0).permutation(len(images))[:CORRUPTED])
    side = models[0].rule.size
    inputs = np.concatenate([centre(part, side) for part in some.chunks()])
    names, right = np.array(some.classes)[some.labels], {}
    for number, corruption in enumerate(CORRUPTIONS):
        on_event(Progress("trying corrupted images", number, len(CORRUPTIONS)))
        changed = replace(some, images=corrupted(inputs, corruption, SEVERITY))
        both = [_answers(model, changed, ignore) == names for model in models]
        right[corruption] = (both[0], both[1])
    on_event(Progress("trying corrupted images", len(CORRUPTIONS), len(CORRUPTIONS)))
    return right
