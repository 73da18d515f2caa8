"""`seewhy ab`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

import seewhy
from seewhy.cli.options import Bounded, as_json, show
from seewhy.cli.registry import place_option
from seewhy.cli.screen import Part

if TYPE_CHECKING:
    from seewhy.workflows.ab import ABStatus


@click.group()
def command() -> None:
    """Compare two models on what they are really asked.

    \b
    seewhy serve registry:photos@champion --challenger registry:photos@challenger
    seewhy ab status photos
    """


@command.command()
@click.argument("name")
@click.option(
    "--margin",
    type=Bounded(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="difference in accuracy that does not matter",
)
@click.option("--clients", is_flag=True, help="count the labels that clients sent")
@place_option
@as_json
def status(name: str, margin: float, clients: bool, registry: str | None, as_json: bool) -> None:
    """Say what is known of the models served as NAME; look as often as you like."""
    result = seewhy.ab_status(name, registry=registry, margin=margin, clients=clients)
    show(result, as_json, _text)


def _text(status: "ABStatus") -> Iterator[Part]:
    champion, challenger = (
        digest[:12] if version is None else f"{status.name}@{version}"
        for digest, version in zip(
            (status.champion, status.challenger), status.versions, strict=True
        )
    )
    yield f"{status.name}: champion {champion}, challenger {challenger} ({status.test.kind})"
    yield ""
    yield from status.text
    if status.next is not None:
        yield ""
        yield f"next: {status.next}"
