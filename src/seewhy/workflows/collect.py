"""The data of a retraining, with the served images that have got a label since."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seewhy.config.data import DataConfig
from seewhy.data import Data
from seewhy.data.cache_sets import list_cache, remove_cached
from seewhy.data.loading import LISTED_BY
from seewhy.errors import UsageError
from seewhy.events import Note, OnEvent
from seewhy.text import counted
from seewhy.workflows.served import apply_feedback, export_feedback


@contextmanager
def with_feedback(
    name: str,
    data: Data,
    home: Path,
    overrides: Mapping[str, Any],
    *,
    registry: str | Path | None,
    on_event: OnEvent,
) -> Iterator[Data]:
    """The data as they are, and in their train the images of answers of `name` that have a label now.

    They are written below `home`, which this process has locked, and to the cache, for the block alone: how
    long images are kept is for the registry to say. Where no image has a label, a note says so. Raises
    `UsageError` for data in memory.
    """
    if not isinstance(data, str | Path):
        raise UsageError(
            "served images are added to files: give the path of the data with --feedback"
        )
    folder = home / f".feedback.{os.getpid()}.tmp"  # `home` may be a user's, with a folder `data`
    served, version = folder / "served", folder / "data"
    listed = {one: overrides[f"data.{one}"] for one in LISTED_BY if f"data.{one}" in overrides}
    config = DataConfig(**{"on_bad": "skip", "max_bad": 1, **listed})
    chosen: Data = version
    shutil.rmtree(folder, ignore_errors=True)  # of a killed process that had the same number
    folder.mkdir(mode=0o700)
    try:
        try:
            export_feedback(name, served, registry=registry)
            added = apply_feedback(data, served, version, config, on_event=on_event).added
            on_event(Note(f"{counted(added, 'served image', 'are')} added to train"))
        except UsageError as error:
            on_event(Note(f"no served image is added: {error}"))
            chosen = data
        yield chosen
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        served_sets = str(home.resolve() / ".feedback.")  # also those of a killed process
        remove_cached([one.id for one in list_cache().sets if one.source.startswith(served_sets)])
