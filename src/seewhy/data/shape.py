"""Images that are far from square, and what becomes of them by the `fit` of an input rule."""

import numpy as np

from seewhy.config.input_rule import Fit

# Longer side by shorter. Cropping leaves out a third of a 3:2 photograph; squashing it changes hardly more
# than a random resized crop does.
FAR: dict[Fit, float] = {"crop": 1.4, "pad": 2.0, "squash": 2.0}
BECOMES: dict[Fit, str] = {
    "crop": "only their centre square is used",
    "pad": "they are shown small, between bars of grey",
    "squash": "their shape is changed to a square",
}
INSTEAD: dict[Fit, str] = {
    "crop": "--data.fit squash or pad uses the whole image",
    "pad": "--data.fit squash fills the square, crop fills it with the centre",
    "squash": "--data.fit pad keeps the shape, crop keeps it for the centre",
}


def elongation(sizes: np.ndarray) -> np.ndarray:
    """Returns how many times as long as wide, or as wide as long, images of these sizes `(N, 2)` are."""
    return np.asarray(sizes.max(1) / sizes.min(1))


def shape_notes(sizes: np.ndarray | None, fit: Fit, images: str) -> list[str]:
    """Returns a line on those of some `images` that are far from square, if there are any."""
    count = 0 if sizes is None else int((elongation(sizes) > FAR[fit]).sum())
    if sizes is None or not count:
        return []
    far = f"have one side more than {FAR[fit]:g} times as long as the other"
    return [f"{count:,} of {len(sizes):,} {images} {far}: {BECOMES[fit]} ({INSTEAD[fit]})"]
