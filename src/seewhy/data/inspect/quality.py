"""Pictures that show little: too dark or bright, without contrast, blurred, cut or enlarged to fit.

All but the shape is measured on the stored picture, so on what a network sees. The limits leave nearly all
of CIFAR-10 and of common photographs alone (docs/guide.md has the counts).
"""

from dataclasses import dataclass, fields

import numpy as np

from seewhy.data.images.near_duplicates import LUMA, waves
from seewhy.data.imageset import ImageSet
from seewhy.data.inspect.findings import Example, Finding

DARK = 0.25  # of full light; the largest channel of 99 pixels in 100 is below
BRIGHT = 0.75  # the smallest channel of 99 pixels in 100 is above
CONTRAST = 0.1  # range of 98 pixels in 100, in the channel where it is largest
SHARP = (
    0.1  # fine against coarse detail; nature's is about 0.5, an enlargement to twice the size 0.11
)
LONG = 3.0  # longer side by shorter; the centre square then leaves two thirds out
ENLARGED = 2.0  # times by which a picture was blown up to its stored size


@dataclass(frozen=True, eq=False)
class Measures:
    """One number a picture, each `(N,)` float32, light in [0, 1].

    `dark`, `bright`, `range`, `sharpness` as the limits of this module say; `brightness` and `contrast`
    are mean and deviation of the grey levels, `red`, `green`, `blue` means, `colour` the largest less
    the smallest of these.
    """

    dark: np.ndarray
    bright: np.ndarray
    range: np.ndarray
    sharpness: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray
    red: np.ndarray
    green: np.ndarray
    blue: np.ndarray
    colour: np.ndarray


def measure(images: np.ndarray) -> Measures:
    """Measures uint8 pictures `(N, S, S, 3)`."""
    pixels = images.reshape(len(images), images.shape[1] * images.shape[2], 3)
    one = pixels.shape[1] // 100  # pixels that may be beyond at either end
    low, high = one, pixels.shape[1] - 1 - one
    ordered = np.partition(pixels, (low, high), axis=1).astype(np.float32) / 255
    red, green, blue = (pixels[:, :, channel] for channel in range(3))
    lightest = np.maximum(np.maximum(red, green), blue)
    darkest = np.minimum(np.minimum(red, green), blue)
    mean = pixels.mean(1, dtype=np.float32) / 255
    grey = images @ LUMA / 255
    return Measures(
        dark=np.partition(lightest, high, axis=1)[:, high].astype(np.float32) / 255,
        bright=np.partition(darkest, low, axis=1)[:, low].astype(np.float32) / 255,
        range=(ordered[:, high] - ordered[:, low]).max(1),
        sharpness=_sharpness(grey),
        brightness=grey.mean((1, 2)),
        contrast=grey.std((1, 2)),
        red=mean[:, 0],
        green=mean[:, 1],
        blue=mean[:, 2],
        colour=np.ptp(mean, axis=1),
    )


def measure_all(images: ImageSet) -> Measures:
    """Measures all pictures of a set, some at a time."""
    side = images.images.shape[1]
    parts = [measure(np.empty((0, side, side, 3), np.uint8)), *map(measure, images.chunks())]
    names = [field.name for field in fields(Measures)]
    return Measures(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def quality_findings(images: ImageSet, measures: Measures, stored_side: int) -> list[Finding]:
    """Finds pictures beyond the limits; `stored_side` is the side they are kept at, in pixels."""
    is_dark, is_bright = measures.dark < DARK, measures.bright > BRIGHT
    is_flat = (measures.range < CONTRAST) & ~is_dark & ~is_bright
    is_blurred = (measures.sharpness < SHARP) & ~is_flat & ~is_dark & ~is_bright
    found = [
        _finding("dark", "nearly black all over", is_dark, measures.dark, "light"),
        _finding("bright", "nearly white all over", is_bright, -measures.bright, "light"),
        _finding("flat", "with hardly any contrast", is_flat, measures.range, "range"),
        _finding(
            "blurry",
            "with less than half the resolution",
            is_blurred,
            measures.sharpness,
            "sharpness",
        ),
    ]
    if images.sizes is not None:
        width, height = images.sizes.T.astype(np.float64)
        shorter, longer = np.minimum(width, height), np.maximum(width, height)
        factor = stored_side / shorter
        found += [
            _finding(
                "odd-shape",
                f"more than {LONG:g} times as long as wide: the square cut from the centre leaves "
                "most of it out",
                longer > LONG * shorter,
                -longer / shorter,
                "length by width",
            ),
            _finding(
                "small",
                f"enlarged more than {ENLARGED:g} times to the {stored_side} pixels of the others",
                factor > ENLARGED,
                -factor,
                "enlarged",
            ),
        ]
    return [finding for finding in found if finding.count]


def _finding(kind: str, what: str, chosen: np.ndarray, measured: np.ndarray, name: str) -> Finding:
    """Makes a finding of the chosen rows, the worst, with the smallest value, first."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(measured[rows], kind="stable")]
    return Finding(
        kind,
        "warning",
        f"{'picture' if len(rows) == 1 else 'pictures'} {what}",
        "look at them: remove those that a person could not label either",
        [Example(f"{name} {abs(measured[row]):.2f}", (int(row),)) for row in rows],
    )


def _sharpness(grey: np.ndarray) -> np.ndarray:
    """Returns how much of the finest octave of detail is left beside one two octaves coarser, `(N,)`.

    Detail of each frequency is weighted by it, which makes all octaves of nature alike.
    """
    side = grey.shape[1]
    if side < 8:  # too few octaves to compare
        return np.ones(len(grey), np.float32)
    cosines = waves(side, side)
    power = np.square(cosines @ grey @ cosines.T)
    across, down = np.mgrid[:side, :side]
    power *= (across**2 + down**2).astype(np.float32)
    frequency = np.maximum(across, down)
    fine, coarse = frequency >= side / 2, (frequency >= side / 8) & (frequency < side / 4)
    return np.asarray(np.sqrt(power[:, fine].mean(1) / np.maximum(power[:, coarse].mean(1), 1e-9)))
