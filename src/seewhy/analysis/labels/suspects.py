"""Labels that look wrong, with what a person needs to judge them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seewhy.analysis.labels.review import Suspect
from seewhy.analysis.overview import Analysis
from seewhy.data import ImageSet, Splits

MOST = 500  # images that are shown, the surest
SIDE = 128  # pixels of them, at most


@dataclass(frozen=True, eq=False)
class Shown:
    """Suspected images, uint8 (M, S, S, 3), with the nearest training images as evidence.

    `near` uint8 (M, k, S, S, 3) and `near_labels` (M, k), class names, the nearest first by the features
    of the network that judged; k is 0 where a network has no features.
    """

    images: NDArray[np.uint8]
    near: NDArray[np.uint8]
    near_labels: NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Suspects:
    """The labels that look wrong, the surest first, among `n` images that were judged.

    `agreed` is the share of labels that the networks name; weak ones doubt right labels too. `noise`
    estimates the share of wrong labels, where it can; `weak` says that they agree no more than by naming
    the commonest class each time would; `shown` are the images of the first `MOST`.
    """

    classes: tuple[str, ...]
    n: int
    agreed: float
    weak: bool
    noise: float | None
    found: tuple[Suspect, ...]
    shown: Shown

    def json_form(self) -> dict[str, Any]:
        """All but the images and the classes."""
        numbers = {name: getattr(self, name) for name in ("n", "agreed", "weak", "noise")}
        return {**numbers, "count": len(self.found), "issues": self.found}


def suspected_mistakes(analysis: Analysis, splits: Splits) -> Suspects:
    """The surest mistakes of validation as suspects: the label may be wrong, and not the network.

    Each has the network's answer as suggestion, and its confidence as score.
    """
    assert analysis.causes is not None, "of validation they are worked out"
    worst = analysis.mistakes.worst
    rows = np.array([mistake.row for mistake in worst], np.int64)
    near = [[one.row for one in mistake.nearest] for mistake in analysis.causes.mistakes]
    hashes = splits.val.hashes[rows].tolist()
    return Suspects(
        classes=splits.classes,
        n=analysis.mistakes.n,
        agreed=1 - analysis.mistakes.rate.value,
        weak=False,
        noise=None,
        found=tuple(
            Suspect(
                id=one.id,
                hash=digest.decode(),
                label=one.true,
                suggested=one.predicted,
                score=one.confidence,
                label_probability=one.true_probability,
                suggested_probability=one.confidence,
            )
            for one, digest in zip(worst, hashes, strict=True)
        ),
        shown=shown_images(
            splits.val.take(rows),
            splits.train,
            np.array(near, np.int64).reshape(len(rows), len(near[0]) if near else 0),
        ),
    )


def shown_images(images: ImageSet, train: ImageSet, near: NDArray[np.int64]) -> Shown:
    beside = _small(train.take(near.reshape(-1)))
    return Shown(
        images=_small(images),
        near=beside.reshape(*near.shape, *beside.shape[1:]),
        near_labels=np.array(train.classes, object)[train.labels[near]],
    )


def _small(images: ImageSet) -> NDArray[np.uint8]:
    """Images no larger than they are looked at."""
    side = min(SIDE, images.images.shape[1])
    thumbnails = np.empty((len(images), side, side, 3), np.uint8)
    for row, small in enumerate(thumbnails):
        whole = Image.fromarray(images.images[row])
        small[:] = np.asarray(whole.resize((side, side), Image.Resampling.LANCZOS))
    return thumbnails
