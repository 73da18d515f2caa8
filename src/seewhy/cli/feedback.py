"""`seewhy feedback`."""

import click

import seewhy
from seewhy.cli.options import as_json, show
from seewhy.cli.registry import place_option
from seewhy.text import counted


@click.group()
def command() -> None:
    """Use what servers with --feedback have recorded: answers, labels and images."""


@command.command()
@click.argument("request_id")
@place_option
@as_json
def forget(request_id: str, registry: str | None, as_json: bool) -> None:
    """Remove all that is known of a request: its answers, labels and images."""
    with seewhy.open_feedback(registry) as feedback:
        images = feedback.forget(request_id)

    line = f"forgotten: {request_id}, with {counted(images, 'image')}"
    show({"request_id": request_id, "images": images}, as_json, lambda _: [line])
