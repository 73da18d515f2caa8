"""`seewhy compress`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.options import PATH, as_json, data_option, show
from seewhy.cli.progress import Terminal
from seewhy.cli.tables import with_interval
from seewhy.text import counted

if TYPE_CHECKING:
    from seewhy.exporters.gate import Candidate
    from seewhy.workflows.compress import Compression

METHODS = "int8,prune,magnitude,distil"


@click.command()
@click.argument("model")
@data_option
@click.option(
    "--out", type=PATH, required=True, help="folder for the files, the table and the figure"
)
@click.option("--methods", default=METHODS, show_default=True, help="what to try")
@click.option("--max-drop", default=0.5, show_default=True, help="most points of accuracy to lose")
@click.option(
    "--keep", default=0.75, show_default=True, help="share of the channels or weights kept"
)
@click.option("--epochs", type=click.IntRange(1), help="of each training [by the model's recipe]")
@as_json
def command(model: str, data: str, out: Path, methods: str, as_json: bool, **settings: Any) -> None:
    """Make MODEL smaller and faster, and keep what proves its worth on its validation images.

    int8 quantises; prune leaves out channels and magnitude small weights, both with fine-tuning; distil
    trains a narrower network to answer alike. What loses more than --max-drop points, or gains neither size
    nor speed, is rejected and not written.
    """
    chosen = [name.strip() for name in methods.split(",") if name.strip()]
    result = seewhy.compress(model, data, out, methods=chosen, on_event=Terminal(), **settings)
    show(result, as_json, _text)


def _text(result: "Compression") -> str:
    rows = [result.reference, *result.candidates]
    width = max(len(one.name) for one in rows)
    lines = [
        f"{counted(result.n, 'validation image')}; times of one thread on this machine",
        "",
        f"{'':<{width}}  accuracy (95%)            drop, points (95%)      agree  worst class"
        "                 MB  ms / image  images/s",
        *(_row(one, width) for one in rows),
        "",
    ]
    kept = ", ".join(str(one.file) for one in result.kept) or "none may replace the model"
    return "\n".join([*lines, f"kept: {kept}", f"figure: {result.folder / 'pareto.png'}"])


def _row(one: "Candidate", width: int) -> str:
    drop = one.drop
    points = f"{100 * drop.value:+.1f} ({100 * drop.low:+.1f} to {100 * drop.high:+.1f})"
    name, lost = one.worst_class
    worst = f"{name[:14]} {100 * lost:.1f}"
    verdict = "" if one.rejected is None else f"  rejected: {one.rejected}"
    return (
        f"{one.name:<{width}}  {with_interval(one.accuracy):<24}  {points:<22}  {one.agreement:>5.1%}  "
        f"{worst:<20}  {one.bytes / 1e6:>7.2f}  {one.speed.p50_ms:>10.2f}  "
        f"{one.speed.images_per_second:>8,.0f}{verdict}"
    )
