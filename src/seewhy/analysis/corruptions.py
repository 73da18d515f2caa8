"""Fifteen corruptions, each in five severities: those of CIFAR-10-C.

After Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", 2019; severities are those of the authors' CIFAR set. Lengths in pixels are of images 32
pixels wide and grow with the image. Reimplemented in NumPy and SciPy for many images at once; frost is
a generated texture in place of the authors' photographs, so its results are close to theirs, not equal.

All take images float32 (N, S, S, 3) in [0, 1], a severity from 0 to 4 and a generator, and give the like.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from seewhy.analysis import pixels
from seewhy.analysis.pixels import Bytes, Images, clipped

Corruption = Callable[[Images, int, np.random.Generator], Images]

SEVERITIES = 5
REFERENCE = 32  # pixels: the width that lengths are given for


def gaussian_noise(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Noise of a sensor in little light."""
    std = (0.04, 0.06, 0.08, 0.09, 0.10)[severity]
    return clipped(x + rng.normal(0, std, x.shape))


def shot_noise(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Noise of light itself: few photons."""
    photons = (500, 250, 100, 75, 50)[severity]
    return clipped(rng.poisson(x * photons) / photons)


def impulse_noise(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Salt and pepper: values stuck at black or white."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity]
    draw = rng.random(x.shape)
    return np.where(draw < share / 2, 0, np.where(draw < share, 1, x)).astype(np.float32)


def defocus_blur(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Out of focus: a disk for each point, its edge smoothed."""
    radius, edge = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))[severity]
    return clipped(pixels.convolved(x, pixels.disk(radius * _scale(x), edge * _scale(x))))


def glass_blur(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Seen through frosted glass: points take the values of their neighbours.

    The authors' loop means to swap two points and, their values being views, copies one.
    """
    sigma, rounds = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))[severity]
    x = pixels.gaussian(x, sigma * _scale(x))
    reach = max(1, round(_scale(x)))
    for _ in range(rounds):
        x = pixels.scattered(x, reach, rng)
    return clipped(pixels.gaussian(x, sigma * _scale(x)))


def motion_blur(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """A moving camera: a trail at an angle of up to 45 degrees, another one for each image."""
    radius, sigma = ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5))[severity]
    angles = rng.uniform(-45, 45, len(x))
    return clipped(pixels.trails(x, round(radius * _scale(x)), sigma * _scale(x), angles))


def zoom_blur(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """A camera that nears: the mean of growing enlargements."""
    largest = (1.06, 1.11, 1.16, 1.21, 1.26)[severity]
    factors = np.arange(1, largest, 0.01)
    return clipped((x + sum(pixels.zoomed(x, f) for f in factors)) / (len(factors) + 1))


def snow(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Flakes that fall, and the grey of a winter's day."""
    mean, std, zoom, threshold, radius, sigma, whiteness = (
        (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95),
        (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
    )[severity]
    flakes = rng.normal(mean, std, (*x.shape[:3], 1)).astype(np.float32)
    flakes = pixels.zoomed(flakes, zoom * _scale(x))
    flakes = np.clip(np.where(flakes < threshold, 0, flakes), 0, 1)
    angles = rng.uniform(-135, -45, len(x))
    flakes = pixels.trails(flakes, round(radius * _scale(x)), sigma * _scale(x), angles)
    grey = x @ np.array([0.299, 0.587, 0.114], np.float32)
    x = whiteness * x + (1 - whiteness) * np.maximum(x, grey[..., None] * 1.5 + 0.5)
    return clipped(x + flakes + flakes[:, ::-1, ::-1])


def frost(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Crystals of ice on the lens."""
    kept, ice = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[severity]
    side = x.shape[1]
    # Ridges where two clouds are equal: thin, bright, branching lines.
    clouds = pixels.plasma(2 * len(x), side, 1.7, rng).reshape(2, len(x), side, side)
    ridges = np.clip(1 - 6 * np.abs(clouds[0] - clouds[1]), 0, 1) ** 2
    texture = 0.35 + 0.3 * clouds[0] + 0.45 * ridges
    tint = np.array([0.86, 0.95, 1.0], np.float32)
    return clipped(kept * x + ice * np.clip(texture, 0, 1)[..., None] * tint)


def fog(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Clouds before the image."""
    density, wibble = ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))[severity]
    brightest = x.max(axis=(1, 2, 3), keepdims=True)
    clouds = pixels.plasma(len(x), x.shape[1], wibble, rng)[..., None]
    return clipped((x + density * clouds) * brightest / (brightest + density))


def brightness(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Too much light: the value of hue, saturation and value is raised."""
    added = (0.05, 0.1, 0.15, 0.2, 0.3)[severity]
    value = x.max(axis=-1, keepdims=True)
    raised = np.clip(value + added, 0, 1)
    # Hue and saturation stay where all channels grow by one factor; black turns grey.
    return clipped(np.where(value > 0, x * raised / np.maximum(value, 1e-6), raised))


def contrast(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Too little contrast: each channel drawn to its mean."""
    kept = (0.75, 0.5, 0.4, 0.3, 0.15)[severity]
    means = x.mean(axis=(1, 2), keepdims=True)
    return clipped((x - means) * kept + means)


def elastic_transform(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Stretched: an affine warp by random corners, and small displacements that change smoothly."""
    side = x.shape[1]
    pull, smooth, corners = (
        (0.0, 0.0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    )[severity]
    shift = rng.uniform(-1, 1, (2, len(x), side, side))
    shift = pull * side * pixels.gaussian(shift, smooth * side, axes=(2, 3))
    return clipped(pixels.elastic(x, corners * side, shift, rng))


def pixelate(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Enlarged from fewer pixels."""
    side = x.shape[1]
    small = max(1, int(side * (0.95, 0.9, 0.85, 0.75, 0.65)[severity]))
    box = Image.Resampling.BOX
    return pixels.by_pillow(
        x, lambda image: image.resize((small, small), box).resize((side, side), box)
    )


def jpeg_compression(x: Images, severity: int, rng: np.random.Generator) -> Images:
    """Saved as a small JPEG."""
    return pixels.jpeg(x, (80, 65, 58, 50, 40)[severity])


CORRUPTIONS: dict[str, Corruption] = {
    function.__name__: function
    for function in (
        gaussian_noise,
        shot_noise,
        impulse_noise,
        defocus_blur,
        glass_blur,
        motion_blur,
        zoom_blur,
        snow,
        frost,
        fog,
        brightness,
        contrast,
        elastic_transform,
        pixelate,
        jpeg_compression,
    )
}


def corrupted(images: Bytes, name: str, severity: int, seed: int = 0) -> Bytes:
    """Images, uint8 (N, S, S, 3), gone bad in one way; the same seed gives the same images."""
    rng = np.random.default_rng((seed, list(CORRUPTIONS).index(name), severity))
    return pixels.changed(images, lambda x: CORRUPTIONS[name](x, severity, rng))


def examples(image: Bytes) -> dict[str, Bytes]:
    """One image, (1, S, S, 3), by corruption: as it is and in every severity, (6, S, S, 3)."""
    return {
        name: np.concatenate([image, *(corrupted(image, name, k) for k in range(SEVERITIES))])
        for name in CORRUPTIONS
    }


def _scale(x: Images) -> float:
    """How much wider the images are than those that lengths are given for."""
    return x.shape[1] / REFERENCE
