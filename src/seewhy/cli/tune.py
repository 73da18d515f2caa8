"""`seewhy tune`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.flags import training_flags
from seewhy.cli.options import Typed, sharing_options, show, start_processes
from seewhy.cli.progress import shown
from seewhy.cli.screen import Part, Rows
from seewhy.cli.tables import value
from seewhy.text import command_line, counted, in_points, p_value

if TYPE_CHECKING:
    from seewhy.analysis.experiments.tuning import Tuning


@click.command(cls=Typed)
@training_flags("-tune")
@click.option("--trials", default=20, show_default=True, help="trials in all processes together")
@click.option("--time-limit", type=float, help="start no trial after this many seconds")
@click.option(
    "--storage", metavar="URL", help="database or journal:FILE shared by processes [OUT/study.db]"
)
@click.option(
    "--pruner",
    type=click.Choice(["median", "hyperband", "none"]),
    default="median",
    show_default=True,
    help="how unpromising trials are stopped early",
)
@sharing_options
def command(data: str, as_json: bool, processes: int | None, **settings: Any) -> None:
    """Search a recipe's `search` section for better settings, and confirm the best with fresh seeds.

    Writes the best recipe to OUT/best.yaml: the base if no trial has a better mean. Run the same command
    again to continue after an interruption. --processes shares the work; so does the same command run again
    in parallel, on other machines with the same --storage.
    """
    if processes is not None:
        start_processes(processes)
    with shown() as terminal:
        result = seewhy.tune(data, on_event=terminal, **settings)
    show(result, as_json, lambda _: _summary(result, data))


def _summary(result: "Tuning", data: str) -> Iterator[Part]:
    states = [trial.state for trial in result.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    rows: list[tuple[str, ...]] = [
        ("", result.metric, "std", "against the base (95% interval)", "p (Holm)")
    ]
    for one in result.contenders:
        score = [value(x, result.metric) for x in (one.score.mean, one.score.sd)]
        change = (
            in_points(one.change.mean, one.change.low, one.change.high, result.metric)
            if one.change
            else ""
        )
        rows.append((one.name, *score, change, p_value(one.p)))
    counted_trials = f"{counted(len(states), 'trial')} ({counts})"
    yield f"{counted_trials}; the best and the base over {counted(len(result.best.runs), 'fresh seed')}"
    yield ""
    yield Rows(rows)
    yield ""
    yield result.verdict
    for name, setting in result.best.params.items():
        yield f"  {name}: {setting}"
    if result.importance:
        most = ", ".join(
            f"{name} {share:.0%}" for name, share in list(result.importance.items())[:4]
        )
        yield f"most important: {most}"
    if result.best is not result.contenders[0]:
        following = command_line("train", "--recipe", result.recipe, "--data", data)
        yield ""
        yield f"recipe: {result.recipe}   next: {following}"
