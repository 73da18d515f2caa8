"""`seewhy explain`."""

import sys
from collections.abc import Iterator
from math import isnan
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import data_sets, files, models
from seewhy.cli.options import (
    PATH,
    READING,
    as_json,
    device_option,
    reading_options,
    refuse_given,
    show,
    split_option,
    trust_option,
)
from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Part, Rows
from seewhy.config.names import METHODS, PERTURBATION_METHODS
from seewhy.text import counted, percent

if TYPE_CHECKING:
    from seewhy.workflows.explain import Explained


@click.command()
@click.argument("model", shell_complete=models)
@click.argument("images", nargs=-1, shell_complete=files)
@click.option(
    "--data", shell_complete=data_sets, help="take images from this labelled data instead"
)
@split_option("train", "val")
@click.option("--only", type=click.Choice(["wrong", "right"]), help="of --data [half of each]")
@click.option("--n", "count", type=click.IntRange(1, 1000), default=8, show_default=True)
@click.option(
    "--method",
    "names",
    default="grad_cam",
    show_default=True,
    help=f"one or more, separated by commas: {', '.join(METHODS)}",
)
@click.option(
    "--target",
    metavar="CLASS",
    help="the class to explain, or true for each image's label [the predicted class]",
)
@click.option("--features", is_flag=True, help="also plot what the network's layers have learnt")
@click.option(
    "--check/--no-check", default=True, show_default=True, help="test each map's faithfulness"
)
@click.option("--out", required=True, type=PATH, help="a new folder")
@as_json
@reading_options
@trust_option
@device_option
def command(
    model: str,
    images: tuple[str, ...],
    data: str | None,
    names: str,
    as_json: bool,
    **settings: Any,
) -> None:
    """Explain MODEL's predictions of IMAGES (files, folders, globs) or of a split with attribution maps.

    Plots each image with its map by every method, as an overlay and alone, beside the most probable
    classes; tests each map, and marks those that fail as unreliable. --features also plots the first
    filters and the layers' maps, and with --data the most important channels and each class's mean map.
    """
    if images and not data:
        flags = {"split": "--split", "only": "--only", "count": "--n", **READING}
        refuse_given(
            flags,
            "can only choose images from --data, but images are named: leave it out, or give --data "
            "instead of images",
        )
    methods = [name.strip() for name in names.split(",")]
    result = seewhy.explain(
        model, images, data=data, methods=methods, on_event=Terminal(), **settings
    )
    show(result.record, as_json, lambda _: _lines(result))
    sys.exit(1 if result.errors else 0)


def _lines(result: "Explained") -> Iterator[Part]:
    explanations = result.explanations
    for row in range(len(explanations)):
        label = explanations.label(row)
        top = ", ".join(f"{name} {percent(share)}" for name, share in explanations.top(row))
        truth = f"; true class {label}" if label else ""
        target, share = explanations.target(row)
        yield f"{explanations.predictions.ids[row]}: {top}{truth}; explained: {target} {percent(share)}"
        if row in explanations.wholes:
            yield f"  the network sees {explanations.wholes[row].share:.0%} of the image"
        for name, check in explanations.checks.items():
            yield f"  {name:<22}{check.verdict(row)}"
    if explanations.checks:
        yield ""
        titles = ("shuffled", "reliable")
        rows: list[tuple[str, ...]] = [("mean, moved map", "deletion", "insertion", *titles)]
        for name, check in explanations.checks.items():
            mean = check.means()
            changes = (
                f"{mean[how]:.2f}, {mean[f'random_{how}']:.2f}" for how in ("deletion", "insertion")
            )
            shuffled = "-" if isnan(mean["randomised"]) else f"{mean['randomised']:+.2f}"
            rows.append((name, *changes, shuffled, f"{mean['reliable']:.0%}"))
        yield Rows(rows)
        if any(
            "chance" in check.faults(row)
            for check in explanations.checks.values()
            for row in range(len(check))
        ):
            yield "chance: a reliable map is better than each of its 8 moved copies, not only than their mean"
        maps = zip(*(check.reliable for check in explanations.checks.values()), strict=True)
        unexplained = sum(not any(reliable) for reliable in maps)
        others = [name for name in PERTURBATION_METHODS if name not in explanations.checks]
        if unexplained and others:
            yield (
                f"{counted(unexplained, 'image')} without a reliable map, which says nothing of the model: "
                f"try --method {','.join(others)}, which takes seconds a thumbnail and minutes a photograph"
            )
    yield ""
    yield f"{result.folder}: explanations.json, {', '.join(result.files)}"
