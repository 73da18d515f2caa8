"""The command line: one file per verb, loaded when it is called; the only place that prints or exits."""

import importlib
import mmap
import os
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

import seewhy
from seewhy.errors import MemoryLimitError, as_user_error
from seewhy.text import no_such, visible

VERBS = {
    "demo": "Train on scanned digits, evaluate and report, in less than a minute: start here.",
    "train": "Train a classifier from labelled images.",
    "evaluate": "Measure a model on a split: accuracy and all other metrics, with 95% intervals.",
    "report": "Write an HTML report of a run: how good, where it fails, why, and what to do next.",
    "predict": "Label images: files, folders, globs, or a list on standard input.",
    "serve": "Answer over HTTP, with a page in the browser.",
    "runs": "List the runs in a folder: recipe, data, accuracy, seconds, model.",
    "ablate": "Measure the effect of each recipe option, with confidence intervals.",
    "tune": "Search for better hyperparameters of a recipe.",
    "find-lr": "Find a learning rate in one short training.",
    "learning-curve": "Estimate whether more images would help.",
    "data": "Inspect a data set: its contents, its problems, its splits.",
    "cache": "List, check or empty the cache of decoded images.",
    "models": "List the networks and the shipped models; `show NAME` prints the layer table.",
    "recipes": "List the recipes; `show NAME` prints one in full.",
    "info": "Show what a model file contains, as a model card.",
    "export": "Write a model as one ONNX file, which runs without PyTorch.",
    "registry": "Keep versions of models, and the aliases that say which one is in use.",
    "feedback": "Use the answers, labels and images that servers have recorded.",
    "ab": "Say which of two served models is right more often, and when that can be told.",
    "retrain": "Train a registered model on new data; it replaces the old one only if it is no worse.",
    "compress": "Make a model smaller and faster, and keep what proves its worth.",
    "benchmark": "Measure speed on this machine: `infer MODEL...`, `train RECIPE...`.",
    "calibrate": 'Calibrate a model\'s confidence, and let it answer "not sure".',
    "ensemble": "Combine models into one file: an ensemble, or the mean of their weights.",
    "compare": "Compare models, with the significance of their differences.",
    "robustness": "Measure accuracy under corruptions and adversarial attacks.",
    "drift": "Compare new images with those that a model was judged on, without labels.",
    "explain": "Explain predictions with attribution maps, and test the maps.",
    "doctor": "Check this machine and installation: versions, device, disk, cache, fonts, limits.",
    "completion": "Print what completes verbs, flags and names in your shell: `completion bash`.",
}

ROOM = 1_500_000_000  # bytes; PyTorch, SciPy, Arrow and matplotlib map 1.3 GB for the smallest job
LIGHT = {"recipes", "info", "runs", "doctor", "completion"}  # verbs that load none of these


class Verbs(click.Group):
    """Verbs whose module is imported only when they run, so that --help is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"seewhy.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        verbs = [CompletionItem(verb, help=text) for verb, text in VERBS.items()]
        own = [verb for verb in verbs if verb.value.startswith(incomplete)]
        return [*own, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if ctx.resilient_parsing:  # to complete a line
            return super().resolve_command(ctx, args)
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            for verb, group in ((verb, self.get_command(ctx, verb)) for verb in VERBS):
                if isinstance(group, click.Group) and args[0] in group.commands:
                    raise click.UsageError(
                        f"there is no verb {args[0]!r}: do you mean {verb} {args[0]}?"
                    )
            raise click.UsageError(no_such("verb", args[0], VERBS))
        if args and args[0] in VERBS.keys() - LIGHT and not {"-h", "--help"} & set(args):
            _require_memory()
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader has seen enough; click would exit with 1
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(141)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(seewhy.__version__, prog_name="seewhy")
def cli() -> None:
    """SeeWhy: from images to a classifier that you understand and can ship.

    \b
    seewhy demo                      a first training and its report, without any data of yours
    seewhy train --data FOLDER       your own photographs, one folder per class
    seewhy predict fast image.jpg    label an image with a shipped model
    """


def main(arguments: list[str] | None = None) -> Any:
    """Runs the command line; exit codes are in `seewhy.errors`, 1 means that some rows are not ok."""
    if seewhy.in_group():
        # Before torch is loaded: of one that is killed, the others need not show stacks.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        sys.exit(cli.main(arguments, prog_name="seewhy", standalone_mode=False))
    except (click.exceptions.Abort, KeyboardInterrupt) as stop:
        if not getattr(stop.__cause__ or stop, "__notes__", ()):  # else the verb has said more
            click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        _with_advice(error).show()
        sys.exit(2)
    except Exception as error:
        user_error = as_user_error(error)
        if user_error is None:
            raise
        click.echo("seewhy: " + "\n".join(map(visible, str(user_error).splitlines())), err=True)
        sys.exit(user_error.exit_code)


def _with_advice(error: click.ClickException) -> click.ClickException:
    """The error, with what was likely meant by one argument too many."""
    if not isinstance(error, click.UsageError) or "unexpected extra" not in error.message:
        return error
    meant = "put a name with spaces in quotes"
    if error.ctx and any("--data" in option.opts for option in error.ctx.command.params):
        meant += ", and name the data by --data"
    return click.UsageError(f"{error.message}: {meant}", error.ctx)


def _require_memory() -> None:
    """Raises `MemoryLimitError` if the address space is limited to less than the libraries map.

    Without it they abort, and threads hang.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    try:
        # Read-only, so that it counts as address space only.
        mmap.mmap(-1, ROOM, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ).close()
    except OSError:
        cause = f"{ROOM / 1e6:,.0f} MB of address space are needed to start"
        raise MemoryLimitError(cause) from None
