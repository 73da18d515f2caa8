"""Pictures as their files have them, before anything is cut."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from PIL import Image

from seewhy.data import Data, sources
from seewhy.data.images.decode import open_picture, quiet_pillow

SIDE = 512  # pixels that are kept of the longer side, enough to look at


@dataclass(frozen=True, eq=False)
class Original:
    """A whole picture, upright, uint8 `(h, w, 3)`, and the width and height in pixels that its file has.

    `image` is no longer than `SIDE`.
    """

    image: np.ndarray
    width: int
    height: int


def originals(source: Data, ids: Collection[str], layout: str | None = None) -> dict[str, Original]:
    """Decodes the pictures of these ids again.

    Reads a source that was loaded before; no other picture of it is decoded.
    """
    found = {}
    with quiet_pillow():
        for record in sources.find(source, layout).read().records:
            if record.id in ids and record.id not in found:
                found[record.id] = _original(open_picture(record.picture))
                if len(found) == len(ids):
                    break
    return found


def _original(whole: Image.Image) -> Original:
    width, height = whole.size
    whole.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return Original(np.asarray(whole), width, height)
