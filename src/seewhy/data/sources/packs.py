"""Packs: a file or a folder that `seewhy data pack` has written, or the address of such a folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from seewhy.data.pack import INDEX, SPLITS, Pack
from seewhy.data.shards import SCHEMES, open_pack
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.source import Reading, Record, Source
from seewhy.data.sources.tree import Tree

SUFFIX = ".pack"


def is_address(source: object) -> bool:
    """Says whether a source is an address: only packs have one."""
    return isinstance(source, str) and source.startswith(SCHEMES)


def is_pack_folder(path: Path) -> bool:
    """Says whether a folder is a pack in several files."""
    return path.name.lower().endswith(SUFFIX) and (path / INDEX).is_file()


def fits_pack(tree: Tree) -> bool:
    """Says whether this is a pack: a file, or the folder of one."""
    return tree.top(SUFFIX) in ([tree.path.name], [INDEX])


def find_pack(tree: Tree, columns: Columns) -> Source:
    """Reads a pack by its index; the cache is not used."""
    return pack_source(open_pack(tree.path), tree.path)


def pack_source(pack: Pack, root: Path) -> Source:
    """Returns an open pack as a source."""
    about, rows = pack.about, pack.rows
    names = [*about.classes, ""]  # -1 is no label

    def records() -> Iterator[Record]:
        groups: Sequence[str | None] = about.groups or [None] * len(rows)
        facts = zip(about.ids, rows["label"].tolist(), rows["split"].tolist(), groups, strict=True)
        for row, (key, label, split, group) in enumerate(facts):
            yield Record(key, names[label], SPLITS[split], pack.image(row), group)

    return Source(
        "pack",
        root,
        (),
        lambda: Reading(len(rows), tuple(about.classes), records()),
        lambda: (),  # the index tells the size
        key=pack.digest,
        grouped=about.groups is not None,
        corrections={key.encode(): name for key, name in about.corrections.items()},
        pack=pack,
    )
