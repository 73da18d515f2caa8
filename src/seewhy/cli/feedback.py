"""`seewhy feedback`."""

from pathlib import Path

import click

import seewhy
from seewhy.cli.options import PATH, as_json, show
from seewhy.cli.registry import place_option
from seewhy.text import command_line, counted


@click.group()
def command() -> None:
    """Use what servers with --feedback have recorded: answers, labels and images."""


@command.command()
@click.argument("name")
@click.option("--out", type=PATH, required=True, help="a new folder for labels.csv and images/")
@click.option("--source", type=click.Choice(["client", "review"]), help="labels of these only")
@place_option
@as_json
def export(name: str, out: Path, source: str | None, registry: str | None, as_json: bool) -> None:
    """Write the labelled answers of the model NAME, as it is called in requests, and their images."""
    made = seewhy.export_feedback(name, out, registry=registry, source=source)

    lines = [
        f"{out}: {counted(made.labels, 'label')}, {counted(made.images, 'image')}",
        f"drawn at random: {made.audit:,}, of which {made.right:,} were answered right",
        f"next: {command_line('data', 'apply-review', 'DATA', out, '--out', 'NEW')}",
    ]
    show(made, as_json, lambda _: lines)


@command.command()
@click.argument("request_id")
@place_option
@as_json
def forget(request_id: str, registry: str | None, as_json: bool) -> None:
    """Remove all that is known of a request: its answers, labels and images.

    Names the models in the registry that were trained on one of its images.
    """
    done = seewhy.forget_request(request_id, registry=registry)

    lines = [f"forgotten: {request_id}, with {counted(done.images, 'image')}"]
    if done.models:
        lines.append(
            f"trained on it: {', '.join(done.models)}; train again without it to forget it"
        )
    show(done, as_json, lambda _: lines)
