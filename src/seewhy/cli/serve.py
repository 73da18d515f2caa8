"""`seewhy serve`."""

from pathlib import Path
from typing import Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import PATH, Verb
from seewhy.cli.progress import say
from seewhy.config.options import options_of
from seewhy.events import Event, Note


def setting_flags(verb: Verb) -> Verb:
    """Adds a flag for each field of `ServeSettings`; the verb gets those given."""
    for option in reversed(options_of(seewhy.ServeSettings)):
        default = option.default
        number = type(default) in (int, float, str)
        words = option.kind.removesuffix("|none")
        kind: dict[str, Any] = {"metavar": words if "|" in words else words.upper()}
        if option.kind == "bool":
            kind = {"is_flag": True, "default": None}
        elif option.kind.startswith("list"):
            kind = {"metavar": "NAME", "multiple": True}
        verb = click.option(
            "--" + option.name.replace("_", "-"),
            help=f"{option.field.description}{f' [{default}]' if number else ''}",
            **kind,
        )(verb)
    return verb


@click.command()
@click.argument("models", nargs=-1, required=True, shell_complete=models)
@setting_flags
@click.option("--log-file", type=PATH, help="append the log to FILE [standard error]")
@click.option("--log-json", is_flag=True, help="write the log as JSON, an object a line")
def command(
    models: tuple[str, ...], log_file: Path | None, log_json: bool, **settings: Any
) -> None:
    """Serve models over HTTP, with a page in the browser at /.

    MODEL is a bundle, a run, a shipped name or an ONNX file; NAME=MODEL chooses the name in requests. SIGTERM
    and Ctrl-C finish the requests at work; a second one ends at once.

    \b
    seewhy serve fast
    curl -F file=@image.jpg http://127.0.0.1:8000/predict
    """
    chosen = {name: value for name, value in settings.items() if value not in (None, ())}
    with seewhy.log_to(log_file, as_json=log_json, required=False):
        seewhy.serve(models, on_event=_show, **chosen)


def _show(event: Event) -> None:
    if isinstance(event, Note):
        say(event.text)
