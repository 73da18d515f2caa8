"""Images whose folder or file name is their class.

folders         root/<class>/*
split-folders   root/<split>/<class>/*, also with a folder between, such as seg_train/seg_train/<class>
file-names      <class>.<number>.jpg, anywhere below the root or the folder of a split
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from seewhy.data.bad_files import BadFile
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.folders import folders_of
from seewhy.data.sources.source import Source
from seewhy.data.sources.splits import from_folders, lone, same_split, split_folders
from seewhy.data.sources.tree import Labelled, Tree, labelled_source
from seewhy.errors import IMAGE_ERROR_CODES, DataError
from seewhy.text import counted, shortened, visible

_NUMBERED = re.compile(r"(.+?)[\s._-]*\(?\d+\)?")  # cat.0, great_pyrenees_12, truck (3)


class _Split(NamedTuple):
    """A folder of a split; `depth` is how many folders lie above its class folders."""

    folder: str
    split: str
    depth: int
    paths: Sequence[str]

    @property
    def images(self) -> list[Labelled]:
        """The images in class folders."""
        parts = ((path, path.split("/", self.depth + 1)) for path in self.paths)
        return [
            Labelled(path, folders[self.depth], self.split)
            for path, folders in parts
            if len(folders) == self.depth + 2
        ]


def fits_folders(tree: Tree) -> bool:
    """Says whether the folders may be classes.

    They are not if all are named for splits, nor if two splits have a class in common that no folder
    beside them has.
    """
    tops = _by_folder(tree.scan.images)
    splits = _splits(tops)
    others = tops.keys() - {split.folder for split in splits}
    classes: dict[str, set[str]] = defaultdict(set)
    for split in splits:
        classes[split.split] |= {image.label for image in split.images}
    common = set.intersection(*classes.values()) if len(classes) > 1 else set()
    inside = {path.split("/", 2)[1] for folder in others for path in tops[folder]}
    return bool(others) and not (common and common.isdisjoint(inside))


def fits_split_folders(tree: Tree) -> bool:
    """Says whether a folder named for a split holds class folders with images."""
    return any(split.images for split in _splits(_by_folder(tree.scan.images)))


def folder_names(tree: Tree) -> set[str]:
    """Returns the names of the folders that would be classes in either layout."""
    folders = (path.split("/", 2)[:-1] for path in tree.scan.images)
    return {name for names in folders for name in names}


def find_folders(tree: Tree, columns: Columns) -> Source:
    """Reads images whose class is the first folder in their path; deeper folders do not matter."""
    images = [
        Labelled(path, folder, "")
        for folder, paths in _by_folder(tree.scan.images).items()
        for path in paths
    ]
    classes = [folder for folder in tree.scan.folders if "/" not in folder]
    return _source("folders", tree, images, classes)


def find_split_folders(tree: Tree, columns: Columns) -> Source:
    """Reads images whose class is a folder in the folder of a split; deeper folders do not matter."""
    tops = _by_folder(tree.scan.images)
    splits = _splits(tops)
    images = [image for split in splits for image in split.images]
    depth = {split.folder: split.depth for split in splits}
    classes = [
        folder
        for folder in tree.scan.folders
        if folder.count("/") == depth.get(folder.split("/", 1)[0], 0) > 0
    ]
    notes = [from_folders({split.folder: split.split for split in splits})]
    notes += [
        f"{split.folder}: ignored {counted(len(split.paths), 'image')} in no class folder"
        for split in splits
        if not split.images
    ]
    if others := sorted(tops.keys() - depth.keys()):
        notes.append(f"folders beside the splits were ignored: {shortened(others)}")
    return _source("split-folders", tree, images, classes, notes)


def find_file_names(tree: Tree, columns: Columns) -> Source:
    """Reads images whose class is their name without a number at its end; folders may be splits."""
    tops = _by_folder(tree.scan.images)
    splits = {split.folder: split.split for split in _splits(tops)}
    if splits.keys() != tops.keys():
        splits = {}
    named = ((path, _class_in(path)) for path in tree.scan.images)
    images = [
        Labelled(path, label, splits.get(path.split("/", 1)[0], ""))
        for path, label in named
        if label
    ]
    if not images:
        raise DataError(
            f"no image in {visible(str(tree.path))} is named for its class, such as cat.0.jpg"
        )
    return _source("file-names", tree, images, (), [from_folders(splits)])


def hint(tree: Tree) -> str:
    """Returns a line on why the folders of a tree that fits no layout are not read; "" if there is none."""
    tops = _by_folder(tree.scan.images)
    if not tops or fits_folders(tree):
        return ""
    names = sorted({label for path in tree.scan.images if (label := _class_in(path))})
    line = (
        f"{shortened(sorted(tops))} are named for splits, and hold images but no class folders: move the "
        "images into class folders, or add a CSV with the columns id,label"
    )
    if 1 < len(names) < len(tree.scan.images) / 4:
        line += (
            f". If the names of the files say their class ({shortened(names)}): --layout file-names"
        )
    return line


def doubt(tree: Tree) -> str:
    """Returns which folders are named for splits, among others that are not; "" if it is not so."""
    tops = _by_folder(tree.scan.images)
    splits = [split.folder for split in _splits(tops)]
    others = sorted(tops.keys() - set(splits))
    if not splits or not others:
        return ""
    return f" ({shortened(splits)} may be a split or a class, beside {shortened(others)})"


def _class_in(path: str) -> str:
    """Returns what stands before the number in a file's name; "" if there is nothing or no number."""
    numbered = _NUMBERED.fullmatch(os.path.splitext(path.rpartition("/")[2])[0])
    return numbered[1] if numbered and not numbered[1].isdecimal() else ""


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    """Returns the paths in each first folder, without those that lie in none."""
    tops: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folder, slash, _ = path.partition("/")
        if slash:
            tops[folder].append(path)
    return tops


def _splits(tops: dict[str, list[str]]) -> list[_Split]:
    """Returns the folders of splits.

    A folder in one of them is looked through if it holds all its images and repeats its name, or holds the
    class folders of one of the splits (`train/images/<class>`).
    """
    named = split_folders(tops)
    inner = {top: _without_repeats(top, _without(top, tops[top])) for top in named}
    alone = {top: lone(paths) for top, (paths, _) in inner.items()}
    classes = {
        name for top, (paths, _) in inner.items() if not alone[top] for name in _by_folder(paths)
    }
    between = {
        name
        for top, name in alone.items()
        if name and name not in classes and len(_by_folder(_without(name, inner[top][0]))) > 1
    }
    return [
        _Split(top, split, inner[top][1] + (alone[top] in between), tops[top])
        for top, split in named.items()
    ]


def _without_repeats(top: str, paths: list[str]) -> tuple[list[str], int]:
    """Returns paths below the folders that repeat the name `top`, and how many folders lie above them."""
    depth = 1
    while (name := lone(paths)) and same_split(top, name):
        depth, paths = depth + 1, _without(name, paths)
    return paths, depth


def _without(folder: str, paths: Sequence[str]) -> list[str]:
    return [path.removeprefix(folder + "/") for path in paths]


def _source(
    layout: str,
    tree: Tree,
    images: list[Labelled],
    classes: Sequence[str],
    notes: Sequence[str] = (),
) -> Source:
    """Returns the source of these images, with notes on those of the folders `classes` that have none."""
    unused = len(tree.scan.images) - len(images) + len(tree.scan.others)
    used = folders_of([*tree.scan.images, *(f"{folder}/" for folder in tree.scan.outputs)])
    without = [folder for folder in classes if folder not in used]
    holding = folders_of([*tree.scan.others, *(file.path for file in tree.scan.skipped)])
    empty = [folder for folder in without if folder not in holding]
    if other := [folder for folder in without if folder in holding]:
        notes = [*notes, f"not read as classes, since no image is in them: {shortened(other)}"]
    if empty:
        notes = [*notes, f"not read as classes, since they are empty: {shortened(empty)}"]
    source = labelled_source(
        layout, tree, sorted(images), (*filter(None, notes), *tree.notes(unused))
    )
    rows = (BadFile(folder, "empty_folder", IMAGE_ERROR_CODES["empty_folder"]) for folder in empty)
    return replace(source, skipped=(*source.skipped, *rows))
