"""Images that are far from square, and what becomes of them by the `fit` of an input rule."""

from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from seewhy.config.input_rule import Fit
from seewhy.data.images.decode import ImageLike, measure
from seewhy.errors import ImageError
from seewhy.text import counted

# Longer side by shorter. Cropping leaves out a third of a 3:2 photograph; squashing it changes hardly more
# than a random resized crop does.
FAR: dict[Fit, float] = {"crop": 1.4, "pad": 2.0, "squash": 2.0}
BECOMES: dict[Fit, tuple[str, str]] = {  # one image, several
    "crop": ("only its centre square is used", "only their centre square is used"),
    "pad": (
        "it is shown small, between bars of grey",
        "they are shown small, between bars of grey",
    ),
    "squash": ("its shape is changed to a square", "their shape is changed to a square"),
}
INSTEAD: dict[Fit, str] = {
    "crop": "--data.fit squash or pad uses the whole length",
    "pad": "--data.fit squash fills the square, crop fills it with the centre",
    "squash": "--data.fit pad keeps the shape, crop keeps it for the centre",
}


def elongation(sizes: np.ndarray) -> np.ndarray:
    """Returns how many times as long as wide, or as wide as long, images of these sizes `(N, 2)` are."""
    return np.asarray(sizes.max(1) / sizes.min(1))


def shape_notes(sizes: np.ndarray | None, fit: Fit, *, training: bool = False) -> list[str]:
    """Returns a line on those of some images, `(N, 2)`, that are far from square, if there are any.

    They are those of a `training`, whose fit can be chosen, or those that a model is given.
    """
    count = 0 if sizes is None else int((elongation(sizes) > FAR[fit]).sum())
    if sizes is None or not count:
        return []
    of = f"{count:,} of {counted(len(sizes), 'training image' if training else 'image')}"
    far = f"{'has' if count == 1 else 'have'} one side more than {FAR[fit]:g} times as long as the other"
    how = INSTEAD[fit] if training else f"by its training: {INSTEAD[fit]}"
    return [f"{of} {far}: {BECOMES[fit][count > 1]} ({how})"]


def cropped_note(images: Iterable[ImageLike], fit: Fit) -> list[str]:
    """Returns a line on those of these images of which a model that crops sees only the centre square.

    Only their headers are read; an image that cannot be read does not count.
    """
    sizes = []
    for image in images if fit == "crop" else ():
        with suppress(ImageError):
            sizes.append(measure(image)[0])
    return shape_notes(np.array(sizes).reshape(-1, 2), fit)
