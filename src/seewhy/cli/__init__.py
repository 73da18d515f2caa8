"""The command line: one file a verb, loaded when it is called; the only place that prints or exits."""

import importlib
import sys
from typing import Any

import click

from seewhy import __version__

VERBS = {
    "train": "Train a classifier from labelled images.",
    "evaluate": "Measure a model on a split: accuracy with its interval, and all else.",
    "predict": "Label pictures: files, folders, globs, or a list on standard input.",
    "models": "List the nets and the shipped models; `show NAME` draws up a net's layers.",
    "recipes": "List the recipes; `show NAME` prints one in full.",
    "info": "Say what a model file holds.",
}


class Verbs(click.Group):
    """Verbs whose module is imported only when they run, so that --help is at once there."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"seewhy.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(f"no verb {args[0]!r}: there are {', '.join(VERBS)}")
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
    from seewhy.csv_cells import visible
    from seewhy.errors import SeeWhyError

    try:
        sys.exit(cli.main(arguments, standalone_mode=False))
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except SeeWhyError as error:
        click.echo(f"seewhy: {visible(str(error))}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
