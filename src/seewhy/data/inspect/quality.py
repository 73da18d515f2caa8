"""Images of low quality: too dark or bright, without contrast, blurred, cropped or enlarged.

All but the shape is measured on the stored image, that is, on what a network sees. Hardly any image of
CIFAR-10 or common photograph exceeds the limits (docs/guide/own-images.md has the counts).
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from seewhy.config.input_rule import InputRule
from seewhy.data.images.near_duplicates import LUMA, waves
from seewhy.data.imageset import ImageSet
from seewhy.data.inspect.findings import Example, Finding, with_examples
from seewhy.data.shape import BECOMES, FAR, INSTEAD, elongation

DARK = 0.25  # of full light; the largest channel of 99% of the pixels is below
BRIGHT = 0.75  # the smallest channel of 99% of the pixels is above
CONTRAST = 0.1  # range of 98% of the pixels, in the channel with the largest range
SHARP = (
    0.1  # fine against coarse detail; nature's is about 0.5, an enlargement to twice the size 0.11
)
LONG = 3.0  # longer side / shorter side; the centre square then leaves out two thirds
ENLARGED = 2.0  # factor by which an image was enlarged to its stored size


@dataclass(frozen=True, eq=False)
class Measures:
    """One number per image, each `(N,)` float32, light in [0, 1].

    `dark`, `bright`, `range`, `sharpness` are defined at the limits of this module; `brightness` and
    `contrast` are mean and std of the grey levels, `red`, `green`, `blue` are means, `colour` is the largest
    minus the smallest of these.
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
    """Measures uint8 images `(N, S, S, 3)`."""
    pixels = images.reshape(len(images), images.shape[1] * images.shape[2], 3)
    one = pixels.shape[1] // 100  # pixels ignored at either end
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
    """Measures all images of a set, in chunks."""
    side = images.images.shape[1]
    parts = [measure(np.empty((0, side, side, 3), np.uint8)), *map(measure, images.chunks())]
    names = [field.name for field in fields(Measures)]
    return Measures(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def quality_findings(images: ImageSet, measures: Measures, rule: InputRule) -> list[Finding]:
    """Finds images that exceed the limits; `rule` is that by which they are stored."""
    is_dark, is_bright = measures.dark < DARK, measures.bright > BRIGHT
    is_flat = (measures.range < CONTRAST) & ~is_dark & ~is_bright
    sharp = measures.sharpness
    is_blurred = (sharp < SHARP) & ~is_flat & ~is_dark & ~is_bright
    findings = [
        _finding("dark", "nearly black all over", is_dark, measures.dark, "light"),
        _finding("bright", "nearly white all over", is_bright, -measures.bright, "light"),
        _finding("flat", "with hardly any contrast", is_flat, measures.range, "range"),
        _finding("blurry", "with less than half the resolution", is_blurred, sharp, "sharpness"),
    ]
    if images.sizes is not None:
        resized = images.sizes.max(1) if rule.fit == "pad" else images.sizes.min(1)
        shape, enlargement = elongation(images.sizes), rule.store / resized
        long = f"more than {LONG:g} times as long as wide: {BECOMES[rule.fit][1]}"
        small = f"enlarged more than {ENLARGED:g} times to the {rule.store} pixels of the others"
        findings += [
            _finding("odd-shape", long, shape > LONG, -shape, "length by width", INSTEAD[rule.fit]),
            _finding("small", small, enlargement > ENLARGED, -enlargement, "enlarged"),
        ]
    return with_examples(*findings)


def elongated_findings(images: ImageSet, rule: InputRule) -> list[Finding]:
    """Finds images that are far from square, but not of an odd shape."""
    if images.sizes is None:
        return []
    shape = elongation(images.sizes)
    far = (shape > FAR[rule.fit]) & (shape <= LONG)
    long = f"more than {FAR[rule.fit]:g} times as long as wide: {BECOMES[rule.fit][1]}"
    found = _finding("elongated", long, far, -shape, "length by width", INSTEAD[rule.fit])
    return with_examples(replace(found, severity="note"))


_LOOK = "look at them: remove those that a human could not label either"


def _finding(
    kind: str,
    what: str,
    chosen: np.ndarray,
    measured: np.ndarray,
    name: str,
    advice: str = _LOOK,
) -> Finding:
    """Makes a finding of the chosen rows, the smallest value (the worst) first."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(measured[rows], kind="stable")]
    return Finding(
        kind,
        "warning",
        f"{'image' if len(rows) == 1 else 'images'} {what}",
        advice,
        [Example(f"{name} {abs(measured[row]):.2f}", (int(row),)) for row in rows],
    )


def _sharpness(grey: np.ndarray) -> np.ndarray:
    """Returns the detail in the finest octave relative to that two octaves coarser, `(N,)`.

    Detail is weighted by its frequency, which makes all octaves of natural images equal.
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
