"""Which folders are splits: `train`, `Testing`, `seg_val`, `test1`, `training_set`."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from seewhy.data.sources.source import SPLITS

# Either "val" or "test" to those who use them: the one that is missing, and "test" in doubt, which no
# training opens.
_EVALUATION = {"eval", "evaluation"}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
_KINDS = {"set", "data", "dataset", "split", "folder", "image", "images", "img", "imgs"}


class _Named(NamedTuple):
    """A folder named for a split: the word for it, and the words that tell it from other splits' folders."""

    folder: str
    word: str
    rest: tuple[str, ...]


def split_folders(folders: Iterable[str]) -> dict[str, str]:
    """Returns the split ("train", "val", "test") of each folder that is named for one.

    Case does not matter. A name with more than the word for a split (`seg_train`, `test1`) counts only
    beside a folder of another split with the same other words; numbers and words such as "set" do not matter.
    """
    families = defaultdict(list)
    for folder in folders:
        if named := _named(folder):
            families[named.rest].append(named)
    splits: dict[str, str] = {}
    for family in families.values():
        known = {SPLITS[one.word] for one in family if one.word in SPLITS}
        held_out = "val" if known & {"val", "test"} == {"test"} else "test"
        own = {one.folder: SPLITS.get(one.word, held_out) for one in family}
        if len(set(own.values())) == 1:
            own = {one.folder: own[one.folder] for one in family if one.folder.lower() == one.word}
        splits |= own
    return splits


def same_split(folder: str, inner: str) -> bool:
    """Says whether a folder in a folder repeats its name, such as `seg_train/seg_train`, `test_set/test`."""
    one, other = _named(folder), _named(inner)
    if one is None or other is None:
        return folder == inner
    return SPLITS.get(one.word, one.word) == SPLITS.get(other.word, other.word)


def from_folders(splits: dict[str, str]) -> str:
    """Returns a line for the user on folders that do not have the plain name of a split; "" without any."""
    odd = [f"{split} from {folder}" for folder, split in splits.items() if folder not in SPLITS]
    return f"splits by folder: {', '.join(odd)}" if odd else ""


def _named(folder: str) -> _Named | None:
    words = [word.lower() for word in _WORD.findall(folder)]
    words = [word.removesuffix("set") or word for word in words]
    found = [word for word in words if word in SPLITS or word in _EVALUATION]
    if len(found) != 1:
        return None
    rest = (word for word in words if word != found[0] and word not in _KINDS)
    return _Named(folder, found[0], tuple(word for word in rest if not word.isdecimal()))


def lone(paths: Collection[str]) -> str | None:
    """Returns the one folder that all paths lie in; None if there are several, or one lies in none."""
    tops = {path.split("/", 1)[0] if "/" in path else "" for path in paths}
    return (tops.pop() or None) if len(tops) == 1 else None
