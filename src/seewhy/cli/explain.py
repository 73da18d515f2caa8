"""`seewhy explain`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import torch
from click.core import ParameterSource

from seewhy.attribution.channels import channels
from seewhy.attribution.class_averages import class_averages
from seewhy.attribution.explanations import Explanations, choose, explain_pictures
from seewhy.attribution.layers import feature_maps, first_filters
from seewhy.attribution.method import Method
from seewhy.attribution.methods import METHODS, find_method
from seewhy.cli.output import new_folder
from seewhy.cli.progress import ReadingBar, say
from seewhy.data import ImageSet
from seewhy.data.images.decode import centre
from seewhy.errors import DataError, UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.files import to_json, write_atomic, write_json
from seewhy.inference.classifier import Classifier
from seewhy.inference.forward import to_input
from seewhy.inference.locate import load
from seewhy.plots import attribution as explain_figures

# Of the split's pictures, drawn from seed 0, for what channels and classes are told by: at 224 pixels 334
FEATURE_PICTURES, FEATURE_PIXELS = 1000, 1 << 24


@click.command()
@click.argument("model")
@click.argument("pictures", nargs=-1)
@click.option("--data", help="pictures from labelled data, in place of named ones")
@click.option("--split", type=click.Choice(["train", "val"]), default="val", show_default=True)
@click.option("--only", type=click.Choice(["wrong", "right"]), help="of --data [half of each]")
@click.option("--n", "count", type=click.IntRange(1, 1000), default=8, show_default=True)
@click.option(
    "--method",
    "names",
    default="grad_cam",
    show_default=True,
    help=f"one or more, with commas: {', '.join(METHODS)}",
)
@click.option("--target", metavar="CLASS", help="the class to explain [the predicted one]")
@click.option("--features", is_flag=True, help="also draw what the network's layers have learnt")
@click.option("--check/--no-check", default=True, show_default=True, help="test each map")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="a new folder")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
@click.pass_context
def command(
    context: click.Context,
    model: str,
    pictures: tuple[str, ...],
    data: str | None,
    split: Literal["train", "val"],
    only: Literal["wrong", "right"] | None,
    count: int,
    names: str,
    target: str | None,
    features: bool,
    check: bool,
    out: Path,
    as_json: bool,
    device: str,
) -> None:
    """Show why MODEL takes PICTURES, or pictures of a split, for what it says.

    Draws each picture with its map by every method, over it and alone, beside the most probable
    classes; tests each map, and stamps those that fail as unreliable. With --features also the first
    filters, the layers' maps, and with --data the channels that matter and each class's mean map.
    """
    if bool(pictures) == bool(data):
        raise UsageError("give pictures to explain, or --data to take them from: one of the two")
    if pictures:
        _refuse_idle(context)
    methods = {name.strip(): find_method(name.strip()) for name in names.split(",")}
    classifier = load(model, device=device)
    if target is not None and target not in classifier.classes:
        known = ", ".join(classifier.classes[:20])
        raise UsageError(f"no class {target!r}: the model knows {known}")
    new_folder(out)
    part = _part(classifier, data, split) if data else None
    if part is None:
        images, predictions = _named(classifier, pictures)
    else:
        images, predictions = _chosen(classifier, part, count, only)
    targets = predictions.predicted
    if target is not None:
        targets = np.full_like(targets, classifier.classes.index(target))
    found = explain_pictures(
        *(classifier, images, predictions, targets, methods),
        check=check,
        progress=ReadingBar("explaining"),
    )
    drawn = dict(_sheets(found))
    report: dict[str, Any] = {"model": model, "digest": classifier.digest, **to_json(found)}
    if features:
        drawn |= _layers(classifier, images[:1])
    if features and part is not None:
        drawn |= _learnt(classifier, part, next(iter(methods.values())), report)
    for name, picture in drawn.items():
        write_atomic(out / name, picture)
    report["files"] = list(drawn)
    write_json(report, out / "explanations.json")
    click.echo(
        json.dumps(to_json(report)) if as_json else "\n".join(_lines(found, out, list(drawn)))
    )


def _refuse_idle(context: click.Context) -> None:
    """Raises `UsageError` for options that choose from --data beside pictures that are named."""
    options = {"split": "--split", "only": "--only", "count": "--n"}
    given = [
        option
        for name, option in options.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(
            f"{' and '.join(given)} would choose pictures from --data, and these are named: leave "
            f"{'it' if len(given) == 1 else 'them'} out, or give --data in place of pictures"
        )


def _part(classifier: Classifier, data: str, split: str) -> ImageSet:
    splits = classifier.splits(data, progress=ReadingBar("reading"))
    for note in splits.notes:
        say(note)
    part = splits.val if split == "val" else splits.train
    if not len(part):
        raise UsageError(f"{data} has no {split} pictures: choose the other --split")
    return part


def _named(classifier: Classifier, paths: tuple[str, ...]) -> tuple[np.ndarray, Predictions]:
    predictions = classifier.predict(paths, on_error="row")
    for row, (_, message) in predictions.errors.items():
        raise DataError(f"{paths[row]}: {message}")
    return np.stack([classifier.preprocess(path) for path in paths]), predictions


def _chosen(
    classifier: Classifier, part: ImageSet, count: int, only: Literal["wrong", "right"] | None
) -> tuple[np.ndarray, Predictions]:
    predictions = classifier.predict_set(part, progress=ReadingBar("predicting"))
    rows = choose(predictions, count, only)
    if not len(rows):
        raise UsageError(f"of these {len(part):,} pictures none is {only}: leave out --only")
    return centre(part.images[rows], classifier.rule.size), predictions.take(rows)


def _sheets(found: Explanations) -> Iterator[tuple[str, bytes]]:
    for number, rows in enumerate(explain_figures.sheets(found), 1):
        yield f"explanations-{number}.png", explain_figures.explanation_sheet(found, rows)
    if found.checks:
        yield "faithfulness.png", explain_figures.faithfulness_curves(found.checks)


def _layers(classifier: Classifier, images: np.ndarray) -> dict[str, bytes]:
    network = classifier.bundle.network
    maps = feature_maps(network, to_input(images, classifier.device))
    layers = {name: found[0].cpu().numpy() for name, found in maps.items()}
    kernels = first_filters(network).cpu().numpy()
    return {
        "layers.png": explain_figures.layer_maps(images[0], layers),
        "filters.png": explain_figures.filters(kernels),
    }


def _learnt(
    classifier: Classifier, part: ImageSet, method: Method, report: dict[str, Any]
) -> dict[str, bytes]:
    """Draws channels and class averages over a part of a split, and adds their figures to the report."""
    size, network = classifier.rule.size, classifier.bundle.network
    most = max(1, min(FEATURE_PICTURES, FEATURE_PIXELS // size**2))
    rows = np.random.default_rng(0).permutation(len(part))[:most]
    some = part.take(np.sort(rows))
    images = centre(some.images[:], size)
    ablated = channels(
        network, some, size=size, device=classifier.device, progress=ReadingBar("ablating")
    )
    labels = torch.from_numpy(some.labels).to(classifier.device)
    x = to_input(images, classifier.device)
    averages = class_averages(network, x, labels, method, classifier.classes)
    report["channels"] = ablated
    report["class_averages"] = averages
    return {
        "channels.png": explain_figures.channel_sheet(ablated, images),
        "class-averages.png": explain_figures.class_average_sheet(averages),
    }


def _lines(found: Explanations, out: Path, drawn: list[str]) -> Iterator[str]:
    for row in range(len(found)):
        label = found.label(row)
        top = ", ".join(f"{name} {probability:.0%}" for name, probability in found.top(row))
        yield f"{found.predictions.ids[row]}: {top}" + (f"; is {label}" if label else "")
        for name, check in found.checks.items():
            faults = check.faults(row)
            yield f"  {name:<22}" + (f"unreliable: {', '.join(faults)}" if faults else "reliable")
    if found.checks:
        yield ""
        yield "  means, and moved         deletion     insertion  shuffled  reliable"
    for name, check in found.checks.items():
        mean = check.means()
        yield (
            f"  {name:<22}{mean['deletion']:>6.2f}, {mean['random_deletion']:.2f}"
            f"{mean['insertion']:>8.2f}, {mean['random_insertion']:.2f}"
            f"{mean['randomised']:>+10.2f}{mean['reliable']:>10.0%}"
        )
    yield f"\n{out}: explanations.json, {', '.join(drawn)}"
