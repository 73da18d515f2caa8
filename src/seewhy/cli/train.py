"""`seewhy train`: one run, or the same recipe over seeds or folds."""

import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.experiments import summary_table
from seewhy.cli.flags import overrides, recipe_flags
from seewhy.cli.progress import Terminal, say, shown
from seewhy.cli.tables import metrics_table
from seewhy.errors import UsageError, as_user_error

if TYPE_CHECKING:
    from seewhy.run import Run


@click.command(context_settings={"max_content_width": 110})
@click.option("--recipe", default="fast", show_default=True, help="a recipe's name or YAML file")
@click.option(
    "--data", default="cifar10", show_default=True, help="digits, cifar10, a folder or an archive"
)
@click.option("--out", type=click.Path(path_type=Path), help="run directory [runs/RECIPE]")
@click.option("--resume", is_flag=True, help="go on with an unfinished run, to the same bits")
@click.option("--init", metavar="MODEL", help="start from a model's weights; classes go by name")
@click.option("--seeds", type=int, help="so many runs, of successive seeds, and their mean")
@click.option("--folds", type=int, help="so many runs, each validated on another part")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@recipe_flags
def command(
    seeds: int | None, folds: int | None, resume: bool, as_json: bool, **given: Any
) -> None:
    """Train a classifier from labelled images; ends with validation figures, never opens test.

    With --seeds or --folds the runs go to OUT/seed-N or OUT/fold-N [runs/RECIPE-seeds, -folds]; stopped,
    the same command goes on.
    """
    fixed = {name: given.pop(name) for name in ("recipe", "data", "out", "init")}
    fixed["overrides"] = overrides(given)
    if seeds is not None and folds is not None:
        raise UsageError("--seeds and --folds are two experiments: choose one")
    if seeds is not None:
        _seeds(seeds, fixed, as_json)
    elif folds is not None:
        _folds(folds, fixed, as_json)
    else:
        _one(fixed, resume, as_json)


def _one(fixed: dict[str, Any], resume: bool, as_json: bool) -> None:
    with shown("stopped, and saved: go on with the same command and --resume") as terminal:
        run = seewhy.train(**fixed, resume=resume, on_event=terminal)
    page, code = None, 0
    try:
        page = seewhy.report(run, analyse=True, on_event=Terminal())
    except Exception as error:
        code = _report_failed(run, error)
    if as_json:
        click.echo(json.dumps({"run": str(run.path), "val": run.metrics["val"]}))
        sys.exit(code)
    click.echo(metrics_table(run.metrics["val"], f"model {run.path}"))
    if page is not None:
        click.echo(f"\nreport: {page}")
    split = "test" if run.split_sizes["test"] else "val --full"
    click.echo(
        f"\nrun: {run.path}   next: seewhy evaluate {run.path} --data {fixed['data']} --split {split}"
    )
    sys.exit(code)


def _report_failed(run: "Run", error: Exception) -> int:
    """Says that there is no report, and logs the traceback of a mistake of our own; gives the exit code."""
    user_error = as_user_error(error)
    reason = str(user_error)
    if user_error is None:
        for line in "".join(traceback.format_exception(error)).splitlines():
            run.log(line)
        reason = f"{type(error).__name__}: {error}; its traceback is in {run.path / 'log.txt'}"
    say(f"the run is finished, but its report is not: {reason} (`seewhy report {run.path}`)")
    return 1 if user_error is None else 0


def _seeds(count: int, fixed: dict[str, Any], as_json: bool) -> None:
    with shown() as terminal:
        result = seewhy.seeds(**fixed, count=count, on_event=terminal)
    if as_json:
        click.echo(json.dumps(seewhy.to_json(result)))
        return
    click.echo(f"validation over {count} seeds\n")
    click.echo(summary_table(result.figures))
    click.echo(f"\nruns: {result.path}   picture: {result.path / 'figures' / 'seeds.png'}")


def _folds(count: int, fixed: dict[str, Any], as_json: bool) -> None:
    with shown() as terminal:
        result = seewhy.folds(**fixed, count=count, on_event=terminal)
    if as_json:
        click.echo(json.dumps(seewhy.to_json(result)))
        return
    about = f"each predicted by the one of {count} runs that had not seen it"
    figures = {**seewhy.to_json(result.whole), "split": "out of fold"}
    click.echo(metrics_table(figures, about))
    click.echo("\nfolds, by themselves\n")
    click.echo(summary_table(result.figures))
    click.echo(f"\nruns: {result.path}   predictions: {result.predictions}")
