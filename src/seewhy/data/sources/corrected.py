"""A version of a data set with corrected labels: one small file; the source is not changed.

    photos-2/corrected.json     the source, and the right label of each image that had a wrong one
    photos-2/images/            images that were served, with a label, and belong to train now

Images are identified by their content, so a correction survives a new name or a new order.
"""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seewhy.config.options import first_fault
from seewhy.data.sources.source import Reading, Record, Source
from seewhy.errors import DataError
from seewhy.files import atomic_directory, write_atomic
from seewhy.text import visible

FILE = "corrected.json"
NONE = "none of these"  # a person's answer: the image is no class at all, and is left out
ADDED = "images"  # the folder of those that were served
HASH = re.compile("^[0-9a-f]{32}$")
PLAIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


class Correction(BaseModel):
    """One image whose label was wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str = Field(pattern=HASH, description="of the image's content")
    id: str = Field(description="its path or row, for people; it is not used to find the image")
    was: str = Field(description="the source's class, or those of its copies")
    label: str | None = Field(description="the right class; null: none of them, left out")


class Added(BaseModel):
    """An image that was served, and the class that a person gave it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(pattern=PLAIN, description="its name in images/")
    label: str = Field(description="its class")


class Corrected(BaseModel):
    """A version of a data set: its source, and the labels and images that differ from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = Field(1, description="version of this file format")
    source: str = Field(description="a path, or the name of data such as cifar10")
    layout: str | None = Field(None, description="layout of the source, if it is ambiguous")
    label_column: str | None = Field(
        None, description="column of the source's labels, if several may be"
    )
    corrections: tuple[Correction, ...] = Field(description="one for each content")
    added: tuple[Added, ...] = Field((), description="images that were served")

    @property
    def right(self) -> dict[bytes, str | None]:
        """The right class of each content hash; None: none of the classes."""
        return {one.hash.encode(): one.label for one in self.corrections}

    @property
    def note(self) -> str:
        """A line for the user."""
        out = sum(one.label is None for one in self.corrections)
        line = f"contents with a corrected label: {len(self.corrections) - out:,}"
        line += f"; left out as none of the classes: {out:,}" if out else ""
        return line + (f"; served images in train: {len(self.added):,}" if self.added else "")


def is_corrected(path: Path) -> bool:
    """Says whether a folder holds corrections."""
    return (path / FILE).is_file()


def read_corrected(path: Path) -> Corrected:
    """Reads a version. Raises `DataError` for another kind of file, or for a missing source."""
    file = path / FILE
    try:
        corrected = Corrected.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[-1]
        if isinstance(error, ValidationError):
            name, fault, _ = first_fault(error)
            reason = f"{name}: {fault}"
        raise DataError(
            f"{visible(str(file))} is not a list of corrections ({visible(reason)}): create it with "
            "`seewhy data apply-review`"
        ) from None
    source = Path(corrected.source)
    if is_corrected(source):
        raise DataError(f"the source of {visible(str(file))} is a version too: give the first one")
    if source.is_absolute() and not source.exists():
        raise DataError(
            f"the images of {visible(str(file))} should be in {visible(corrected.source)}, which does "
            'not exist: change its "source" to their present folder'
        )
    return corrected


def write_corrected(version: Corrected, out: Path, folders: Sequence[Path] = ()) -> None:
    """Writes a version as a new folder; its images are copied from the first of the folders that has each."""
    with atomic_directory(out, hidden=True) as folder:
        if version.added:
            (folder / ADDED).mkdir()
        for one in version.added:
            paths = (other / ADDED / one.file for other in folders)
            shutil.copyfile(next(filter(Path.is_file, paths)), folder / ADDED / one.file)
        write_atomic(folder / FILE, version.model_dump_json(indent=1).encode())


def with_added(origin: Source, folder: Path, added: Sequence[Added]) -> Source:
    """The source with images of a folder as part of train. Raises `DataError` for packed data."""
    if origin.pack is not None:
        raise DataError("images cannot be added to packed data: add them to the data, and pack it")
    paths = [(folder / ADDED / one.file).resolve() for one in added]

    def read() -> Reading:
        total, classes, records = origin.read()
        group = "" if origin.grouped else None
        new = (
            Record(f"{ADDED}/{one.file}", one.label, "added", path, group)
            for one, path in zip(added, paths, strict=True)
        )
        return Reading(total + len(added), classes, chain(records, new))

    names = tuple(os.path.relpath(path, origin.root) for path in paths)
    labels = "".join(f"\n{one.file} {one.label}" for one in added)
    files, key = (*origin.files, *names), origin.key + labels
    return replace(origin, files=files, read=read, key=key, version=folder.resolve())
