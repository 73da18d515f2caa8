"""`seewhy robustness`."""

from collections.abc import Iterator
from math import isnan
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import (
    as_json,
    data_option,
    device_option,
    reading_options,
    show,
    trust_option,
)
from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Part, Rows
from seewhy.cli.tables import with_interval
from seewhy.config.names import ATTACKS
from seewhy.text import counted

if TYPE_CHECKING:
    from seewhy.analysis.robustness_record import Curve, Robustness


@click.command()
@click.argument("model", shell_complete=models)
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
    on validation images; 1,000 take `fast` up to half an hour on one core. Writes the metrics to
    analysis/robustness.json, the plots to figures/ beside it.
    """
    show(seewhy.robustness(model, data, on_event=Terminal(), **settings), as_json, _text)


def _text(result: "Robustness") -> Iterator[Part]:
    lost = result.lost
    ends = lost.reason if isnan(lost.low) else f"{100 * lost.low:.1f} to {100 * lost.high:.1f}"
    yield f"{counted(result.n, 'validation image')}, {with_interval(result.clean)} accuracy on the originals"
    yield (
        f"mean corruption error {with_interval(result.mean_corruption_error)}, which is "
        f"{100 * lost.value:.1f} points more ({ends})"
    )
    yield ""
    rows = [("accuracy (%) at severity", *map(str, range(1, 6)), "mean")]
    means = {n: sum(i.value for i in row) / len(row) for n, row in result.corruptions.items()}
    for name in sorted(means, key=lambda name: means[name]):
        title = name.replace("_", " ").replace("jpeg", "JPEG")
        cells = (f"{100 * interval.value:.0f}" for interval in result.corruptions[name])
        rows.append((title, *cells, f"{100 * means[name]:.1f}"))
    yield Rows(rows)
    for curve in result.transformations.values():
        yield from _curve(curve, curve.about)
    for name, curve in result.attacks.items():
        about = f"{ATTACKS[name]}, {counted(result.attacked[name], 'image')}"
        yield from _curve(curve, f"{curve.about}: {about}")


def _curve(curve: "Curve", about: str) -> list[Part]:
    """A curve as two rows: the severities, and the percentages below them."""
    severities = (f"{severity:g}" for severity in curve.strengths)
    percents = (f"{100 * interval.value:.0f}" for interval in curve.accuracy)
    return ["", f"by {about}", Rows([("", *severities), ("accuracy (%)", *percents)])]
