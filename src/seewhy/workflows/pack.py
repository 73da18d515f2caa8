"""A data set in one file or a few, at the size that a training reads: a pack, or tars for other tools."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seewhy.config.data import DataConfig
from seewhy.data import Data, list_data
from seewhy.data.loading import input_rule
from seewhy.data.pack import new_pack
from seewhy.data.packing import PackSink, label_numbers, pack_images
from seewhy.data.tar_out import new_tars
from seewhy.errors import UsageError
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path, require_new
from seewhy.text import counted

LEAST = 1 << 10  # bytes of a file of images
SUFFIX = ".pack"


@dataclass(frozen=True)
class Packed:
    """What was written: `images` of `side` pixels in so many `bytes`; `bad` could not be read."""

    out: Path
    images: int
    side: int
    bytes: int
    bad: int


def pack_data(
    data: Data,
    out: str | Path,
    config: DataConfig = DataConfig(size=224),  # noqa: B008 (frozen)
    *,
    to: Literal["pack", "tar"] = "pack",
    raw: bool = False,
    shard_bytes: int | None = None,
    on_event: OnEvent = ignore,
) -> Packed:
    """Packs a data set into `out`, which ends in .pack: the images at the size that a training stores.

    They are JPEGs of quality 90, or with `raw` pixels, which take more space and lose nothing. Names,
    classes, splits, groups and content hashes are kept, so the pack is split as the data is. With
    `shard_bytes`, `out` is a folder of files of that size. `config` says how the data is read, as for a
    training. `to="tar"` writes a folder of WebDataset tars instead, of 1 GiB or `shard_bytes`, with PNGs for
    `raw`.

    Raises `DataError` for data that cannot be read, `UsageError` if `out` exists.
    """
    path = named_path(out)
    if to == "pack" and path.suffix != SUFFIX:
        raise UsageError(f"--out {path}: expected a name that ends in {SUFFIX}")
    if shard_bytes is not None and shard_bytes < LEAST:
        raise UsageError(f"--shard-bytes {shard_bytes}: expected {LEAST:,} or more")
    require_new(path)
    listed = list_data(data, config, on_event)
    if to == "pack" and listed.origin.pack is not None:
        raise UsageError(f"{data} is a pack: give the data that it was made from")
    if to == "tar" and listed.origin.corrections:
        raise UsageError(
            f"the labels of {data} are corrected, which tars do not hold: write a pack ({SUFFIX}), or give "
            "the data that were corrected"
        )
    rule, notes = input_rule(listed, on_event)
    for note in (*listed.origin.notes, *notes):
        on_event(Note(note))
    if to == "tar":
        classes = label_numbers(listed)
        with new_tars(path, rule, classes, raw=raw, most=shard_bytes) as tars:
            counts = pack_images(listed, rule, tars, raw=raw, on_event=on_event)
    else:
        with new_pack(path, shard_bytes) as writer:
            sink = PackSink(writer)
            counts = pack_images(listed, rule, sink, raw=raw, on_event=on_event)
            sink.finish(listed, rule, raw)
    if counts.bad:
        on_event(Note(f"left out, as they cannot be used: {counted(len(counts.bad), 'image')}"))
    return Packed(path, counts.images, rule.store, _bytes(path), len(counts.bad))


def _bytes(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(os.path.getsize(file) for file in files)
