"""Images in zips with a table beside them, read as if each zip were extracted into a folder of its name."""

import os
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from seewhy.data.images.decode import ImageLike
from seewhy.data.sources.folders import Scan
from seewhy.data.sources.spreadsheet import IN_FOLDERS
from seewhy.data.sources.tree import Tree, tree_at


def with_zips(tree: Tree) -> Tree:
    """Returns the tree of a folder with what the zips in it hold; unchanged if it has images, or no zip."""
    zips = _names(tree.path, (".zip",)) if tree.path.is_dir() and not tree.scan.images else []
    return _joined(tree.path, zips, tree.scan) if zips else tree


def with_tables(zipped: Tree) -> Tree:
    """Returns the tree of a zip with the tables in its folder."""
    folder = zipped.path.parent
    return _joined(folder, [zipped.path.name], Scan(others=_names(folder, IN_FOLDERS)))


def _names(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    names = (entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    return sorted(n for n in names if n.lower().endswith(suffixes) and not n.startswith("."))


def _joined(folder: Path, zips: list[str], beside: Scan) -> Tree:
    """The tree of these zips and of the files beside them; other files in the zips are only counted."""
    trees = {os.path.splitext(name)[0]: tree_at(folder / name) for name in zips}
    paths = [f"{stem}/{path}" for stem, tree in trees.items() for path in tree.scan.images]
    scan = replace(
        beside,
        images=sorted(paths),
        others=[name for name in beside.others if name not in zips],
        beside=beside.beside
        + sum(tree.scan.beside + len(tree.scan.others) for tree in trees.values()),
    )

    def image(name: str) -> ImageLike:
        stem, _, path = name.partition("/")
        return trees[stem].image(path)

    def opened(name: str) -> BinaryIO:
        return open(folder / name, "rb")

    return Tree(folder, scan, image, opened, archives=tuple(zips))
