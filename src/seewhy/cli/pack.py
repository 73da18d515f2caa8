"""`seewhy data pack`."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

import seewhy
from seewhy.cli.completion import data_sets
from seewhy.cli.flags import config_of, fields, size_option
from seewhy.cli.options import PATH, as_json, show
from seewhy.cli.progress import Terminal
from seewhy.text import counted

if TYPE_CHECKING:
    from seewhy.workflows.pack import Packed

SIZE = 224  # whose stored side is 258 pixels


@click.command()
@click.argument("data", shell_complete=data_sets)
@click.option("--out", type=PATH, required=True, help="a new FILE.pack, or a folder of tars")
@click.option(
    "--to",
    type=click.Choice(["pack", "tar"]),
    default="pack",
    show_default=True,
    help="tar: WebDataset tars, for other tools",
)
@click.option(
    "--raw", is_flag=True, help="keep pixels (in tars as PNG), not JPEGs: more bytes, nothing lost"
)
@click.option(
    "--shard-bytes",
    type=int,
    help="make --out a folder with files of so many bytes, to be fetched from an address [tars: 1 GiB]",
)
@as_json
@size_option(SIZE)
@fields(
    *("fit", "interpolation", "depth", "layout", "follow_links"),
    *("label_column", "group_from", "on_bad", "max_bad"),
)
def pack(
    data: str,
    out: Path,
    to: Literal["pack", "tar"],
    raw: bool,
    shard_bytes: int | None,
    as_json: bool,
    **values: str | None,
) -> None:
    """Pack DATA into one file, for sets beyond the memory and the disk for their cache.

    Each image is stored at the size that a training of --size (224) stores, as a JPEG of quality 90; a JPEG
    of that size is copied byte for byte. `--data FILE.pack` then reads images when they are needed, past the
    cache. Names, classes, splits and groups are those of DATA. Tars hold KEY.jpg, KEY.cls and KEY.json, and
    are data too.
    """
    config = config_of(values, size=SIZE)
    packed = seewhy.pack_data(
        data, out, config, to=to, raw=raw, shard_bytes=shard_bytes, on_event=Terminal()
    )
    show(packed, as_json, lambda _: _text(packed))


def _text(packed: "Packed") -> list[str]:
    size = f"{packed.side}x{packed.side}"
    each = packed.bytes / packed.images
    return [
        f"{packed.out}: {counted(packed.images, 'image')} of {size}, {packed.bytes / 1e6:,.1f} MB, "
        f"{each / 1e3:,.1f} kB each"
    ]
