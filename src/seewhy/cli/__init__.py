"""The command line: one file a verb, loaded when it is called; the only place that prints or exits."""

import importlib
import mmap
import resource
import sys
from typing import Any

import click

from seewhy import __version__
from seewhy.errors import MemoryLimitError, as_user_error
from seewhy.text import visible

VERBS = {
    "train": "Train a classifier from labelled images.",
    "evaluate": "Measure a model on a split: accuracy with its interval, and all else.",
    "report": "Make one page of a run: how good, where it fails, why, and what next.",
    "predict": "Label pictures: files, folders, globs, or a list on standard input.",
    "ablate": "Say what each option of a recipe brings, with its doubt.",
    "tune": "Search for better settings of a recipe.",
    "find-lr": "Find a learning rate in one short training.",
    "learning-curve": "Say whether more pictures would help.",
    "data": "Look at a data set: what it holds, what is wrong with it, how it is split.",
    "models": "List the nets and the shipped models; `show NAME` draws up a net's layers.",
    "recipes": "List the recipes; `show NAME` prints one in full.",
    "info": "Say what a model file holds.",
    "calibrate": 'Make a model\'s confidence honest, and let it answer "not sure".',
    "compare": "Say which of several models is better, and whether the difference is real.",
    "robustness": "Say what is left of a model's accuracy when pictures go bad or deceive.",
    "explain": "Show why a model takes pictures for what it says, and whether to believe it.",
}


ROOM = 1_500_000_000  # bytes; PyTorch, SciPy, Arrow and matplotlib map 1.3 GB for the smallest job
LIGHT = {"recipes", "info"}  # verbs that need none of these


class Verbs(click.Group):
    """Verbs whose module is imported only when they run, so that --help is at once there."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"seewhy.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(f"no verb {args[0]!r}: there are {', '.join(VERBS)}")
        if args and args[0] in VERBS.keys() - LIGHT and not {"-h", "--help"} & set(args):
            _require_memory()
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="seewhy")
def cli() -> None:
    """SeeWhy: from images to a classifier that you understand and can ship.

    \b
    seewhy train --recipe digits --data digits     a first training, in seconds
    seewhy train --recipe photos --data FOLDER     your own photos, a class a folder
    seewhy predict fast picture.jpg                a shipped model at work
    """


def main(arguments: list[str] | None = None) -> Any:
    """Runs the command line; exit codes are in `seewhy.errors`, 1 means that some rows are not ok."""
    try:
        sys.exit(cli.main(arguments, standalone_mode=False))
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        user_error = as_user_error(error)
        if user_error is None:
            raise
        click.echo(f"seewhy: {visible(str(user_error))}", err=True)
        sys.exit(user_error.exit_code)


def _require_memory() -> None:
    """Raises `MemoryLimitError` where the address space is limited to less than libraries map.

    They abort, and threads hang, without it.
    """
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    try:
        # Read only, so that it counts as address space and as nothing else.
        mmap.mmap(-1, ROOM, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ).close()
    except OSError:
        cause = f"{ROOM / 1e6:,.0f} MB of address space are needed to start"
        raise MemoryLimitError(cause) from None
