"""The images that files, folders, globs and lists name, in order."""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from seewhy.data.images.decode import read_file
from seewhy.data.sources.folders import LITTER, scan
from seewhy.errors import UsageError
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path
from seewhy.text import counted, listed, shortened, visible

_ESCAPED = re.compile(r"\\(udc[89a-f][0-9a-f])")


def named_images(
    paths: Sequence[str | Path], *, follow_links: bool = False, on_event: OnEvent = ignore
) -> list[str]:
    """The images in files, folders, globs and lists, in order; raises `UsageError` if there are none."""
    images = list(_expand(paths, follow_links, on_event))
    if not images:
        named = ", ".join(map(str, paths))
        raise UsageError(f"no images in {named}: give files, or folders with images")
    return images


def _expand(paths: Iterable[str | Path], follow_links: bool, on_event: OnEvent) -> Iterator[str]:
    """The images of the arguments: every named file, and those in folders, globs and lists."""
    for path in map(str, paths):
        if _is_list(path):
            lines = listed(read_file(path))
            if not lines:
                raise UsageError(f"the list {path} is empty: expected a path per line")
            beside = Path(path).parent
            listed_paths = [_found(line, (Path(), beside)) for line in lines]
            # It may name itself, as of `ls > list.txt`.
            if inner := next(filter(_is_list, listed_paths), None):
                raise UsageError(
                    f"the list {path} names the list {visible(inner)}: expected images, folders and patterns"
                )
            yield from _expand(listed_paths, follow_links, on_event)
            continue
        path = _found(path, (Path(),))
        if path.startswith("~"):
            path = str(named_path(path))
        if os.path.isdir(path):
            folder = scan(Path(path), follow_links)
            yield from (str(Path(path, image)) for image in folder.images)
            yield from (str(Path(path, file.path)) for file in folder.skipped)
            if folder.others:
                on_event(Note(f"{path}: {counted(len(folder.others), 'other file')} ignored"))
            if folder.outputs:
                on_event(Note(f"{path}: output of SeeWhy, ignored: {shortened(folder.outputs)}"))
            if links := folder.left_links():
                on_event(Note(f"{path}: {links}"))
        elif glob.has_magic(path) and not Path(path).exists():
            matches = _matches(path)
            yield from matches
            if not matches:
                on_event(Note(f"{path}: no file matches"))
        else:
            yield path


def _is_list(path: str) -> bool:
    return os.path.splitext(path)[1].lower() == ".txt" and os.path.isfile(path)


def _matches(pattern: str) -> list[str]:
    """The files of a glob, without litter. Brackets in the name of a folder that exists are no pattern."""
    parts = pattern.split("/")
    known = next(n for n in range(len(parts) - 1, -1, -1) if not n or Path(*parts[:n]).exists())
    literal, rest = "/".join(parts[:known]), parts[known:]
    files = glob.glob("/".join([glob.escape(literal), *rest] if known else rest), recursive=True)
    return sorted(
        file
        for file in files
        if not Path(file).is_dir()
        and not any(part.lower() in LITTER for part in file[len(literal) :].split("/"))
    )


def _found(path: str, folders: Sequence[Path]) -> str:
    """The path as it is on disk, where a list writes it from another folder or its bytes in another way.

    Bytes that are not UTF-8 are escaped as in our tables (`\\udce9`), or are a name in Windows-1252.
    """
    plain = str(Path(path))
    if folders[0] == Path() and os.path.lexists(plain):  # nearly always
        return plain
    forms = [path, _ESCAPED.sub(lambda byte: chr(int(byte[1][1:], 16)), path)]
    with suppress(UnicodeError):
        forms.append(path.encode("utf-8", "surrogateescape").decode("cp1252"))
    places = (str(folder / form) for folder in folders for form in forms)
    return next((place for place in places if os.path.lexists(place)), path)
