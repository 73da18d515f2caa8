"""`seewhy compress`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import PATH, as_json, data_option, refuse_given, show
from seewhy.cli.progress import shown
from seewhy.cli.screen import Part, Rows
from seewhy.cli.tables import with_interval
from seewhy.text import counted

if TYPE_CHECKING:
    from seewhy.exporters.gate import Candidate
    from seewhy.workflows.compress import Compression

METHODS = "int8,prune,magnitude,distil"


@click.command()
@click.argument("model", shell_complete=models)
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
    nor speed, is rejected and not written. Run the same command again to continue after an interruption.
    """
    chosen = [name.strip() for name in methods.split(",") if name.strip()]
    if set(chosen) == {"int8"}:
        refuse_given(
            {"keep": "--keep", "epochs": "--epochs"},
            "is for other --methods than int8: leave it out",
        )
    with shown() as terminal:
        result = seewhy.compress(model, data, out, methods=chosen, on_event=terminal, **settings)
    show(result, as_json, _text)


def _text(result: "Compression") -> Iterator[Part]:
    yield f"{counted(result.n, 'validation image')}; times of one thread on this machine"
    yield ""
    titles = ("", "accuracy (95%)", "drop, points (95%)", "agree", "worst class")
    rows = [(*titles, "MB", "ms / image", "images/s", "")]
    yield Rows([*rows, *map(_row, [result.reference, *result.candidates])], "lrrrrrrrl")
    yield ""
    yield f"kept: {', '.join(str(one.file) for one in result.kept) or 'none may replace the model'}"
    yield f"figure: {result.folder / 'pareto.png'}"


def _row(one: "Candidate") -> tuple[str, ...]:
    drop, (name, lost) = one.drop, one.worst_class
    points = f"{100 * drop.value:+.1f} ({100 * drop.low:+.1f} to {100 * drop.high:+.1f})"
    quality = (with_interval(one.accuracy), points, f"{one.agreement:.1%}")
    speed = (f"{one.speed.p50_ms:.2f}", f"{one.speed.images_per_second:,.0f}")
    verdict = "" if one.rejected is None else f"rejected: {one.rejected}"
    worst = f"{name[:14]} {100 * lost:.1f}"
    return (one.name, *quality, worst, f"{one.bytes / 1e6:.2f}", *speed, verdict)
