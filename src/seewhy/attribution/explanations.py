"""Images explained by several methods, with the predictions: the record that a plot takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seewhy.attribution.faithfulness import (
    COST,
    FAULTS,
    Faithfulness,
    concat,
    faithfulness,
    shuffled_copies,
)
from seewhy.attribution.method import Method
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note, OnEvent, Progress, ignore
from seewhy.inference.device import device_of
from seewhy.inference.forward import to_input

TOP = 3  # classes named for an image


@dataclass(frozen=True, eq=False)
class Whole:
    """A whole image, uint8 (h, w, 3), reduced, and the part of it that the network sees.

    `seen` is left, top, right, bottom in its pixels; with padding it may reach beyond the image.
    """

    image: NDArray[np.uint8]
    seen: tuple[float, float, float, float]

    @property
    def share(self) -> float:
        """The share of the image's area that the network sees."""
        height, width = self.image.shape[:2]
        left, top, right, bottom = self.seen
        across, down = min(right, width) - max(left, 0), min(bottom, height) - max(top, 0)
        return across * down / (width * height)


@dataclass(frozen=True, eq=False)
class Explanations:
    """N images, what the model answered, and by each method why.

    `images` uint8 (N, H, W, 3) as the network sees them; `targets` (N,) the classes explained;
    `maps` (N, H, W) by the method's name; `checks` by the same names, empty where none were made; `wholes`
    by row the whole image, where the network does not see all of it.
    """

    images: NDArray[np.uint8]
    predictions: Predictions
    targets: NDArray[np.int64]
    maps: Mapping[str, NDArray[np.float32]]
    checks: Mapping[str, Faithfulness]
    wholes: Mapping[int, Whole] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def top(self, row: int) -> list[tuple[str, float]]:
        """The most probable classes of an image with their probabilities, best first."""
        probabilities = self._probabilities(row)
        best = (-probabilities).argsort(kind="stable")[:TOP]
        return [(self.predictions.classes[k], float(probabilities[k])) for k in best]

    def target(self, row: int) -> tuple[str, float]:
        """The class that is explained, and its probability."""
        k = self.targets[row]
        return self.predictions.classes[k], float(self._probabilities(row)[k])

    def _probabilities(self, row: int) -> NDArray[np.float64]:
        """Those of one image: of all of them they are many."""
        return self.predictions.take(np.array([row])).probabilities()[0]

    def label(self, row: int) -> str | None:
        """The true class of an image, where it is known."""
        labels = self.predictions.labels
        known = labels is not None and labels[row] >= 0
        return self.predictions.classes[labels[row]] if known else None  # type: ignore[index]

    def json_form(self) -> dict[str, Any]:
        """All but the pixels: each image with its tests, and each method's means."""
        classes = self.predictions.classes
        images = [
            {
                "id": str(self.predictions.ids[row]),
                "label": self.label(row),
                "predicted": classes[self.predictions.predicted[row]],
                "target": self.target(row)[0],
                "target_probability": self.target(row)[1],
                "seen": self.wholes[row].share if row in self.wholes else 1.0,
                "top": [{"class": name, "probability": p} for name, p in self.top(row)],
                "methods": {
                    name: self.checks[name].of(row) if name in self.checks else None
                    for name in self.maps
                },
            }
            for row in range(len(self))
        ]
        methods = {name: check.means() for name, check in self.checks.items()}
        return {"pictures": images, "methods": methods, "faults": FAULTS}


def explain_images(
    network: nn.Module,
    images: NDArray[np.uint8],
    predictions: Predictions,
    targets: NDArray[np.int64],
    methods: Mapping[str, Method],
    *,
    check: bool = True,
    on_event: OnEvent = ignore,
) -> Explanations:
    """Explains images, uint8 (N, H, W, 3) as the network sees them, by each method.

    `predictions` are of the same images, by the function that `network` is: where a model averages TTA views,
    `Classifier.module(views=True)`. `check` tests each map as well, which takes many times as long:
    each image of several is then a note when it is done. Raises what a method raises.
    """
    device = device_of(network)
    classes = torch.from_numpy(targets).to(device)
    each, unit = (COST, "prediction") if check else (1, "image")
    count = _counting(len(images) * len(methods) * each, unit, on_event)
    copies = shuffled_copies(network) if check else ()
    maps: dict[str, list[NDArray[np.float32]]] = {name: [] for name in methods}
    checks: dict[str, list[Faithfulness]] = {name: [] for name in methods if check}
    for row in range(len(images)):
        x, target = to_input(images[row : row + 1], device), classes[row : row + 1]
        for name, method in methods.items():
            if not check:
                maps[name].append(method(network, x, target).cpu().numpy())
                count(1)
                continue
            tested = faithfulness(network, x, target, method, copies=copies, count=count)
            maps[name].append(tested.maps)
            checks[name].append(tested)
        if check and len(images) > 1:
            verdicts = ", ".join(f"{name} {parts[-1].verdict(0)}" for name, parts in checks.items())
            on_event(Note(f"{row + 1} of {len(images):,}: {predictions.ids[row]}: {verdicts}"))
    return Explanations(
        images,
        predictions,
        targets,
        {name: np.concatenate(parts) for name, parts in maps.items()},
        {name: concat(parts) for name, parts in checks.items()},
    )


def _counting(total: int, unit: str, on_event: OnEvent) -> Callable[[int], None]:
    """Reports progress from 0 on, as it is called with how many units were done since."""
    done = 0

    def count(units: int) -> None:
        nonlocal done
        done += units
        on_event(Progress("explaining", done, total, unit))

    count(0)
    return count


def choose(
    predictions: Predictions, count: int, only: Literal["wrong", "right"] | None = None
) -> NDArray[np.int64]:
    """Rows of labelled predictions to explain: the surest mistakes, then right ones drawn from seed 0.

    Half and half where `only` does not say which, an odd one wrong; where one kind is short the other
    fills its places. Fewer where there are no more.
    """
    assert predictions.labels is not None
    labelled = predictions.labels >= 0
    right = predictions.predicted == predictions.labels
    wrong_rows = np.flatnonzero(labelled & ~right)
    wrong_rows = wrong_rows[(-predictions.confidence()[wrong_rows]).argsort(kind="stable")]
    right_rows = np.random.default_rng(0).permutation(np.flatnonzero(right))
    if only == "wrong":
        return wrong_rows[:count]
    if only == "right":
        return right_rows[:count]
    wrong_rows = wrong_rows[: max(-(-count // 2), count - len(right_rows))]
    return np.concatenate([wrong_rows, right_rows[: count - len(wrong_rows)]])
