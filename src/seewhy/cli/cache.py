"""`seewhy cache`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

import seewhy
from seewhy.cli.options import Bounded, as_json, refuse_given, show
from seewhy.cli.screen import Part, Rows
from seewhy.errors import UsageError

if TYPE_CHECKING:
    from seewhy.data.cache_sets import CacheContents, CachedSet


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List, check or empty the cache of decoded images; all of it can be made again from your images.

    It is in $SEEWHY_CACHE (~/.cache/seewhy). Above $SEEWHY_CACHE_GB (20) gigabytes the sets that were used
    longest ago are removed.
    """
    if context.invoked_subcommand is None:
        show(seewhy.list_cache(), as_json, _contents)
    else:
        refuse_given({"as_json": "--json"}, "has no effect here: put it at the end")


@command.command(name="list")
@as_json
def list_(as_json: bool) -> None:
    """List the sets of images in the cache, the last used first."""
    show(seewhy.list_cache(), as_json, _contents)


@command.command()
@as_json
def check(as_json: bool) -> None:
    """Read every byte of the cache, and remove what is damaged: it is made again when it is needed.

    Exits 1 if anything was.
    """
    damaged = seewhy.check_cache()
    text: list[Part] = (
        ["damaged, and removed:", "", _sets(damaged)] if damaged else ["nothing is damaged"]
    )
    show({"damaged": damaged}, as_json, lambda _: text)
    sys.exit(1 if damaged else 0)


@command.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="remove all sets")
@click.option("--unused-days", type=Bounded(0), help="only sets not used for so many days")
@as_json
def remove(ids: tuple[str, ...], every: bool, unused_days: float | None, as_json: bool) -> None:
    """Remove sets from the cache, by the IDS that `seewhy cache list` shows."""
    if bool(ids) + every + (unused_days is not None and not ids) != 1:
        raise UsageError("say which sets to remove: IDS, --all, or --unused-days DAYS")
    removed = seewhy.remove_cached(ids or None, unused_days=unused_days or 0)
    text: list[Part] = ["removed:", "", _sets(removed)] if removed else ["nothing was removed"]
    show({"removed": removed}, as_json, lambda _: text)


def _contents(contents: "CacheContents") -> list[Part]:
    limit = f"{_size(contents.limit)} at most"
    total = f"{_size(contents.bytes)} in {contents.directory}, {limit}"
    if not contents.sets:
        return [f"no sets; {total}"]
    return [_sets(contents.sets), "", f"{total}; images in several sets are stored once"]


def _sets(sets: Sequence["CachedSet"]) -> Rows:
    rows = [("id", "images", "side", "size", "last used (UTC)", "layout", "read from")]
    for one in sets:
        when = one.last_used[:16].replace("T", " ")
        counts = (f"{one.images:,}", str(one.side), _size(one.bytes))
        rows.append((one.id, *counts, when, one.layout, one.source))
    return Rows(rows, "lrrrl")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
