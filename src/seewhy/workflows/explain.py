"""Explains predictions with attribution maps, and plots what a network's layers have learnt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seewhy.attribution.black_box import BlackBox
from seewhy.attribution.channels import channels
from seewhy.attribution.class_averages import class_averages
from seewhy.attribution.explanations import Explanations, choose, explain_images
from seewhy.attribution.layers import feature_maps, first_filters
from seewhy.attribution.method import Method
from seewhy.attribution.methods import PERTURBATION, find_method
from seewhy.data import Data, ImageSet
from seewhy.data.images.decode import centre
from seewhy.data.sources import describe
from seewhy.errors import DataError, UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.events import OnEvent, ignore
from seewhy.files import new_folder, to_json, write_atomic, write_json
from seewhy.inference.classifier import Classifier
from seewhy.inference.device import device_of
from seewhy.inference.forward import full_precision, to_input
from seewhy.inference.loading import load
from seewhy.plots import attribution as draw
from seewhy.workflows.evaluate import part_of, read_splits

# Most images (random, seed 0) and pixels for the statistics of channels and classes: 334 images at 224 pixels
FEATURE_IMAGES, FEATURE_PIXELS = 1000, 1 << 24


@dataclass(frozen=True, eq=False)
class Explained:
    """Explanations and their `folder`: the plots are `files`, explanations.json is `record`."""

    explanations: Explanations
    record: Mapping[str, Any]
    folder: Path
    files: tuple[str, ...]


def explain(
    model: str | Path,
    images: str | Path | Sequence[str | Path] = (),
    *,
    out: str | Path,
    data: Data | None = None,
    split: Literal["train", "val"] = "val",
    only: Literal["wrong", "right"] | None = None,
    count: int = 8,
    methods: str | Sequence[str] = "grad_cam",
    target: str | None = None,
    features: bool = False,
    check: bool = True,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> Explained:
    """Explains a model's predictions of `images`, or of `count` images of a split of `data`.

    `methods` are names of `attribution.methods.METHODS`; for a model that is not a single network only those
    that perturb pixels. `target` is the class to explain [the predicted one]; `only` selects wrong or right
    predictions; `check` tests each map's faithfulness; `features` also plots what the layers have learnt.
    `out` is a new folder. Raises `UsageError` for options that exclude each other, `DataError` for an image
    that cannot be read.
    """
    images = [images] if isinstance(images, str | Path) else images
    methods = [methods] if isinstance(methods, str) else methods
    if bool(images) == (data is not None):
        raise UsageError("give either images to explain, or --data to take them from")
    chosen = {name: find_method(name) for name in methods}
    with load(model, device=device) as classifier, full_precision():
        network = _network(classifier, chosen, features)
        folder = _new_folder(classifier, target, Path(out))
        part = None if data is None else _part(classifier, data, split, on_event)
        if part is None:
            seen, predictions = _named(classifier, images)
        else:
            seen, predictions = _chosen(classifier, part, count, only, on_event)
        targets = predictions.predicted
        if target is not None:
            targets = np.full_like(targets, classifier.classes.index(target))
        explanations = explain_images(
            *(network, seen, predictions, targets, chosen), check=check, on_event=on_event
        )
        figures = dict(_sheets(explanations))
        record: dict[str, Any] = {"model": str(model), "digest": classifier.digest}
        record |= to_json(explanations)
        if features:
            figures |= _layers(network, seen[:1])
        if features and part is not None:
            method = next(iter(chosen.values()))
            figures |= _learnt(network, classifier, part, method, record, on_event)
    for name, figure in figures.items():
        write_atomic(folder / name, figure)
    record["files"] = list(figures)
    write_json(record, folder / "explanations.json")
    return Explained(explanations, to_json(record), folder, tuple(figures))


def _network(classifier: Classifier, methods: Mapping[str, Method], features: bool) -> nn.Module:
    """The network to explain. Raises `UsageError` for methods that need gradients of one that has none."""
    network = classifier.predictor.differentiable()
    if network is not None:
        return network
    others = [name for name in methods if name not in PERTURBATION]
    if others or features:
        raise UsageError(
            f"{', '.join(others) or '--features'} needs a single network, and this model has several: use "
            f"--method {','.join(PERTURBATION)}, or explain one of its members"
        )
    return BlackBox(classifier.predictor)


def _new_folder(classifier: Classifier, target: str | None, out: Path) -> Path:
    if target is not None and target not in classifier.classes:
        known = ", ".join(classifier.classes[:20])
        raise UsageError(f"no class {target!r}: the classes are {known}")
    return new_folder(out)


def _part(
    classifier: Classifier, data: Data, split: Literal["train", "val"], on_event: OnEvent
) -> ImageSet:
    if split not in ("train", "val"):
        raise UsageError(f"images of {split} are not explained: choose train or val")
    images = part_of(read_splits(classifier, data, on_event=on_event), split)
    if not len(images):
        raise UsageError(f"{describe(data)} has no {split} images: choose the other --split")
    return images


def _named(
    classifier: Classifier, paths: Sequence[str | Path]
) -> tuple[NDArray[np.uint8], Predictions]:
    predictions = classifier.predict(paths, on_error="row")
    for row, (_, message) in predictions.errors.items():
        raise DataError(f"{paths[row]}: {message}")
    return np.stack([classifier.preprocess(path) for path in paths]), predictions


def _chosen(
    classifier: Classifier,
    part: ImageSet,
    count: int,
    only: Literal["wrong", "right"] | None,
    on_event: OnEvent,
) -> tuple[NDArray[np.uint8], Predictions]:
    predictions = classifier.predict_set(part, on_event=on_event)
    rows = choose(predictions, count, only)
    if not len(rows):
        raise UsageError(f"none of the {len(part):,} images is {only}: leave out --only")
    return centre(part.images[rows], classifier.rule.size), predictions.take(rows)


def _sheets(explanations: Explanations) -> Iterator[tuple[str, bytes]]:
    for number, rows in enumerate(draw.sheets(explanations), 1):
        yield f"explanations-{number}.png", draw.explanation_sheet(explanations, rows)
    if explanations.checks:
        yield "faithfulness.png", draw.faithfulness_curves(explanations.checks)


def _layers(network: nn.Module, images: NDArray[np.uint8]) -> dict[str, bytes]:
    maps = feature_maps(network, to_input(images, device_of(network)))
    layers = {name: layer[0].cpu().numpy() for name, layer in maps.items()}
    kernels = first_filters(network).cpu().numpy()
    return {"layers.png": draw.layer_maps(images[0], layers), "filters.png": draw.filters(kernels)}


def _learnt(
    network: nn.Module,
    classifier: Classifier,
    part: ImageSet,
    method: Method,
    record: dict[str, Any],
    on_event: OnEvent,
) -> dict[str, bytes]:
    """Plots channels and class averages over a part of a split, and adds their numbers to the record."""
    size, device = classifier.rule.size, device_of(network)
    most = max(1, min(FEATURE_IMAGES, FEATURE_PIXELS // size**2))
    rows = np.random.default_rng(0).permutation(len(part))[:most]
    sample = part.take(np.sort(rows))
    images = centre(sample.images[:], size)
    ablated = channels(network, sample, size=size, device=device, on_event=on_event)
    labels = torch.from_numpy(sample.labels).to(device)
    x = to_input(images, device)
    averages = class_averages(network, x, labels, method, classifier.classes)
    record["channels"] = ablated
    record["class_averages"] = averages
    return {
        "channels.png": draw.channel_sheet(ablated, images),
        "class-averages.png": draw.class_average_sheet(averages),
    }
