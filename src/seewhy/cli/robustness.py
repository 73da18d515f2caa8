"""`seewhy robustness`."""

from math import isnan
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.options import (
    as_json,
    data_option,
    device_option,
    reading_options,
    show,
    trust_option,
)
from seewhy.cli.progress import Terminal
from seewhy.cli.tables import with_interval
from seewhy.config.names import ATTACKS
from seewhy.text import counted

if TYPE_CHECKING:
    from seewhy.analysis.robustness_record import Curve, Robustness


@click.command()
@click.argument("model")
@data_option
@click.option(
    "--n", default=1000, show_default=True, type=click.IntRange(1), help="validation images"
)
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    help="output directory [the run, for its own data]",
)
@as_json
@reading_options
@trust_option
@device_option
def command(model: str, data: str, as_json: bool, **settings: Any) -> None:
    """Measure MODEL's accuracy under corruptions, transformations and adversarial attacks.

    Fifteen corruptions at five severities (as CIFAR-10-C), JPEG, shift, rotation, scale, and three attacks,
    on validation images; 1,000 take `fast` 12 minutes on one core. Writes the metrics to
    analysis/robustness.json, the plots to figures/ beside it.
    """
    show(seewhy.robustness(model, data, on_event=Terminal(), **settings), as_json, _text)


def _text(result: "Robustness") -> str:
    lost = result.lost
    ends = lost.reason if isnan(lost.low) else f"{100 * lost.low:.1f} to {100 * lost.high:.1f}"
    lines = [
        f"{counted(result.n, 'validation image')}, {with_interval(result.clean)} accuracy on the originals",
        f"mean corruption error {with_interval(result.mean_corruption_error)}, which is "
        f"{100 * lost.value:.1f} points more ({ends})",
        "",
        f"{'accuracy (%) at severity':<26}{''.join(f'{k:>6}' for k in range(1, 6))}{'mean':>8}",
    ]
    means = {n: sum(i.value for i in row) / len(row) for n, row in result.corruptions.items()}
    for name in sorted(means, key=lambda name: means[name]):
        cells = "".join(f"{100 * interval.value:>6.0f}" for interval in result.corruptions[name])
        lines.append(
            f"  {name.replace('_', ' ').replace('jpeg', 'JPEG'):<24}{cells}{100 * means[name]:>8.1f}"
        )
    for curve in result.transformations.values():
        lines += _curve(curve, f"accuracy (%) by {curve.about}")
    for name, curve in result.attacks.items():
        about = f"{ATTACKS[name]}, {counted(result.attacked[name], 'image')}"
        lines += _curve(curve, f"accuracy (%) by {curve.about}: {about}")
    return "\n".join(lines)


def _curve(curve: "Curve", about: str) -> list[str]:
    """A curve as two rows: the severities, and the percentages below them."""
    severities = "".join(f"{severity:>8g}" for severity in curve.strengths)
    percents = "".join(f"{100 * interval.value:>8.0f}" for interval in curve.accuracy)
    return ["", about, severities, percents]
