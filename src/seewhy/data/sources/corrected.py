"""A version of a data set with corrected labels: one small file beside which the source stays as it is.

    photos-2/corrected.json     where the pictures lie, and what is right for each that was labelled wrongly

Pictures are named by their content, so that neither a new name nor a new order loses a correction.
"""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seewhy.errors import DataError
from seewhy.text import visible

FILE = "corrected.json"
HASH = re.compile("^[0-9a-f]{32}$")


class Correction(BaseModel):
    """One picture whose label was wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str = Field(pattern=HASH, description="of the picture's content")
    id: str = Field(description="its path or row, for readers; nothing is looked up by it")
    was: str = Field(description="the source's class, or those of its copies")
    label: str | None = Field(
        description="the right class; null: it is none of them, and is left out"
    )


class Corrected(BaseModel):
    """A version: its source and what differs there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = Field(1, description="version of this file's form")
    source: str = Field(description="a path, or the name of data such as cifar10")
    layout: str | None = Field(
        None, description="how the source is laid out, where it is not plain"
    )
    corrections: tuple[Correction, ...] = Field(description="one for each content")

    @property
    def right(self) -> dict[bytes, str | None]:
        """The right class of each content hash, None where it is none of them."""
        return {one.hash.encode(): one.label for one in self.corrections}

    @property
    def note(self) -> str:
        """What the user is told of it."""
        out = sum(one.label is None for one in self.corrections)
        line = f"contents with a corrected label: {len(self.corrections) - out:,}"
        return line + (f"; left out as none of the classes: {out:,}" if out else "")


def is_corrected(path: Path) -> bool:
    """Says whether a folder is such a version."""
    return (path / FILE).is_file()


def read_corrected(path: Path) -> Corrected:
    """Reads a version. Raises `DataError` for a file that is no such, or whose source is not there."""
    file = path / FILE
    try:
        found = Corrected.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        said = str(error).splitlines()[-1] if isinstance(error, OSError) else _first(error)
        raise DataError(
            f"{visible(str(file))} is no list of corrections ({visible(said)}): make it with "
            "`seewhy data apply-review`"
        ) from None
    source = Path(found.source)
    if is_corrected(source):
        raise DataError(
            f"{visible(str(file))} has another version as its source: name the first one"
        )
    if source.is_absolute() and not source.exists():
        raise DataError(
            f"{visible(str(file))} says that its pictures lie in {visible(found.source)}, which is not "
            'there: write where they are now as its "source"'
        )
    return found


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
