"""The page on which a user sees how new images differ from those that a model was judged on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seewhy.analysis.drift import Drift
from seewhy.analysis.drift_state import DriftState, NewImage
from seewhy.page.images import thumbnail
from seewhy.page.template import embedded, page

MOST_SHOWN = 24  # new images on the page


def render_drift(drift: Drift, images: Sequence[NDArray[np.uint8]], model: str, digest: str) -> str:
    """The page as HTML, of one window; it loads nothing.

    `images` are the farthest of the new ones, uint8 (H, W, 3), at most `MOST_SHOWN`.
    """
    new = [
        NewImage(name, distance, f"data:image/webp;base64,{thumbnail(image)}")
        for name, distance, image in zip(drift.ids, drift.distances, images, strict=False)
    ]
    state = DriftState(
        name=model,
        digest=digest,
        state="drifted" if drift.drifted else "same",
        size=drift.window,
        windows=1,
        alarms=int(drift.drifted),
        drift=drift,
        new=tuple(new),
    )
    return page(
        "drift.html.jinja",
        ["report.css", "drift.css"],
        "drift.js",
        states=embedded({"models": [state], "live": False}),
    )
