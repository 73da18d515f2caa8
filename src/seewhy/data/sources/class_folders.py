"""Images whose folder is their class: `root/<class>/*` and `root/<split>/<class>/*`."""

from functools import partial

from seewhy.data.sources.source import SPLITS, Source
from seewhy.data.sources.tree import Labelled, Tree, labelled_source


def fits_split_folders(tree: Tree) -> bool:
    """Says whether a folder named for a split holds class folders with images."""
    paths = (path.split("/") for path in tree.scan.images)
    return any(parts[0] in SPLITS for parts in paths if len(parts) > 2)


def fits_folders(tree: Tree) -> bool:
    """Says whether the folders may be classes.

    They are not if all are named for splits, whether they hold class folders or only images.
    """
    inside = [path.split("/", 2) for path in tree.scan.images if "/" in path]
    if any(parts[0] not in SPLITS for parts in inside):
        return True
    return fits_split_folders(tree) and any(len(parts) == 2 for parts in inside)


def folder_names(tree: Tree) -> set[str]:
    """Returns the names of the folders that would be classes in either layout."""
    folders = (path.split("/", 2)[:-1] for path in tree.scan.images)
    return {name for names in folders for name in names}


def _find(layout: str, depth: int, tree: Tree, group_from: str | None) -> Source:
    """Reads images whose class is the `depth`-th folder in their path; deeper folders do not matter."""
    images = []
    for path in tree.scan.images:
        folders = path.split("/", depth)[:-1]
        split = "" if depth == 1 else SPLITS.get(path.split("/", 1)[0])
        if len(folders) == depth and split is not None:
            images.append(Labelled(path, folders[-1], split))
    unused = len(tree.scan.images) - len(images) + len(tree.scan.others)
    return labelled_source(layout, tree, images, tree.notes(unused))


find_folders = partial(_find, "folders", 1)
find_split_folders = partial(_find, "split-folders", 2)
