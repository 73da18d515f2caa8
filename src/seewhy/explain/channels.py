"""What the channels of the last maps stand for, and how much each of them matters."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.data import ImageSet
from seewhy.data.decode import centre
from seewhy.evaluation.intervals import Interval
from seewhy.evaluation.predict import to_input
from seewhy.explain.geometry import axes
from seewhy.explain.method import explaining, halves

BATCH = 256
Z = 1.96  # standard errors on either side of a 95% interval


@dataclass(frozen=True, eq=False)
class Channels:
    """The C channels of the maps that a head takes, measured over N labelled pictures.

    `accuracy_drop`, `logit_drop`: what is lost of the accuracy, and of the mean logit of the true
    class, when the channel is set to its mean everywhere, each with its 95% interval; C of them.
    `exciting` (C, M): the rows of the pictures in which the channel is largest anywhere, largest
    first; `peaks` (C, M, 2): where in the picture that is, down and across, in [0, 1].
    """

    accuracy_drop: tuple[Interval, ...]
    logit_drop: tuple[Interval, ...]
    exciting: NDArray[np.int64]
    peaks: NDArray[np.float32]

    def by_importance(self) -> NDArray[np.int64]:
        """The channels, those first whose loss costs the true class most."""
        return np.argsort([-drop.value for drop in self.logit_drop], kind="stable")

    def to_json(self) -> list[dict[str, Any]]:
        """What the loss of each channel costs, as JSON values, those first that cost most."""
        return [
            {
                "channel": int(channel),
                "logit_drop": asdict(self.logit_drop[channel]),
                "accuracy_drop": asdict(self.accuracy_drop[channel]),
            }
            for channel in self.by_importance()
        ]


def channels(
    model: nn.Module,
    images: ImageSet,
    *,
    size: int,
    count: int = 8,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Channels:
    """Measures each channel of the maps that the head of a model takes, over labelled pictures.

    `images` uint8 (N, S, S, 3), of which the centre `size` x `size` is seen; `count` pictures are
    named a channel. All maps are held in memory: a thousand pictures are plenty. `progress` hears
    (channels done, channels in all). Leaves no trace; raises `UsageError` for a model that is not
    made of `features` and `head`.
    """
    features, head = halves(model)
    with explaining(model), torch.no_grad():
        parts = (images.images[at : at + BATCH] for at in range(0, len(images), BATCH))
        maps = torch.cat([features(to_input(centre(part, size), device)) for part in parts])
        labels = torch.from_numpy(images.labels).to(device)
        accuracy_drop, logit_drop = _ablate(head, maps, labels, progress)
        down, across = axes(model, maps, maps.new_zeros(1, 3, size, size))
    largest, places = maps.flatten(2).max(2)  # (N, C)
    rows = largest.topk(min(count, len(images)), dim=0).indices  # (count, C)
    places = places.gather(0, rows).T.cpu()
    y, x = down.centres()[places // across.cells], across.centres()[places % across.cells]
    peaks = torch.stack([y, x], 2) / size
    return Channels(accuracy_drop, logit_drop, rows.T.cpu().numpy(), peaks.numpy())


def _ablate(
    head: nn.Module,
    maps: Tensor,
    labels: Tensor,
    progress: Callable[[int, int], None] | None,
) -> tuple[tuple[Interval, ...], tuple[Interval, ...]]:
    right, logits = _answers(head, maps, labels)
    accuracy_drop, logit_drop = [], []
    for channel in range(maps.shape[1]):
        own = maps[:, channel].clone()
        maps[:, channel] = own.mean()
        still_right, lowered = _answers(head, maps, labels)
        maps[:, channel] = own
        accuracy_drop.append(_paired_rates(right, still_right))
        logit_drop.append(_mean((logits - lowered).double()))
        if progress:
            progress(channel + 1, maps.shape[1])
    return tuple(accuracy_drop), tuple(logit_drop)


def _answers(head: nn.Module, maps: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each picture is right, and the logit of its true class."""
    logits = torch.cat([head(part) for part in maps.split(BATCH)])
    return logits.argmax(1) == labels, logits.gather(1, labels[:, None])[:, 0]


def _paired_rates(before: Tensor, after: Tensor) -> Interval:
    """What a rate lost, over the same pictures, after Agresti and Min (2005): half a picture a cell.

    Unlike the usual interval it has a width also where no answer changed.
    """
    n = len(before)
    lost, gained = int((before & ~after).sum()), int((~before & after).sum())
    value = (lost - gained) / n
    middle = (lost - gained) / (n + 2)
    half = Z * sqrt((lost + gained + 1) - (lost - gained) ** 2 / (n + 2)) / (n + 2)
    return Interval(value, min(value, middle - half), max(value, middle + half))


def _mean(values: Tensor) -> Interval:
    value = values.mean().item()
    half = Z * values.std().item() / sqrt(len(values))
    return Interval(value, value - half, value + half)
