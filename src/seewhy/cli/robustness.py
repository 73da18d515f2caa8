"""`seewhy robustness`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

import seewhy
from seewhy.cli.progress import Terminal
from seewhy.cli.tables import with_interval
from seewhy.config.names import ATTACKS

if TYPE_CHECKING:
    from seewhy.analysis.robustness import Curve, Robustness


@click.command()
@click.argument("model")
@click.option("--data", required=True, help="digits, cifar10, a folder or an archive")
@click.option(
    "--n", default=1000, show_default=True, type=click.IntRange(1), help="validation pictures"
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="where its files go [the run, of its own data]",
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
def command(model: str, data: str, n: int, out: Path | None, as_json: bool, device: str) -> None:
    """Say what is left of MODEL's accuracy when pictures go bad, move, or are made to deceive it.

    Fifteen corruptions in five strengths (as CIFAR-10-C), JPEG, shift, rotation, scale, and three attacks,
    on validation pictures; 1,000 take `fast` 12 minutes of one core. Figures go to
    analysis/robustness.json, drawings to figures/ beside it.
    """
    result = seewhy.robustness(model, data, n=n, out=out, device=device, on_event=Terminal())
    click.echo(json.dumps(seewhy.to_json(result)) if as_json else _text(result))


def _text(found: "Robustness") -> str:
    lost = found.lost
    lines = [
        f"{found.n:,} validation pictures, {with_interval(found.clean)} right as they are",
        f"mean corruption error {with_interval(found.mean_corruption_error)}, which is "
        f"{100 * lost.value:.1f} points more ({100 * lost.low:.1f} to {100 * lost.high:.1f})",
        "",
        f"{'percent right at strength':<26}{''.join(f'{k:>6}' for k in range(1, 6))}{'mean':>8}",
    ]
    means = {n: sum(i.value for i in row) / len(row) for n, row in found.corruptions.items()}
    for name in sorted(means, key=lambda name: means[name]):
        cells = "".join(f"{100 * interval.value:>6.0f}" for interval in found.corruptions[name])
        lines.append(
            f"  {name.replace('_', ' ').replace('jpeg', 'JPEG'):<24}{cells}{100 * means[name]:>8.1f}"
        )
    for curve in found.transformations.values():
        lines += _curve(curve, f"percent right by {curve.about}")
    for name, curve in found.attacks.items():
        about = f"{ATTACKS[name]}, {found.attacked[name]:,} pictures"
        lines += _curve(curve, f"percent right by {curve.about}: {about}")
    return "\n".join(lines)


def _curve(curve: "Curve", about: str) -> list[str]:
    """A curve as two rows: the strengths, and the percentages below them."""
    strengths = "".join(f"{strength:>8g}" for strength in curve.strengths)
    percents = "".join(f"{100 * interval.value:>8.0f}" for interval in curve.accuracy)
    return ["", about, strengths, percents]
