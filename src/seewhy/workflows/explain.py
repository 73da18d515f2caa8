"""Explains predictions with attribution maps, and plots what a network's layers have learnt."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seewhy.attribution.black_box import BlackBox, explainable
from seewhy.attribution.channels import channels
from seewhy.attribution.class_averages import class_averages
from seewhy.attribution.explanations import Explanations, Whole, choose, explain_images
from seewhy.attribution.layers import feature_maps, first_filters
from seewhy.attribution.method import Method
from seewhy.attribution.methods import find_method
from seewhy.config.data import DataConfig
from seewhy.config.input_rule import InputRule
from seewhy.data import Data, ImageSet
from seewhy.data.images.decode import ImageLike, centre, open_image
from seewhy.data.originals import Original, originals
from seewhy.data.shape import cropped_note
from seewhy.errors import DataError, UsageError
from seewhy.evaluation.collapse import collapse
from seewhy.evaluation.metrics import confusion, labelled
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Diagnostic, Note, OnEvent, ignore
from seewhy.files import named_path, output_folder, to_json, write_atomic, write_json
from seewhy.inference.classifier import Classifier
from seewhy.inference.device import device_of
from seewhy.inference.forward import full_precision, to_input
from seewhy.inference.loading import load
from seewhy.plots import attribution as draw
from seewhy.text import counted, near, shortened, visible
from seewhy.workflows.evaluate import part_of, read_splits
from seewhy.workflows.named_images import named_images

# Most images (random, seed 0) and pixels for the statistics of channels and classes: 334 images at 224 pixels
FEATURE_IMAGES, FEATURE_PIXELS = 1000, 1 << 24


MOST = 1000  # images explained at once
TRUE = "true"  # the target that stands for an image's label


@dataclass(frozen=True, eq=False)
class Explained:
    """Explanations and their `folder`: the plots are `files`, explanations.json is `record`.

    `errors` are the messages of named images that could not be read, by path.
    """

    explanations: Explanations
    record: Mapping[str, Any]
    folder: Path
    files: tuple[str, ...]
    errors: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is explained: images as the network sees them, their predictions, and whole images by row."""

    images: NDArray[np.uint8]
    predictions: Predictions
    wholes: Mapping[int, Whole]
    errors: Mapping[str, str] = field(default_factory=dict)
    diagnostics: Sequence[Diagnostic] = ()


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
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> Explained:
    """Explains a model's predictions of `images`, or of `count` images of a split of `data`.

    `images` are files, folders and globs, as in `label_images`; what cannot be read is left out and reported.
    `methods` are names of `attribution.methods.METHODS`; for a model that is not a single network only those
    that perturb pixels. They explain the mean of the model's TTA views, by which it answers. `target` is the
    class to explain [the predicted one], or "true" for each image's label; `only` selects wrong or right
    predictions; `check` tests each map's faithfulness; `features` also plots what the layers have learnt.
    `options` sets fields of `DataConfig`; `out` is a new folder. Raises `UsageError` for options that exclude
    each other, `DataError` if no image can be read.
    """
    images = _paths(images, data)
    methods = [methods] if isinstance(methods, str) else methods
    chosen = {name: find_method(name) for name in methods}
    with (
        load(model, device=device) as classifier,
        full_precision(),
        output_folder(named_path(out)) as folder,
    ):
        network = _network(classifier, chosen, features)
        _check_target(classifier, target, data, on_event)
        part = None
        if data is None:
            names = named_images(images, on_event=on_event)
            subject = _named(classifier, names, on_event)
        else:
            part, config = _part(classifier, data, split, options, on_event)
            files = partial(originals, data, config=config, depth=classifier.rule.depth)
            subject = _chosen(classifier, part, files, count, only, on_event)
        predictions, targets = subject.predictions, _targets(subject.predictions, target)
        explanations = explain_images(
            *(network, subject.images, predictions, targets, chosen), check=check, on_event=on_event
        )
        explanations = replace(explanations, wholes=subject.wholes)
        figures = dict(_sheets(explanations))
        record = _record(str(model), classifier, explanations, subject)
        if features:
            figures |= _layers(classifier.module(), subject.images[:1])
        if features and part is not None:
            method = next(iter(chosen.values()))
            figures |= _learnt(network, classifier, part, method, record, on_event)
        record["files"] = list(figures)
        _write(folder, figures, record)
    return Explained(explanations, to_json(record), folder, tuple(figures), subject.errors)


def explain_named(
    classifier: Classifier,
    names: Sequence[str],
    out: Path,
    *,
    model: str,
    on_event: OnEvent = ignore,
) -> Explained:
    """Explains images that a loaded `model` has predicted, as `explain` does; `out` is a new folder.

    By Grad-CAM, or by occlusion where the model is not a single network.
    """
    single = classifier.predictor.differentiable() is not None
    methods = {name: find_method(name) for name in ["grad_cam" if single else "occlusion"]}
    with output_folder(out) as folder:
        subject = _named(classifier, names, on_event)
        explanations = explain_images(
            _network(classifier, methods, features=False),
            subject.images,
            subject.predictions,
            subject.predictions.predicted,
            methods,
            on_event=on_event,
        )
        explanations = replace(explanations, wholes=subject.wholes)
        figures = dict(_sheets(explanations))
        record = _record(model, classifier, explanations, subject) | {"files": list(figures)}
        _write(folder, figures, record)
    return Explained(explanations, to_json(record), folder, tuple(figures), subject.errors)


def _record(
    model: str, classifier: Classifier, explanations: Explanations, subject: _Subject
) -> dict[str, Any]:
    record = {"model": model, "digest": classifier.digest, **to_json(explanations)}
    return record | {"errors": subject.errors, "diagnostics": subject.diagnostics}


def _write(folder: Path, figures: Mapping[str, bytes], record: Mapping[str, Any]) -> None:
    for name, figure in figures.items():
        write_atomic(folder / name, figure)
    write_json(record, folder / "explanations.json")


def _network(classifier: Classifier, methods: Mapping[str, Method], features: bool) -> nn.Module:
    """The function that answers. Raises `UsageError` for methods that need gradients of one that has none."""
    network, offered = explainable(classifier.predictor)
    others = [name for name in methods if name not in offered]
    if others or (features and isinstance(network, BlackBox)):
        raise UsageError(
            f"{', '.join(others) or '--features'} needs a network: {classifier.predictor.no_network}; or use "
            f"--method {','.join(offered)}"
        )
    return network


def _paths(images: str | Path | Sequence[str | Path], data: Data | None) -> Sequence[str | Path]:
    """The images to explain as a list; raises `UsageError` unless there are some, or `data`, but not both."""
    paths = [images] if isinstance(images, str | Path) else images
    if not all(isinstance(path, str | Path) for path in paths):
        raise UsageError("explain takes paths of images: for arrays, use seewhy.explain_images")
    if bool(paths) == (data is not None):
        raise UsageError("give either images to explain, or --data to take them from")
    return paths


def _check_target(
    classifier: Classifier, target: str | None, data: Data | None, on_event: OnEvent
) -> None:
    """Raises `UsageError` for a target that is no class, or the label where none is known."""
    classes = classifier.classes
    if target == TRUE and data is None and TRUE not in classes:
        raise UsageError(
            "--target true explains the label, and named images have none: give --data"
        )
    if target == TRUE and data is not None and TRUE in classes:
        on_event(
            Note("true is a class of this model: it is explained, not the label of each image")
        )
    if target not in (None, TRUE, *classes):
        known = f"the classes are {shortened(classes, 20)}; true stands for the label"
        if not isinstance(target, str):
            raise UsageError(f"target {target!r}: expected the name of a class; {known}")
        asks = near(target, [*classes, TRUE])
        raise UsageError(f"no class {visible(target)!r}{asks or ':'} {known}")


def _targets(predictions: Predictions, target: str | None) -> NDArray[np.int64]:
    """The class to explain of each image."""
    if target is None:
        return predictions.predicted
    if target in predictions.classes:
        return np.full_like(predictions.predicted, predictions.classes.index(target))
    assert predictions.labels is not None
    return predictions.labels


def _part(
    classifier: Classifier,
    data: Data,
    split: Literal["train", "val"],
    options: Mapping[str, Any] | None,
    on_event: OnEvent,
) -> tuple[ImageSet, DataConfig]:
    """The images of a split, and what they were read by."""
    if split not in ("train", "val"):
        raise UsageError(f"images of {split} are not explained: choose train or val")
    splits = read_splits(classifier, data, options, on_event)
    return part_of(splits, split), splits.config


def _named(classifier: Classifier, names: Sequence[str], on_event: OnEvent) -> _Subject:
    """Those of the images of these names that can be read."""
    if len(names) > MOST:
        raise UsageError(
            f"{counted(len(names), 'image')}: at most {MOST:,} are explained at once; name fewer, "
            f"or give --data to "
            "choose some of a split"
        )
    predictions = classifier.predict(names, on_error="row")
    errors = {names[row]: message for row, (_, message) in predictions.errors.items()}
    for name, message in errors.items():
        on_event(Note(f"{name}: {message}"))
    if len(errors) == len(names):
        name, message = next(iter(errors.items()))
        raise DataError(f"{name}: {message}")
    good = [row for row in range(len(names)) if row not in predictions.errors]
    readable = [names[row] for row in good]
    for note in cropped_note(readable, classifier.rule.fit):
        on_event(Note(note))
    return _Subject(
        np.stack([classifier.preprocess(name) for name in readable]),
        predictions.take(np.array(good)),
        _wholes(
            classifier.rule,
            {row: _original(name, classifier.rule) for row, name in enumerate(readable)},
        ),
        errors,
    )


def _chosen(
    classifier: Classifier,
    part: ImageSet,
    files: Callable[[Collection[str]], dict[str, Original]],
    count: int,
    only: Literal["wrong", "right"] | None,
    on_event: OnEvent,
) -> _Subject:
    """Some images of a split, by their predictions; says if the model gives all one class."""
    predictions = classifier.predict_set(part, on_event=on_event)
    collapsed = collapse(confusion(labelled(predictions)), predictions.classes)
    for diagnostic in collapsed:
        on_event(diagnostic)
    rows = choose(predictions, count, only)
    if not len(rows):
        raise UsageError(f"none of the {counted(len(part), 'image')} is {only}: leave out --only")
    some = part.take(rows)
    return _Subject(
        centre(some.images[:], classifier.rule.size),
        predictions.take(rows),
        _wholes(classifier.rule, _originals(classifier.rule, some, files)),
        diagnostics=collapsed,
    )


def _original(source: ImageLike, rule: InputRule) -> NDArray[np.uint8]:
    """A whole image, upright, reduced to what a figure needs."""
    whole = open_image(source, depth=rule.depth)
    whole.thumbnail((draw.SIDE, draw.SIDE))
    return np.asarray(whole)


def _originals(
    rule: InputRule, images: ImageSet, files: Callable[[Collection[str]], dict[str, Original]]
) -> dict[int, NDArray[np.uint8]]:
    """By row the whole image, of those that the network does not see all of."""
    sizes = images.sizes.tolist() if images.sizes is not None else []
    cut = {images.ids[row]: row for row, size in enumerate(sizes) if _is_cut(rule, *size)}
    read = files(set(cut)) if cut else {}
    return {cut[name]: _original(original.image, rule) for name, original in read.items()}


def _wholes(rule: InputRule, images: Mapping[int, NDArray[np.uint8]]) -> dict[int, Whole]:
    """Those of the whole images of which the network sees a part, with that part."""
    shapes = {row: (image.shape[1], image.shape[0]) for row, image in images.items()}
    return {
        row: Whole(images[row], rule.seen(*shape))
        for row, shape in shapes.items()
        if _is_cut(rule, *shape)
    }


def _is_cut(rule: InputRule, width: int, height: int) -> bool:
    """Whether the network does not see a part of an image of this size."""
    left, top, right, bottom = rule.seen(width, height)
    return left > 0 or top > 0 or right < width or bottom < height


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
