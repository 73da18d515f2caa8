"""Accuracy under corruptions, transformations and adversarial attacks."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.analysis import pixels
from seewhy.analysis.attacks import ATTACKS, COST
from seewhy.analysis.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from seewhy.analysis.pixels import Bytes, Images
from seewhy.analysis.robustness_record import Adversarial, Curve, Robustness
from seewhy.data import ImageSet
from seewhy.data.images.decode import centre
from seewhy.errors import DataError
from seewhy.evaluation.collapse import collapse
from seewhy.evaluation.metrics import confusion
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import Interval, exact, mean_of_shares
from seewhy.evaluation.stats.significance import SIGNIFICANT, mcnemar
from seewhy.events import Diagnostic, Note, OnEvent, Progress, ignore
from seewhy.inference.classifier import Classifier
from seewhy.inference.device import device_of
from seewhy.inference.forward import evaluating, full_precision, to_input
from seewhy.text import counted

Rows = NDArray[np.int64]

PART = 1 << 17  # pixels that are attacked at a time, which bounds memory
RADII = {
    "fgsm": (0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
    "pgd": (0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
    "square": (1.0, 2.0, 4.0, 8.0),
}  # of 255
MOST = {"square": 100}  # images, as it asks 500 times for each
SHOWN, TRIED = 8, 64  # adversarial images that are kept, and how many are tried for them
WHOLE = (1.0, 2.0, 4.0, 8.0)  # radii that bytes can tell


# By name: what is varied, its values, and the transformation.
TRANSFORMATIONS: dict[str, tuple[str, tuple[float, ...], Callable[[Images, float], Images]]] = {
    "jpeg": ("JPEG quality", (95, 80, 60, 40, 20, 10, 5), lambda x, s: pixels.jpeg(x, int(s))),
    "shift": (
        "shift right and down, share of the width",
        (0.0, 0.03125, 0.0625, 0.125, 0.1875, 0.25),
        lambda x, s: pixels.shifted(x, s * x.shape[1]),
    ),
    "rotation": (
        "rotation, degrees",
        (-90, -60, -45, -30, -20, -10, 0, 10, 20, 30, 45, 60, 90),
        pixels.rotated,
    ),
    "scale": ("scale", (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0), pixels.zoomed),
}


def measure_robustness(
    classifier: Classifier,
    images: ImageSet,
    n: int = 1000,
    seed: int = 0,
    on_event: OnEvent = ignore,
) -> tuple[Robustness, Adversarial | None]:
    """Measures the accuracy on `n` labelled images under many changes.

    The images are drawn with a seed, and changed at the size that the network sees. Gives the record
    and some adversarial images, None where no attack succeeded. Raises `DataError` without labels.
    """
    labelled = np.flatnonzero(images.labels >= 0)
    if not len(labelled):
        raise DataError("no image has a label, so there is nothing to measure")
    # Left unsorted, so that the first are a fair part of all.
    chosen = np.random.default_rng(seed).permutation(labelled)[:n]
    subject = _Subject(classifier, images.take(chosen), on_event)
    predictions = subject.predict(subject.inputs)
    on_event(Note(subject.cost()))
    clean = predictions.predicted == subject.labels
    errors = {
        name: np.stack(
            [~subject.right(corrupted(subject.inputs, name, k)) for k in range(SEVERITIES)]
        )
        for name in CORRUPTIONS
    }
    curves = {name: _transformed(subject, name) for name in TRANSFORMATIONS}
    holding = {name: _attacked(subject, name, clean) for name in ATTACKS}
    adversarial = _adversarial(subject, clean)
    subject.finish()
    by_image = np.concatenate(list(errors.values())).mean(0)
    lost = by_image - ~clean
    return Robustness(
        n=len(chosen),
        clean=_rate(clean),
        corruptions={name: tuple(map(_rate, ~wrong)) for name, wrong in errors.items()},
        mean_corruption_error=mean_of_shares(by_image),
        lost=_mean_change(lost),
        worst=max(errors, key=lambda name: float(errors[name].mean())),
        transformations=curves,
        attacks={name: _attack_curve(name, held) for name, held in holding.items()},
        attacked={name: held.shape[1] for name, held in holding.items()},
        diagnostics=(
            *collapse(confusion(predictions), classifier.classes),
            *gradient_masking(holding["pgd"], holding["square"]),
        ),
    ), adversarial


def gradient_masking(pgd: NDArray[np.bool_], square: NDArray[np.bool_]) -> list[Diagnostic]:
    """A diagnostic if Square, which uses no gradient, fools the model more often than PGD does.

    Both say which images hold out, by radius and image, as `RADII` has them; Square's images are the first of
    PGD's. More often means significantly, by McNemar's exact test on the same images. The gradient
    then hides weaknesses (Carlini et al. 2019, arXiv:1902.06705).
    """
    n = square.shape[1]
    found = []
    for radius, by_square in zip(RADII["square"], square, strict=True):
        by_pgd = pgd[RADII["pgd"].index(radius), :n]
        more, fewer = int((by_pgd & ~by_square).sum()), int((~by_pgd & by_square).sum())
        if more > fewer and mcnemar(more, fewer) <= SIGNIFICANT:
            found.append((more - fewer, radius, int(by_square.sum()), int(by_pgd.sum())))
    if not found:
        return []
    _, radius, left, claimed = max(found)
    finding = (
        f"gradient masking: with changes of at most {radius:g} of 255, Square, which uses no gradient, "
        f"leaves {left:,} of {counted(n, 'image')} recognised, PGD {claimed:,}"
    )
    advice = (
        "do not trust the accuracy under FGSM and PGD, which is too high: take Square's as the upper "
        "limit, and look for saturated or rounding layers in the network"
    )
    return [Diagnostic("gradient masking", finding, advice)]


def _mean_change(values: NDArray[np.float64]) -> Interval:
    """The mean of numbers in [-1, 1] with its interval."""
    half = mean_of_shares((1 + values) / 2)
    return replace(half, value=2 * half.value - 1, low=2 * half.low - 1, high=2 * half.high - 1)


class _Subject:
    """A model and the images on which it is tested, at its input size; reports progress."""

    def __init__(self, classifier: Classifier, images: ImageSet, on_event: OnEvent) -> None:
        seen = np.concatenate([centre(part, classifier.rule.size) for part in images.chunks()])
        self.classifier = classifier
        self.network = classifier.module(views=True)
        self.images = replace(images, images=seen)
        self._on_event = on_event
        self._done, self._total = 0, _work(len(images))
        self._began = time.monotonic()

    @property
    def inputs(self) -> Bytes:
        return np.asarray(self.images.images)

    @property
    def labels(self) -> Rows:
        return self.images.labels

    def tick(self, count: int) -> None:
        self._done += count
        self._progress(min(self._done, self._total - 1))

    def finish(self) -> None:
        self._progress(self._total)

    def _progress(self, done: int) -> None:
        self._on_event(Progress("trying", done, self._total, "prediction"))

    def cost(self) -> str:
        """How many predictions are made, and how long that takes at the rate of those made so far."""
        rate = self._done / max(time.monotonic() - self._began, 1e-9)
        seconds = max(1, round(self._total / rate))
        took = (
            counted(round(seconds / 60), "minute") if seconds >= 90 else counted(seconds, "second")
        )
        return (
            f"at most {self._total:,} predictions of {counted(len(self.images), 'image')}: about {took} at "
            f"{max(rate, 1):,.0f} a second; a smaller --n takes less"
        )

    def predict(self, changed: Bytes) -> Predictions:
        """The predictions of all images, as they are given here."""
        predictions = self.classifier.predict_set(replace(self.images, images=changed))
        self.tick(len(changed))
        return predictions

    def right(self, changed: Bytes) -> NDArray[np.bool_]:
        """Which images are recognised, (N,), as they are given here."""
        return self.predict(changed).predicted == self.labels

    def answers(self, changed: Bytes, rows: Rows) -> Rows:
        """The predicted classes (M,) of some images, as changed."""
        some = replace(self.images.take(rows), images=changed)
        return self.classifier.predict_set(some).predicted

    def attacked(self, name: str, rows: Rows, radius: float) -> tuple[Bytes, NDArray[np.bool_]]:
        """Some images as an attack leaves them, rounded to bytes, and which then deceive, unrounded."""
        device = device_of(self.network)
        size = max(1, PART // self.classifier.rule.size**2)
        after, deceive = np.empty_like(self.inputs[rows]), np.empty(len(rows), bool)
        with evaluating(self.network), full_precision():
            for start in range(0, len(rows), size):
                part = slice(start, start + size)
                x = to_input(self.inputs[rows[part]], device)
                labels = torch.from_numpy(self.labels[rows[part]]).to(device)
                changed = ATTACKS[name](self.network, x, labels, radius / 255)
                deceive[part] = (self.network(changed).argmax(1) != labels).cpu().numpy()
                after[part] = pixels.to_bytes(changed.permute(0, 2, 3, 1).cpu().numpy())
                self.tick(len(x) * COST[name])
        return after, deceive


def _transformed(subject: _Subject, name: str) -> Curve:
    about, strengths, change = TRANSFORMATIONS[name]

    def at(strength: float) -> Bytes:
        return pixels.changed(subject.inputs, lambda x: change(x, strength))

    return Curve(about, strengths, tuple(_rate(subject.right(at(s))) for s in strengths))


def _attacked(subject: _Subject, name: str, clean: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which images hold out against an attack, (radii, images).

    What deceives within a small radius does so within a larger one: only images that hold out are
    attacked again. So the curve never rises.
    """
    holding = clean[: MOST.get(name)].copy()
    by_radius = []
    for radius in RADII[name]:
        rows = np.flatnonzero(holding)
        subject.tick((len(holding) - len(rows)) * COST[name])
        _, deceive = subject.attacked(name, rows, radius)
        holding[rows[deceive]] = False
        by_radius.append(holding.copy())
    return np.stack(by_radius)


def _attack_curve(name: str, holding: NDArray[np.bool_]) -> Curve:
    return Curve("largest change of a value, of 255", RADII[name], tuple(map(_rate, holding)))


def _adversarial(subject: _Subject, clean: NDArray[np.bool_]) -> Adversarial | None:
    """Images that PGD turns within the smallest radius that turns enough of those tried."""
    rows = np.flatnonzero(clean)[:TRIED]
    best: Adversarial | None = None
    for radius in WHOLE:
        after, _ = subject.attacked("pgd", rows, radius)
        answers = subject.answers(after, rows)
        turned = np.flatnonzero(answers != subject.labels[rows])[:SHOWN]
        if len(turned) > (0 if best is None else len(best.labels)):
            best = Adversarial(
                radius,
                before=subject.inputs[rows[turned]],
                after=after[turned],
                labels=subject.labels[rows[turned]],
                answers=answers[turned],
            )
        if len(turned) == SHOWN:
            break
    return best


def _work(n: int) -> int:
    """The predictions that are made in all, at most."""
    curves = sum(len(strengths) for _, strengths, _ in TRANSFORMATIONS.values())
    attacks = sum(
        min(n, MOST.get(name, n)) * len(radii) * COST[name] for name, radii in RADII.items()
    )
    attacks += min(n, TRIED) * len(WHOLE) * COST["pgd"]
    return n * (1 + SEVERITIES * len(CORRUPTIONS) + curves) + attacks


def _rate(right: NDArray[np.bool_]) -> Interval:
    return exact(int(right.sum()), len(right))
