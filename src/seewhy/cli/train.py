"""`seewhy train`: one run, or the same recipe over seeds or folds."""

import sys
import traceback
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.flags import training_flags
from seewhy.cli.options import Typed, sharing_options, show, start_processes
from seewhy.cli.progress import Terminal, say, shown
from seewhy.cli.screen import Part
from seewhy.cli.tables import metrics_table, summary_table
from seewhy.errors import UsageError, as_user_error
from seewhy.events import OnEvent, RunStarted
from seewhy.text import command_line, counted

if TYPE_CHECKING:
    from seewhy.analysis.experiments.repetition import Folds, Seeds
    from seewhy.run import Run


@click.command(cls=Typed)
@training_flags()
@click.option(
    "--resume",
    is_flag=True,
    help="continue a run, bit for bit, by its own recipe and data where none are named",
)
@click.option(
    "--init",
    metavar="MODEL",
    shell_complete=models,
    help="fine-tune from this model; classes are matched by name",
)
@click.option("--seeds", type=int, help="train N runs with consecutive seeds, show mean and std")
@click.option("--folds", type=int, help="train N runs by N-fold cross-validation")
@click.option(
    "--track",
    multiple=True,
    metavar="TRACKER",
    help="mirror the run to mlflow[:URI] or tensorboard; one that is away never stops it",
)
@sharing_options
def command(
    seeds: int | None,
    folds: int | None,
    processes: int | None,
    engine: Any,
    resume: bool,
    as_json: bool,
    track: tuple[str, ...],
    **settings: Any,
) -> None:
    """Train a classifier from labelled images and measure it on validation; test is never used.

    `--resume --out RUN` continues a run by its own recipe and data, and `--resume` alone the one unfinished
    run in the working directory or its runs/. With a larger --epochs a finished run is trained on. --seeds
    and --folds write their runs to OUT/seed-N or OUT/fold-N [runs/RECIPE-seeds, -folds]. Run the same command
    again to continue them after an interruption.
    """
    if seeds is not None and folds is not None:
        raise UsageError("--seeds and --folds are two experiments: choose one")
    if resume and (seeds is not None or folds is not None):
        raise UsageError("--seeds and --folds continue by themselves: leave out --resume")
    several = seeds is not None or folds is not None
    if processes is not None:
        start_processes(processes, together=not several)
    if several and seewhy.in_group():
        raise UsageError("--seeds and --folds train each run in one process: use --processes")
    if engine != "local" and not several:
        raise UsageError("--engine ray trains the runs of --seeds or --folds: this is one run")
    if resume:  # what is not named is the run's own
        source = click.get_current_context().get_parameter_source
        for name in ("recipe", "data"):
            if source(name) is ParameterSource.DEFAULT:
                settings[name] = None
    if seewhy.rank() > 0:  # the first rank shows, tracks and reports
        seewhy.train(resume=resume, **settings)
        return
    code = 0
    with seewhy.track(*track, on_event=Terminal()) as tracker:
        if seeds is not None:
            with shown(also=tracker) as terminal:
                over_seeds = seewhy.seeds(count=seeds, engine=engine, on_event=terminal, **settings)
            show(over_seeds, as_json, _seeds_text)
        elif folds is not None:
            with shown(also=tracker) as terminal:
                over_folds = seewhy.folds(count=folds, engine=engine, on_event=terminal, **settings)
            show(over_folds, as_json, _folds_text)
        else:
            code = _one(settings, resume, as_json, tracker)
    sys.exit(code)


def _one(settings: dict[str, Any], resume: bool, as_json: bool, tracker: OnEvent) -> int:
    """Trains a run and writes its report; returns the exit code."""
    with shown(_interrupted, tracker) as terminal:
        run = seewhy.train(resume=resume, on_event=terminal, **settings)
    page, code = None, 0
    report = command_line("report", run.path)
    try:
        with shown(
            lambda _: f"interrupted: the run is finished, its report is not ({report})"
        ) as terminal:
            terminal.write("writing the report")
            device = run.config["recipe"]["train"]["device"]
            page = seewhy.report(run, analyse=True, device=device, on_event=terminal)
    except Exception as error:
        code = _report_failed(run, error, report)
    metrics = run.metrics["val"]
    lines: list[Part] = [*metrics_table(metrics, f"model {run.path}"), ""]
    following = report if page is None else f"open {page} in a browser"
    lines += [
        f"run: {run.path}   next: {following}",
        f"then, on new images: {command_line('predict', run.path, 'IMAGE')}",
    ]
    if run.split_sizes["test"]:
        once = ("evaluate", run.path, "--data", run.data, "--split", "test")
        lines += [f"once, when everything is decided: {command_line(*once)}"]
    show({"run": run.path, "val": metrics}, as_json, lambda _: lines)
    return code


def _interrupted(started: RunStarted | None) -> str:
    """What of a training is on disk after a signal, and the command that continues it."""
    if started is None:
        return "interrupted before the training began: nothing is saved yet"
    run = seewhy.Run(started.path)
    if (step := run.saved_step) is None:
        return f"interrupted before a step was saved: {run.resume_command} starts at the beginning"
    return f"interrupted, and saved at step {step:,}: continue with {run.resume_command}"


def _report_failed(run: "Run", error: Exception, command: str) -> int:
    """Says that there is no report, and logs the traceback of an internal error; returns the exit code."""
    user_error = as_user_error(error)
    reason = str(user_error)
    if user_error is None:
        for line in "".join(traceback.format_exception(error)).splitlines():
            run.log(line)
        reason = f"{type(error).__name__}: {error}; its traceback is in {run.path / 'log.txt'}"
    say(f"the run is finished, but its report failed: {reason} (`{command}`)")
    return 1 if user_error is None else 0


def _seeds_text(result: "Seeds") -> list[Part]:
    return [
        f"validation over {counted(len(result.runs), 'seed')}",
        "",
        summary_table(result.figures),
        "",
        f"runs: {result.path}   plot: {result.path / 'figures' / 'seeds.png'}",
    ]


def _folds_text(result: "Folds") -> list[Part]:
    about = f"each predicted by the one of {counted(len(result.runs), 'run')} that was not trained on it"
    metrics = {**seewhy.to_json(result.whole), "split": "out of fold"}
    return [
        *metrics_table(metrics, about),
        "",
        "per fold",
        "",
        summary_table(result.figures),
        "",
        f"runs: {result.path}   predictions: {result.predictions}",
    ]
