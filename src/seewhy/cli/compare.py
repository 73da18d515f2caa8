"""`seewhy compare`."""

from typing import TYPE_CHECKING, Any

import click

import seewhy
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
from seewhy.cli.tables import with_interval
from seewhy.text import counted

if TYPE_CHECKING:
    from seewhy.analysis.compare import ComparedModel, ModelComparison


@click.command()
@click.argument("models", nargs=-1, required=True)
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


def _text(result: "ModelComparison") -> str:
    comparison = result.comparison
    width = max(8, *(len(c.name) for c in result.contenders))
    lines = [
        f"{comparison.split}: the same {counted(comparison.n, 'image')}",
        "",
        f"{'':<{width}}  accuracy (95%)            macro F1  log loss    ECE  train-val"
        "      MB  parameters  ms / image",
    ]
    for contender in result.contenders:
        m = comparison.metrics[contender.name]
        gap = "-" if contender.gap is None else f"{100 * contender.gap.value:+.1f}"
        lines.append(
            f"{contender.name:<{width}}  {with_interval(m.accuracy):<24}  {m.macro.f1:>8.1%}  "
            f"{m.nll:>8.3f}  {m.ece:>5.1%}  {gap:>9}  {contender.megabytes:>6.1f}  "
            f"{contender.parameters:>10,}  {contender.latency.median:>10.2f}"
        )
    lines += ["", *_trainings(result.contenders)]
    for difference in comparison.differences:
        lines.append(difference.verdict)
        significant = [
            f"{name} {100 * row.recall.value:+.1f}"
            for name, row in sorted(difference.per_class.items(), key=lambda i: i[1].recall.value)
            if row.real
        ]
        if significant:
            lines.append(
                f"  classes with a significant difference, in points: {', '.join(significant)}"
            )
        lines.append(
            f"  only {difference.first} is correct on {counted(len(difference.first_only), 'image')}, only "
            f"{difference.second} on {len(difference.second_only):,}"
        )
    return "\n".join(lines)


def _trainings(contenders: "tuple[ComparedModel, ...]") -> list[str]:
    lines = []
    for contender in contenders:
        curves = contender.curves
        if curves is None:
            continue
        onset = "no overfitting" if curves.onset is None else f"overfits from epoch {curves.onset}"
        lines.append(
            f"{contender.name}: {counted(curves.epochs, 'epoch')}, kept {curves.kept}; {onset}; validation "
            f"accuracy varies by {100 * curves.unsteadiness:.1f} points per epoch at the end"
        )
    return [*lines, ""] if lines else []
