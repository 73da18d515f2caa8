"""From the names in a table to the images of a tree.

Names are looked up among the images that the scan has listed, and never opened as paths: a path that
leads outside the folder is not an image of this source. Rules that go beyond the plain one are tried in
turn, for the names that are still missing, and each that finds an image is a note for the user.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path

from seewhy.errors import DataError
from seewhy.text import counted, visible

_SHOWN = 3  # names in a message


class Lookup:
    """Finds the images that a table names; `notes` say which rules were needed beyond the plain one.

    A name is a path below the folder or the end of one, with or without suffix; a path that is the whole
    name wins over one that ends in it. Else it is tried as a path from the root of the file system or from
    the working directory, then without its first folders (the same for all names), and at last without
    regard to upper and lower case.
    """

    def __init__(self, root: Path, folder: str, images: Sequence[str]) -> None:
        self._root, self._folder, self._listed = root, folder, images
        self._real = cache(os.path.realpath)  # of the same few folders again and again
        self.notes: list[str] = []

    def find(self, lines: Mapping[str, int]) -> dict[str, str]:
        """Returns the image of each name that has one; raises `DataError` if a name may mean several.

        `lines` are the names, each with its line in the table.
        """
        missing = list(lines)
        paths: dict[str, str] = {}

        def search(index: _Index, rewrite: Callable[[str], str | None], how: str) -> None:
            nonlocal missing
            for name in missing:
                rewritten = rewrite(name)
                try:
                    path = None if rewritten is None else index.find(rewritten)
                except DataError as error:
                    raise DataError(f"line {lines[name]:,}: {error}") from None
                if path is not None:
                    paths[name] = path
            found = [name for name in missing if name in paths]
            missing = [name for name in missing if name not in paths]
            if found and how:
                self.notes.append(
                    f"found {counted(len(found), 'path')} such as {visible(found[0])} {how}"
                )

        for normal, ending in ((_normal, ""), (_folded, "in other upper or lower case")):
            if not missing:
                break
            index = _Index(self._listed, self._folder, normal)
            also = f" and {ending}" if ending else ""
            search(index, lambda name: name, ending)
            below = f"as paths that lead into {visible(str(self._root))}{also}"
            search(index, self._below, below)
            search(index, _unquoted, f"without blanks or quotes at their ends{also}")
            if prefix := _prefix(missing, index, self._listed):
                cut = f"without their first part, {visible(prefix)}{also}"
                search(index, lambda name, prefix=prefix: _after(prefix, name), cut)  # type: ignore[misc]
        return paths

    def _below(self, name: str) -> str | None:
        """Returns an absolute path, or one from the working directory, as a path below the root."""
        if "\0" in name:
            return None
        folder, _, file = os.path.normpath(Path.cwd() / name.replace("\\", "/")).rpartition("/")
        for place in (folder, self._real(folder)):
            if f"{place}/".startswith(f"{self._root}/"):
                return f"{place}/{file}".removeprefix(f"{self._root}/")
        return None

    def none_found(self, names: Sequence[str]) -> str:
        """Says what was looked for, where, and what to do."""
        shown = visible(", ".join(names[:_SHOWN]))
        there = visible(", ".join(self._listed[:_SHOWN]))
        where = visible(str(self._root / self._folder))
        remedy = "give the folder that holds the images, with the table in it, as --data"
        if all(_is_absolute(name) for name in names):
            remedy += ", or give the table in memory: seewhy.train(pandas.read_csv(FILE))"
        return (
            f"names {counted(len(names), 'image')} and none of them exists, such as {shown}: looked "
            f"among the "
            f"{counted(len(self._listed), 'image')} below {where}"
            + (f", such as {there}" if there else "")
        ) + f"; {remedy}"


class _Index:
    """Finds images by their path or the end of it."""

    def __init__(self, images: Sequence[str], folder: str, normal: Callable[[str], str]) -> None:
        self._folder, self._normal = f"{normal(folder)}/" if folder else "", normal
        self._whole: dict[str, list[str]] = defaultdict(list)
        self._by_end: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for path in images:
            for name in dict.fromkeys(self._names(path)):
                self._whole[name].append(path)
                for parts in (1, 2):
                    self._by_end[_end(name, parts)].append((f"/{name}", path))

    def find(self, name: str) -> str | None:
        """Returns the image that a name means, or None; raises `DataError` if it may mean several."""
        paths = self._paths(name) or self._paths(name.replace("\\", "/"))
        if len(paths) > 1:
            raise DataError(
                f"{visible(name)} may be {visible(' or '.join(paths[:5]))}: write the whole path below "
                "the folder"
            )
        return paths[0] if paths else None

    def _paths(self, name: str) -> list[str]:
        wanted = self._normal(name.removeprefix("./"))
        if paths := self._whole.get(wanted) or self._whole.get(self._folder + wanted):
            return paths
        near, end = self._by_end.get(_end(wanted, 2), []), f"/{wanted}"
        return list(dict.fromkeys(path for known, path in near if known.endswith(end)))

    def _names(self, path: str) -> list[str]:
        """Returns a path with its suffix and without, also as our tables and old systems write its bytes."""
        forms = [path]
        if not path.isascii() and any("\udc80" <= letter <= "\udcff" for letter in path):
            raw = os.fsencode(path)
            forms += [path.encode("utf-8", "backslashreplace").decode(), raw.decode("latin-1")]
            forms.append(raw.decode("cp1252", "replace"))
        names = [self._normal(form) for form in forms]
        return names + [os.path.splitext(name)[0] for name in names]


def _end(path: str, parts: int) -> str:
    """Returns the last parts of a path: few images share the last two."""
    return "/".join(path.rsplit("/", parts)[-parts:])


def outside(name: str) -> bool:
    """Says whether a name leads out of its folder, so that it is no image of the source."""
    return _is_absolute(name) or ".." in re.split(r"[/\\]", name)


def _is_absolute(name: str) -> bool:
    return name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", name) is not None


def _prefix(names: Sequence[str], index: _Index, images: Sequence[str]) -> str:
    """Returns the shortest first part of all these names without which at least half are found.

    The last folder of a name is kept, unless all images are in one folder: another class is no match.
    """
    if not names:
        return ""
    parts = [name.replace("\\", "/").split("/")[:-1] for name in names]
    ends = min(parts), max(parts)  # what these two share, all share
    common = [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False))]
    flat = len({path.rpartition("/")[0] for path in images}) == 1
    most = len(common) if flat else min(len(common), min(map(len, parts)) - 1)
    for count in range(1, most + 1):
        prefix = "/".join(common[:count]) + "/"
        try:
            found = sum(index.find(_after(prefix, name)) is not None for name in names)
        except DataError:  # a short name may mean several
            return ""
        if 2 * found >= len(names):
            return prefix
    return ""


def _after(prefix: str, name: str) -> str:
    return name.replace("\\", "/").removeprefix(prefix)


def _unquoted(name: str) -> str:
    name = name.strip()
    quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "'\""
    return name[1:-1].strip() if quoted else name


def _normal(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _folded(path: str) -> str:
    return _normal(path).casefold()
