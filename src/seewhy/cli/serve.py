"""`seewhy serve`."""

from typing import Any

import click

import seewhy
from seewhy.cli.progress import say
from seewhy.events import Event, Note


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
def command(models: tuple[str, ...], **options: Any) -> None:
    """Serve models over HTTP, with a page at /."""
    seewhy.serve(models, on_event=_show, **options)


def _show(event: Event) -> None:
    if isinstance(event, Note):
        say(event.text)
