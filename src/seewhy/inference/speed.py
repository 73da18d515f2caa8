"""How long models take for one image, and how many they answer in a second: by turns, from arrays."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from seewhy.events import OnEvent, Progress, ignore
from seewhy.inference.predictor import at_a_time

BATCHES = (4, 16, 64)
BATCH_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class Timed:
    """What is timed: a function of images, uint8 (N, `side`, `side`, 3)."""

    answer: Callable[[NDArray[np.uint8]], object]
    side: int

    def seconds(self, batch: int) -> float:
        images = np.full((batch, self.side, self.side, 3), 128, np.uint8)
        start = time.perf_counter()
        self.answer(images)
        return time.perf_counter() - start


def seconds_of_one(
    models: Sequence[Timed],
    rounds: int,
    *,
    warm_up: int = 1,
    most_seconds: float = float("inf"),
    on_event: OnEvent = ignore,
) -> list[list[float]]:
    """Seconds of one image, for each model, in each of the rounds after `warm_up`.

    Fewer rounds, one at least, where they take more than `most_seconds` in all.
    """
    times: list[list[float]] = [[] for _ in models]
    began = time.perf_counter()
    for number in range(warm_up + rounds):
        for model, taken in zip(models, times, strict=True):
            seconds = model.seconds(1)
            if number >= warm_up:
                taken.append(seconds)
        on_event(Progress("timing", number + 1, warm_up + rounds))
        if times[0] and time.perf_counter() - began > most_seconds:
            break
    return times


def best_rates(
    models: Sequence[Timed], singles: Sequence[Sequence[float]]
) -> list[tuple[float, int]]:
    """The most images per second of each model, and the batch that gives them."""
    rates = [{1: 1 / median(times)} for times in singles]
    for batch in BATCHES:
        for number in range(BATCH_ROUNDS + 1):  # the first also allocates
            for model, own in zip(models, rates, strict=True):
                if batch <= at_a_time(model.side**2):
                    rate = batch / model.seconds(batch)
                    own[batch] = max(rate, own.get(batch, 0.0)) if number else 0.0
    best = [max(own, key=lambda size: own[size]) for own in rates]
    return [(own[batch], batch) for own, batch in zip(rates, best, strict=True)]
