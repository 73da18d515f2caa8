"""`seewhy learning-curve`."""

from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.flags import training_flags
from seewhy.cli.options import Typed, sharing_options, show, start_processes
from seewhy.cli.progress import shown
from seewhy.cli.screen import Part, Rows
from seewhy.cli.tables import ends, value
from seewhy.errors import UsageError

if TYPE_CHECKING:
    from seewhy.analysis.experiments.learning_curve import LearningCurve


@click.command(cls=Typed)
@training_flags("-learning-curve")
@click.option(
    "--shares",
    default="0.25,0.5,1",
    show_default=True,
    help="fractions of the training images, smallest first",
)
@click.option("--seeds", default=3, show_default=True, help="runs per share, consecutive seeds")
@sharing_options
def command(shares: str, as_json: bool, processes: int | None, **settings: Any) -> None:
    """Estimate whether more images would help: train on growing shares of the training images.

    Every run takes the same number of steps, so that only the number of images differs. Run the same
    command again to continue after an interruption.
    """
    parts = _numbers(shares)
    if processes is not None:
        start_processes(processes)
    with shown() as terminal:
        result = seewhy.learning_curve(shares=parts, on_event=terminal, **settings)
    show(result, as_json, _text)


def _text(result: "LearningCurve") -> list[Part]:
    rows = [("images", result.metric, "std", "95% interval")]
    for share in result.shares:
        score = share.score
        mean, std = (value(number, result.metric) for number in (score.mean, score.sd))
        span = ends(score.low, score.high, result.metric)
        rows.append((f"{share.pictures:,}", mean, std, span))
    figure = result.path / "figures" / "learning-curve.png"
    files = f"runs: {result.path}   plot: {figure}"
    return [Rows(rows), "", result.sentence, "", files]


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise UsageError(f"--shares {text}: expected numbers such as 0.25,0.5,1") from None
