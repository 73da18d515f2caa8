"""Pictures as their files have them, before anything is cut or resized."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from seewhy.data import sources
from seewhy.data.decode import open_picture, quiet_pillow


def originals(
    source: str | Path, ids: Collection[str], layout: str | None = None
) -> dict[str, np.ndarray]:
    """Decodes the pictures of these ids again, upright, each uint8 `(h, w, 3)` at its whole size.

    Reads a source that was loaded before; no other picture of it is decoded.
    """
    found = {}
    with quiet_pillow():
        for record in sources.find(source, layout).read().records:
            if record.id in ids and record.id not in found:
                found[record.id] = np.asarray(open_picture(record.picture))
                if len(found) == len(ids):
                    break
    return found
