"""Where labelled pictures come from: a path whose layout is recognised, or a name."""

from dataclasses import replace
from pathlib import Path

from seewhy.data.sources.cifar10 import find_cifar10
from seewhy.data.sources.corrected import is_corrected, read_corrected
from seewhy.data.sources.digits import find_digits
from seewhy.data.sources.layouts import LAYOUTS, recognise
from seewhy.data.sources.source import Source
from seewhy.errors import DataError
from seewhy.events import OnEvent, ignore
from seewhy.text import visible

__all__ = ["LAYOUTS", "NAMED", "Source", "find"]

NAMED = {"digits": find_digits, "cifar10": find_cifar10}


def find(
    source: str | Path,
    layout: str | None = None,
    group_from: str | None = None,
    on_event: OnEvent = ignore,
) -> Source:
    """Recognises a source: a path in one of `LAYOUTS`, or a name in `NAMED` where no such path is.

    A version with corrected labels is its source, with these corrections. Raises `DataError` when none
    fits, or when several do and `layout` does not say which.
    """
    path = Path(source)
    if is_corrected(path):
        version = read_corrected(path)
        found = find(version.source, layout or version.layout, group_from, on_event)
        return replace(found, corrections=version.right, notes=(*found.notes, version.note))
    if path.exists():
        return recognise(path.resolve(), layout, group_from)
    if str(source) in NAMED:
        return NAMED[str(source)](group_from, on_event)
    raise DataError(
        f"no data at {visible(str(source))}: give a folder or file, or one of {', '.join(NAMED)}"
    )
