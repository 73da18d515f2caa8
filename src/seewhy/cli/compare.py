"""`seewhy compare`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import (
    PATH,
    as_json,
    data_option,
    device_option,
    reading_options,
    show,
    split_option,
    trust_option,
)
from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Part, Rows
from seewhy.cli.tables import with_interval
from seewhy.text import counted

if TYPE_CHECKING:
    from seewhy.analysis.compare import ComparedModel, ModelComparison


@click.command()
@click.argument("models", nargs=-1, required=True, shell_complete=models)
@data_option
@split_option("train", "val", "test")
@click.option("--out", type=PATH, help="a new folder for metrics and plots")
@as_json
@reading_options
@trust_option
@device_option
def command(models: tuple[str, ...], data: str, as_json: bool, **settings: Any) -> None:
    """Compare MODELS on the same images, with the significance of their differences.

    For test, run directories are compared by the predictions that `evaluate --split test` has stored in
    them.
    """
    show(seewhy.compare(models, data, on_event=Terminal(), **settings), as_json, _text)


def _text(result: "ModelComparison") -> Iterator[Part]:
    comparison = result.comparison
    yield f"{comparison.split}: the same {counted(comparison.n, 'image')}"
    yield ""
    costs = ("MB", "parameters", "ms / image")
    rows = [("", "accuracy (95%)", "macro F1", "log loss", "ECE", "train-val", *costs)]
    for contender in result.contenders:
        m = comparison.metrics[contender.name]
        gap = "-" if contender.gap is None else f"{100 * contender.gap.value:+.1f}"
        quality = (f"{m.macro.f1:.1%}", f"{m.nll:.3f}", f"{m.ece:.1%}", gap)
        latency = f"{contender.latency.median:.2f}"
        costs = (f"{contender.megabytes:.1f}", f"{contender.parameters:,}", latency)
        rows.append((contender.name, with_interval(m.accuracy), *quality, *costs))
    yield Rows(rows)
    yield ""
    yield from _trainings(result.contenders)
    for difference in comparison.differences:
        yield difference.verdict
        significant = [
            f"{name} {100 * row.recall.value:+.1f}"
            for name, row in sorted(difference.per_class.items(), key=lambda i: i[1].recall.value)
            if row.real
        ]
        if significant:
            yield f"  classes with a significant difference, in points: {', '.join(significant)}"
        yield (
            f"  only {difference.first} is correct on {counted(len(difference.first_only), 'image')}, only "
            f"{difference.second} on {len(difference.second_only):,}"
        )


def _trainings(contenders: "tuple[ComparedModel, ...]") -> Iterator[str]:
    curves = {one.name: one.curves for one in contenders if one.curves is not None}
    for name, one in curves.items():
        if not one.epochs:
            yield f"{name}: the last layer alone, on features of a frozen network"
            continue
        text = f"{name}: {counted(one.epochs, 'epoch')}, kept {one.kept}"
        if one.unsteadiness is None:
            yield text
            continue
        onset = "no overfitting" if one.onset is None else f"overfits from epoch {one.onset}"
        yield (
            f"{text}; {onset}; validation accuracy varies by {100 * one.unsteadiness:.1f} points per epoch "
            "at the end"
        )
    if curves:
        yield ""
