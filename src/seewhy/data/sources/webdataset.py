"""WebDataset: tars in which files of one key belong together, `KEY.jpg` with `KEY.cls` or `KEY.json`.

A set is one tar, a folder of tars, or a name such as `train-{000..009}.tar`. Tars are read one after the
other, so what is in memory is the list of one or two of them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from seewhy.data.class_names import label_text
from seewhy.data.images.decode import ImageLike
from seewhy.data.sources.archives import TARS
from seewhy.data.sources.columns import LABELS, Columns
from seewhy.data.sources.parquet import split_in_name
from seewhy.data.sources.source import SAMPLE, SPLITS, Reading, Record, Source, some_of
from seewhy.data.sources.tars import Tar, tar_at
from seewhy.data.sources.tree import Tree
from seewhy.errors import DataError, ImageError
from seewhy.text import near, visible

MAX_FACTS = 1 << 20  # bytes of a .cls or .json
MAX_SHARDS = 100_000
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_FIRST = 20  # images that are looked at to recognise a set


def braced(path: Path) -> list[Path]:
    """Returns the files that a name with `{000..009}` stands for, none if it has no braces."""
    match = _BRACES.search(path.name)
    if match is None or path.exists():
        return []
    first, last = int(match[1]), int(match[2])
    if not first <= last < first + MAX_SHARDS:
        raise DataError(f"{visible(path.name)}: expected numbers that rise, such as {{000..009}}")
    width = len(match[1])
    names = (path.name[: match.start()] + f"{n:0{width}}" for n in range(first, last + 1))
    ending = path.name[match.end() :]
    files = [file for name in names for file in _each(path.with_name(name + ending))]
    if missing := [file.name for file in files if not file.is_file()]:
        raise DataError(f"{visible(path.name)}: there is no {visible(missing[0])} in {path.parent}")
    return files


def _each(path: Path) -> list[Path]:
    return braced(path) or [path]


def fits_webdataset(tree: Tree) -> bool:
    """Says whether this is a tar, or a folder of tars, whose first images have labels in .cls or .json."""
    files = _tars(tree)
    if not files:
        return False
    tar = tar_at(files[0])
    facts = (_facts(tar, image) for image in _images(tar)[:_FIRST])
    return any("cls" in one or set(LABELS) & one.keys() for one in facts)


def find_webdataset(tree: Tree, columns: Columns) -> Source:
    """Reads the tars of a folder in the order of their names, or the one."""
    return tars_source(_tars(tree), columns)


def tars_source(files: Sequence[Path], columns: Columns) -> Source:
    """Reads these tars, which are in one folder."""
    tar = tar_at(files[0])
    facts = [_facts(tar, name) for name in _images(tar)[:_FIRST]]
    if not facts:
        raise DataError(f"no images in {visible(files[0].name)}: expected KEY.jpg beside KEY.cls")
    if columns.label and not any(columns.label in one for one in facts):
        known = sorted({name for one in facts for name in one})
        raise DataError(
            f"the .json files of {visible(files[0].name)} have no {visible(columns.label)}"
            f"{near(columns.label, known)} (--label-column): they have {visible(', '.join(known))}"
        )
    group = columns.group or "group"
    grouped = any(group in one for one in facts)
    whole = sum(file.stat().st_size for file in files)
    total = round(len(_images(tar)) * whole / max(files[0].stat().st_size, 1))
    read = partial(_records, files, columns, group if grouped else None)
    return Source(
        "webdataset",
        files[0].parent,
        tuple(file.name for file in files),
        lambda: Reading(total, None, read()),
        partial(_sample, files, columns),
        key=", ".join(f"{what} {name}" for what, name in columns._asdict().items() if name),
        grouped=grouped,
    )


def _tars(tree: Tree) -> list[Path]:
    if tree.path.is_dir():
        if tree.scan.images or tree.archives:
            return []
        names = [name for name in tree.scan.others if "/" not in name]
        return [tree.path / name for name in sorted(names) if name.lower().endswith(TARS)]
    return [tree.path] if tree.path.name.lower().endswith(TARS) else []


def _images(tar: Tar) -> list[str]:
    """The images of a tar; `KEY.mask.png` is none of them."""
    return [name for name in tar.scan.images if name.rpartition("/")[2].count(".") == 1]


def _facts(tar: Tar, image: str) -> dict[str, Any]:
    """What the .json of an image says, and as `cls` what its .cls does."""
    key = image.rpartition(".")[0]
    facts: dict[str, Any] = {}
    for ending in ("json", "cls"):
        name = f"{key}.{ending}"
        if name not in tar.entries:
            continue
        if tar.entries[name].size > MAX_FACTS:
            raise DataError(f"{visible(tar.path.name)}: {visible(name)} is too long for facts")
        try:
            text = tar.read(name).decode()
            value = json.loads(text) if ending == "json" else text.strip()
        except (ValueError, RecursionError) as error:
            raise DataError(f"{visible(tar.path.name)}: {visible(name)}: {error}") from None
        facts |= value if isinstance(value, dict) else {ending: value}
    return facts


def _records(
    files: Iterable[Path], columns: Columns, group: str | None, most: int | None = None
) -> Iterator[Record]:
    """The images of the files in order; with `most`, about so many of each, spread evenly over it."""
    for file in files:
        tar, of_file = tar_at(file), split_in_name(file.name)
        names = _images(tar)
        for name in names if most is None else names[:: len(names) // most or 1]:
            facts = _facts(tar, name)
            places = (columns.label,) if columns.label else (*LABELS, "cls")
            label = next((facts[place] for place in places if place in facts), None)
            split = SPLITS.get(str(facts.get("split") or "").lower(), of_file)
            of_group = label_text(facts.get(group)) if group else None
            yield Record(f"{file.name}/{name}", _label(label), split, tar.read(name), of_group)
        for skipped in tar.scan.skipped:  # without a label: left out, and counted
            error, of_group = ImageError(skipped.code), "" if group else None
            yield Record(f"{file.name}/{skipped.path}", "", of_file, error, of_group)


def _label(value: Any) -> str:
    text = "" if isinstance(value, dict | list) else label_text(value)
    return "" if text == "-1" else text


def _sample(files: Sequence[Path], columns: Columns) -> Iterable[ImageLike]:
    some = some_of([file for file in files if split_in_name(file.name) != "test"])
    records = _records(some, columns, None, SAMPLE // max(1, len(some)))
    return (record.image for record in records if record.split != "test")
