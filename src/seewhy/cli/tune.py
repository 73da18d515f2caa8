"""`seewhy tune`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.experiments import experiment_flags, table
from seewhy.cli.flags import overrides
from seewhy.cli.progress import shown
from seewhy.cli.tables import value
from seewhy.text import in_points, p_value

if TYPE_CHECKING:
    from seewhy.analysis.experiments.tuning import Tuning


@click.command(context_settings={"max_content_width": 110})
@experiment_flags("tune")
@click.option("--trials", default=20, show_default=True, help="trials in all, of all processes")
@click.option("--time-limit", type=float, help="seconds after which no trial starts")
@click.option("--storage", metavar="URL", help="database that processes share [OUT/study.db]")
@click.option(
    "--pruner",
    type=click.Choice(["median", "hyperband", "none"]),
    default="median",
    show_default=True,
    help="how trials that fall behind are stopped",
)
def command(
    recipe: str,
    data: str,
    out: Path | None,
    as_json: bool,
    trials: int,
    time_limit: float | None,
    storage: str | None,
    pruner: Any,
    **fields: Any,
) -> None:
    """Search a recipe's `search` section for better settings; believe them only over fresh seeds.

    Ends with OUT/best.yaml, a recipe: that of the base where no trial has a better mean. Stopped, the same
    command goes on; started again beside itself, or on another machine with the same --storage, it shares
    the work.
    """
    with shown() as terminal:
        result = seewhy.tune(
            data,
            recipe,
            trials,
            time_limit=time_limit,
            storage=storage,
            pruner=pruner,
            out=out,
            overrides=overrides(fields),
            on_event=terminal,
        )
    if as_json:
        click.echo(json.dumps(seewhy.to_json(result)))
        return
    click.echo(_summary(result, data))


def _summary(result: "Tuning", data: str) -> str:
    states = [trial.state for trial in result.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    rows: list[tuple[str, ...]] = [
        ("", result.metric, "sd", "against the base (95% interval)", "p (Holm)")
    ]
    for one in result.contenders:
        score = [value(x, result.metric) for x in (one.score.mean, one.score.sd)]
        change = (
            in_points(one.change.mean, one.change.low, one.change.high, result.metric)
            if one.change
            else ""
        )
        rows.append((one.name, *score, change, p_value(one.p)))
    lines = [
        f"{len(states)} trials ({counts}); the best and the base over {len(result.best.runs)} fresh seeds",
        "",
        table(rows),
        "",
        result.verdict,
        *(f"  {name}: {setting}" for name, setting in result.best.params.items()),
    ]
    if result.importance:
        most = ", ".join(
            f"{name} {share:.0%}" for name, share in list(result.importance.items())[:4]
        )
        lines.append(f"what mattered: {most}")
    if result.best is not result.contenders[0]:
        lines.append(
            f"\nrecipe: {result.recipe}   next: seewhy train --recipe {result.recipe} --data {data}"
        )
    return "\n".join(lines)
