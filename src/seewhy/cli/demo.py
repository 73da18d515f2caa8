"""`seewhy demo`: a first training, from data that needs no download to a report."""

import sys
from pathlib import Path

import click

import seewhy
from seewhy.cli.options import PATH
from seewhy.cli.progress import shown
from seewhy.cli.screen import facts, written
from seewhy.cli.tables import metrics_table
from seewhy.events import RunStarted
from seewhy.text import command_line

NEXT = (
    (("train", "--data", "FOLDER"), "your own photographs, one folder per class"),
    (("train",), "CIFAR-10, by the recipe fast; it downloads 170 MB"),
    (("predict", "fast", "IMAGE.jpg"), "a model that comes with the package"),
)


@click.command()
@click.option("--out", type=PATH, help="the new run's directory [runs/digits]")
def command(out: Path | None) -> None:
    """Train on 1,797 scanned digits, evaluate on their test split, write the report, and say what to do next.

    Needs no data and no network, and takes less than a minute on two cores.
    """
    with shown(_interrupted) as terminal:
        run = seewhy.train("digits", "digits", out=out, on_event=terminal)
        metrics, _ = seewhy.evaluate(run.path, "digits", "test", on_event=terminal)
        page = seewhy.report(run, analyse=True, on_event=terminal)
    lines = [
        *metrics_table(seewhy.to_json(metrics), f"model {run.path}"),
        "",
        f"report: {page}   (open it in a browser)",
        f"run: {run.path}",
        "next:",
        facts((f"  {command_line(*words)}", f"# {text}") for words, text in NEXT),
    ]
    click.echo(written(lines, sys.stdout))


def _interrupted(started: RunStarted | None) -> str:
    return "interrupted: `seewhy demo` starts a new run"
