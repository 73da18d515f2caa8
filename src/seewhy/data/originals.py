"""The original images of a source, before resizing and cropping."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from PIL import Image

from seewhy.config.data import DataConfig
from seewhy.data import Data, sources
from seewhy.data.images.colour import Depth
from seewhy.data.images.decode import open_image
from seewhy.data.images.quiet import quiet_pillow

SIDE = 512  # pixels of the longer side that are kept, enough to look at


@dataclass(frozen=True, eq=False)
class Original:
    """A whole image, upright, uint8 `(h, w, 3)`, and the width and height of its file in pixels.

    The longer side of `image` is at most `SIDE`.
    """

    image: np.ndarray
    width: int
    height: int


def originals(
    source: Data,
    ids: Collection[str],
    config: DataConfig = DataConfig(),  # noqa: B008 (frozen)
    depth: Depth | None = None,
) -> dict[str, Original]:
    """Decodes the images with these ids, and no others, from a source that was loaded with this `config`.

    `depth` is that of the input rule.
    """
    decoded: dict[str, Original] = {}
    with quiet_pillow():
        for record in sources.find(source, config).read().records:
            if record.id in ids and record.id not in decoded:
                whole = open_image(record.image, depth=depth).copy()  # it may be the source's own
                width, height = whole.size
                whole.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
                decoded[record.id] = Original(np.asarray(whole), width, height)
                if len(decoded) == len(ids):
                    break
    return decoded
