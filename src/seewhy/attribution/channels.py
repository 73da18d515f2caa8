"""What the channels of the last feature maps respond to, and how much each matters."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.attribution.geometry import axes
from seewhy.attribution.method import explaining, halves
from seewhy.data import ImageSet
from seewhy.data.images.decode import centre
from seewhy.evaluation.stats.intervals import Interval, mean_with_t, paired_difference
from seewhy.events import OnEvent, Progress, ignore
from seewhy.inference.forward import VIEWS, network_and_views, to_input
from seewhy.inference.predictor import at_a_time


@dataclass(frozen=True, eq=False)
class Channels:
    """The C channels of the maps that a head takes, measured over N labelled images.

    `accuracy_drop`, `logit_drop`: what is lost of the accuracy, and of the mean logit of the true
    class, when the channel is set to its mean everywhere, in each TTA view; each with its 95% interval; C
    of them. `exciting` (C, M): the rows of the images in which the channel is largest anywhere, largest
    first; `peaks` (C, M, 2): where in the image, as it is, that is, down and across, in [0, 1].
    """

    accuracy_drop: tuple[Interval, ...]
    logit_drop: tuple[Interval, ...]
    exciting: NDArray[np.int64]
    peaks: NDArray[np.float32]

    def by_importance(self) -> NDArray[np.int64]:
        """The channels, those first whose loss costs the true class most."""
        return np.argsort([-drop.value for drop in self.logit_drop], kind="stable")

    def json_form(self) -> list[dict[str, Any]]:
        """What the loss of each channel costs, those first that cost most."""
        return [
            {
                "channel": int(channel),
                "logit_drop": self.logit_drop[channel],
                "accuracy_drop": self.accuracy_drop[channel],
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
    on_event: OnEvent = ignore,
) -> Channels:
    """Measures each channel of the maps that the head of a model takes, over labelled images.

    `images` uint8 (N, S, S, 3), of which the centre `size` x `size` is seen; `count` images are
    named a channel. The images are read twice, for the channels' means and then without each, so
    that the maps of one batch alone are held. Leaves no trace; raises `UsageError` for a model that is not
    made of `features` and `head`.
    """
    network, views = network_and_views(model)
    features, head = halves(network)
    batch = at_a_time(size**2)

    def batches(*views: str) -> Iterator[list[Tensor]]:
        """The maps of each view, batch by batch."""
        for start in range(0, len(images), batch):
            x = to_input(centre(images.images[start : start + batch], size), device)
            yield [features(VIEWS[view](x)) for view in views]

    with explaining(model), torch.no_grad():
        largest, places, means = [], [], []
        # Where a channel is largest is looked up in the image as it is.
        for seen in batches(*dict.fromkeys(("identity", *views))):
            most, place = seen[0].flatten(2).max(2)  # (B, C)
            largest.append(most)
            places.append(place)
            means += [maps.mean((2, 3)) for maps in seen]
        down, across = axes(network, seen[0], seen[0].new_zeros(1, 3, size, size))
        labels = torch.from_numpy(images.labels).to(device).split(batch)
        mean, answers = torch.cat(means).mean(0), []
        for seen, own in zip(batches(*views), labels, strict=True):
            answers.append(_without_each(head, seen, mean, own))
            done = sum(right.shape[1] for right, _ in answers)
            on_event(Progress("ablating", done, len(images)))
    right, logits = (torch.cat(parts, 1) for parts in zip(*answers, strict=True))
    rows = torch.cat(largest).topk(min(count, len(images)), dim=0).indices  # (count, C)
    cells = torch.cat(places).gather(0, rows).T.cpu()
    y, x = down.centres()[cells // across.cells], across.centres()[cells % across.cells]
    return Channels(
        accuracy_drop=tuple(_paired_rates(right[0], still) for still in right[1:]),
        logit_drop=tuple(_mean((logits[0] - lowered).double()) for lowered in logits[1:]),
        exciting=rows.T.cpu().numpy(),
        peaks=(torch.stack([y, x], 2) / size).numpy(),
    )


def _without_each(
    head: Callable[[Tensor], Tensor], views: list[Tensor], means: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Whether each image is right, and its true class's logit: of all maps, then without each.

    Both are (1 + C, B); `views` are the maps of each view, in all of which a channel that is left out is at
    its mean everywhere.
    """
    answers = [_answers(head, views, labels)]
    for channel, mean in enumerate(means):
        own = [maps[:, channel].clone() for maps in views]
        for maps in views:
            maps[:, channel] = mean
        answers.append(_answers(head, views, labels))
        for maps, kept in zip(views, own, strict=True):
            maps[:, channel] = kept
    right, logits = zip(*answers, strict=True)
    return torch.stack(right), torch.stack(logits)


def _answers(
    head: Callable[[Tensor], Tensor], views: list[Tensor], labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Whether each image is right, and the logit of its true class."""
    logits = torch.stack([head(maps) for maps in views]).mean(0)
    return logits.argmax(1) == labels, logits.gather(1, labels[:, None])[:, 0]


def _paired_rates(before: Tensor, after: Tensor) -> Interval:
    lost, gained = int((before & ~after).sum()), int((~before & after).sum())
    return paired_difference(lost, gained, len(before))


def _mean(values: Tensor) -> Interval:
    return mean_with_t(values.cpu().numpy(), ())
