"""`seewhy compare`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

import seewhy
from seewhy.cli.progress import Terminal
from seewhy.cli.tables import with_interval

if TYPE_CHECKING:
    from seewhy.analysis.compare import ComparedModel, ModelComparison


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--data", required=True, help="digits, cifar10, a folder or an archive")
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="val", show_default=True
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="a new folder for figures and pictures"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
def command(
    models: tuple[str, ...],
    data: str,
    split: Literal["train", "val", "test"],
    out: Path | None,
    as_json: bool,
    device: str,
) -> None:
    """Say which of MODELS is better, and whether the difference is real.

    All are shown the same pictures. For test, run directories are compared by what `evaluate --split
    test` has stored in them.
    """
    result = seewhy.compare(models, data, split, out=out, device=device, on_event=Terminal())
    click.echo(json.dumps(seewhy.to_json(result)) if as_json else _text(result))


def _text(found: "ModelComparison") -> str:
    comparison = found.comparison
    width = max(8, *(len(c.name) for c in found.contenders))
    lines = [
        f"{comparison.split}: the same {comparison.n:,} pictures",
        "",
        f"{'':<{width}}  accuracy (95%)            macro F1  log loss    ECE  train-val"
        "      MB  parameters  ms a picture",
    ]
    for contender in found.contenders:
        m = comparison.metrics[contender.name]
        rate = with_interval(m.accuracy)
        gap = "-" if contender.gap is None else f"{100 * contender.gap.value:+.1f}"
        lines.append(
            f"{contender.name:<{width}}  {rate:<24}  {m.macro.f1:>8.1%}  {m.nll:>8.3f}  {m.ece:>5.1%}  "
            f"{gap:>9}  {contender.megabytes:>6.1f}  {contender.parameters:>10,}  "
            f"{contender.latency.median:>12.2f}"
        )
    lines.append("")
    lines += _trainings(found.contenders)
    for difference in comparison.differences:
        lines.append(difference.verdict)
        real = [
            f"{name} {100 * row.recall.value:+.1f}"
            for name, row in sorted(difference.per_class.items(), key=lambda i: i[1].recall.value)
            if row.real
        ]
        if real:
            lines.append(f"  classes with a real difference, in points: {', '.join(real)}")
        alone = len(difference.first_only), len(difference.second_only)
        lines.append(
            f"  {difference.first} alone is right on {alone[0]:,} pictures, {difference.second} alone on "
            f"{alone[1]:,}"
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
            f"{contender.name}: {curves.epochs} epochs, kept {curves.kept}; {onset}; validation "
            f"accuracy moves by {100 * curves.unsteadiness:.1f} points an epoch at the end"
        )
    return [*lines, ""] if lines else []
