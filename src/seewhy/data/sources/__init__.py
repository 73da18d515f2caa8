"""Where labelled images come from: a path whose layout is recognised, a name, or data in memory."""

import os
from dataclasses import replace
from pathlib import Path

from seewhy.config.data import DataConfig
from seewhy.data.shards import open_pack
from seewhy.data.sources.cifar10 import find_cifar10
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.corrected import is_corrected, read_corrected, with_added
from seewhy.data.sources.digits import find_digits
from seewhy.data.sources.layouts import LAYOUTS, no_label_column, recognise
from seewhy.data.sources.memory import Data, describe, find_memory
from seewhy.data.sources.packs import is_address, pack_source
from seewhy.data.sources.source import Source
from seewhy.data.sources.webdataset import braced, tars_source
from seewhy.errors import DataError, UsageError
from seewhy.events import OnEvent, ignore
from seewhy.files import named_path
from seewhy.text import near, visible

__all__ = ["LAYOUTS", "NAMED", "Data", "Source", "describe", "find"]

NAMED = {"digits": find_digits, "cifar10": find_cifar10}


def find(
    source: Data,
    config: DataConfig = DataConfig(),  # noqa: B008 (frozen)
    on_event: OnEvent = ignore,
) -> Source:
    """Recognises a source: a path in one of `LAYOUTS`, else a name in `NAMED`, or `Data`.

    Of `config`, the layout, the links and the columns matter. `~` in a path is the home directory. A version
    with corrected labels gives its source, with these corrections. Raises `DataError` if no layout fits, or
    if several do and none is chosen.
    """
    columns = Columns(config.label_column, config.group_from)
    if not isinstance(source, str | Path):
        if config.layout is not None:
            raise UsageError("data.layout has no effect on data in memory: leave it out")
        return find_memory(source, columns)
    if is_address(source):
        return pack_source(open_pack(source), Path())
    path = named_path(source)
    if is_corrected(path):
        version = read_corrected(path)
        own = {
            "layout": config.layout or version.layout,
            "label_column": config.label_column or version.label_column,
        }
        origin = find(version.source, config.model_copy(update=own), on_event)
        if version.added:
            origin = with_added(origin, path, version.added)
        return replace(origin, corrections=version.right, notes=(*origin.notes, version.note))
    if path.exists():
        # A link to a file keeps its own name, which tells the kind of the file.
        real = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
        return recognise(real, config.layout, columns, config.follow_links)
    if files := braced(path):
        if config.layout not in (None, "webdataset"):
            raise UsageError(
                f"--layout {config.layout} has no effect on several tars: leave it out"
            )
        return tars_source(files, columns)
    if str(source) in NAMED:
        if columns.label is not None:
            raise no_label_column(str(source))
        return NAMED[str(source)](columns, on_event)
    raise DataError(
        f"no data at {visible(str(source))}{_meant(path)}: give a folder or file, or one of "
        f"{', '.join(NAMED)}"
    )


def _meant(path: Path) -> str:
    """What may have been meant by a path that does not exist: what has nearly its name; "" if nothing has."""
    try:
        beside = os.listdir(path.parent)
    except OSError:
        beside = []
    meant = near(path.name, [*beside, *NAMED])
    return f" ({visible(meant.removeprefix(': '))})" if meant else ""
