"""Pictures whose folder is their class: `root/<class>/*` and `root/<split>/<class>/*`."""

from seewhy.data.sources.source import SPLITS, Source
from seewhy.data.sources.tree import Labelled, Tree, labelled_source


def fits_split_folders(tree: Tree) -> bool:
    """Says whether a folder named for a split holds class folders with pictures."""
    return any(
        path.split("/", 1)[0] in SPLITS for path in tree.scan.pictures if path.count("/") > 1
    )


def fits_folders(tree: Tree) -> bool:
    """Says whether folders may be classes: not when they all are named for splits and hold classes.

    Nor when all are named for splits and hold pictures, which says nothing of their classes.
    """
    inside = [path.split("/", 2) for path in tree.scan.pictures if "/" in path]
    if any(parts[0] not in SPLITS for parts in inside):
        return True
    return fits_split_folders(tree) and any(len(parts) == 2 for parts in inside)


def folder_names(tree: Tree) -> set[str]:
    """Returns the names of the folders that would be classes in one layout or the other."""
    folders = (path.split("/", 2)[:-1] for path in tree.scan.pictures)
    return {name for names in folders for name in names}


def find_folders(tree: Tree, group_from: str | None) -> Source:
    """Reads `root/<class>/*`; files deeper in a class folder belong to it."""
    return _find("folders", tree, 1)


def find_split_folders(tree: Tree, group_from: str | None) -> Source:
    """Reads `root/<split>/<class>/*`, split one of train, val, valid, validation, test."""
    return _find("split-folders", tree, 2)


def _find(layout: str, tree: Tree, depth: int) -> Source:
    pictures = []
    for path in tree.scan.pictures:
        folders = path.split("/", depth)[:-1]
        split = "" if depth == 1 else SPLITS.get(path.split("/", 1)[0])
        if len(folders) == depth and split is not None:
            pictures.append(Labelled(path, folders[-1], split))
    unused = len(tree.scan.pictures) - len(pictures) + len(tree.scan.others)
    return labelled_source(layout, tree, pictures, tree.notes(unused))
