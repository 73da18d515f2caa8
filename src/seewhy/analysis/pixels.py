"""Operations on many images at once: blurs, trails, warps, clouds, and what a JPEG leaves.

Images are float32 (N, S, S, C) in [0, 1], save where they are called bytes: uint8, from 0 to 255.
Places are (row, column), in pixels.
"""

from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from seewhy.data.images.decode import decode

Images = NDArray[np.float32]
Floats = NDArray[np.floating]
Bytes = NDArray[np.uint8]

PART = 1 << 18  # pixels that are changed at a time, which bounds memory


def changed(images: Bytes, change: Callable[[Images], Images]) -> Bytes:
    """Bytes that were changed as images, some at a time, in order."""
    count = max(1, PART // (images.shape[1] * images.shape[2]))
    parts = (images[start : start + count] for start in range(0, len(images), count))
    return np.concatenate([to_bytes(change(np.asarray(p / 255, np.float32))) for p in parts])


def to_bytes(x: Images) -> Bytes:
    """The images as bytes, rounded."""
    return np.rint(clipped(x) * 255).astype(np.uint8)


def clipped(x: Floats) -> Images:
    """The images, kept to [0, 1]."""
    return np.clip(x, 0, 1).astype(np.float32)


def gaussian(x: Floats, sigma: float, axes: Sequence[int] = (1, 2)) -> Floats:
    """Blurs along two axes; edges are repeated."""
    return ndimage.gaussian_filter(x, sigma, axes=tuple(axes), mode="nearest")


def convolved(x: Images, kernel: Floats) -> Images:
    """Each channel convolved with a kernel (h, w); images are mirrored at their edges."""
    used = kernel > 0
    rows, columns = np.flatnonzero(used.any(1)), np.flatnonzero(used.any(0))
    inner = kernel[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return ndimage.convolve(x, inner[None, :, :, None].astype(np.float32), mode="mirror")


def disk(radius: float, edge: float) -> Floats:
    """A disk that adds up to 1, its edge smoothed by a Gaussian of sigma `edge`."""
    reach = int(np.ceil(radius)) + 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    filled = (x**2 + y**2 <= radius**2).astype(float)
    smooth: Floats = ndimage.gaussian_filter(
        filled / filled.sum(), edge, mode="constant", radius=1 if radius <= 8 else 2
    )
    return smooth / smooth.sum()


def trails(x: Images, length: int, sigma: float, degrees: Floats) -> Images:
    """Draws each point out along an angle (N,), fading as a Gaussian does; edges are repeated."""
    n, side = x.shape[:2]
    weights = np.exp(-(np.arange(2 * length + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    angles = np.deg2rad(degrees)
    place = np.arange(side)
    blurred = np.zeros_like(x)
    for step, weight in enumerate(weights):
        if weight < 1e-4:
            break
        down = np.rint(step * np.sin(angles)).astype(int)[:, None]
        across = np.rint(step * np.cos(angles)).astype(int)[:, None]
        rows = np.clip(place + down, 0, side - 1)[:, :, None]
        columns = np.clip(place + across, 0, side - 1)[:, None, :]
        blurred += np.float32(weight) * x[np.arange(n)[:, None, None], rows, columns]
    return blurred


def scattered(x: Images, reach: int, rng: np.random.Generator) -> Images:
    """Gives each point the value of one that lies up to `reach` above or left, or less below or right."""
    n, side = x.shape[:2]
    down, across = rng.integers(-reach, reach, (2, n, side, side))
    place = np.arange(side)
    rows = np.clip(place[:, None] + down, 0, side - 1)
    columns = np.clip(place + across, 0, side - 1)
    return x[np.arange(n)[:, None, None], rows, columns]


def zoomed(x: Images, factor: float) -> Images:
    """The centre enlarged by a factor to the whole image; below 1, shrunk, its edges repeated."""
    side = x.shape[1]
    middle = (side - 1) / 2
    return separably(x, (np.arange(side) - middle) / factor + middle)


def shifted(x: Images, pixels: float) -> Images:
    """Moved right and down by so many pixels; edges are repeated."""
    return separably(x, np.arange(x.shape[1]) - pixels)


def rotated(x: Images, degrees: float) -> Images:
    """Turned about the centre, counter-clockwise; mirrored at the edges."""
    side = x.shape[1]
    middle = (side - 1) / 2
    y, across = np.mgrid[:side, :side] - middle
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    rows, columns = cos * y + sin * across + middle, -sin * y + cos * across + middle
    everywhere = (len(x), side, side)
    return sampled(x, np.broadcast_to(rows, everywhere), np.broadcast_to(columns, everywhere))


def separably(x: Images, places: Floats) -> Images:
    """Reads rows and columns alike at these places (S,), between pixels linearly; edges repeated."""
    side = x.shape[1]
    places = np.clip(places, 0, side - 1)
    low = np.minimum(places.astype(int), max(side - 2, 0))
    weights = np.zeros((len(places), side), np.float32)
    weights[np.arange(len(places)), low] = 1 - (places - low)
    weights[np.arange(len(places)), np.minimum(low + 1, side - 1)] += (places - low).astype("f4")
    return np.einsum("ij,njkc,lk->nilc", weights, x, weights, optimize=True)


def sampled(x: Images, rows: Floats, columns: Floats) -> Images:
    """Reads images at places (N, S, S), between pixels linearly; mirrored at the edges."""
    side = x.shape[1]
    rows, columns = _mirrored(rows, side), _mirrored(columns, side)
    top, left = (np.minimum(p.astype(int), max(side - 2, 0)) for p in (rows, columns))
    down, across = (
        (p - q)[..., None].astype(np.float32) for p, q in ((rows, top), (columns, left))
    )
    below, right = np.minimum(top + 1, side - 1), np.minimum(left + 1, side - 1)
    every = np.arange(len(x))[:, None, None]
    upper = x[every, top, left] * (1 - across) + x[every, top, right] * across
    lower = x[every, below, left] * (1 - across) + x[every, below, right] * across
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def elastic(x: Images, corners: float, shift: Floats, rng: np.random.Generator) -> Images:
    """Warped by an affine map whose three corners move by up to `corners` pixels, and by a shift.

    `shift` (2, N, S, S), in pixels, is added to each place before the map.
    """
    n, side = x.shape[:2]
    centre, reach = side // 2, side // 3
    fixed = centre + reach * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    moved = fixed + rng.uniform(-corners, corners, (n, 3, 2))
    ones = np.ones((n, 3, 1))
    back = np.linalg.solve(np.concatenate([moved, ones], 2), np.broadcast_to(fixed, (n, 3, 2)))
    places = np.mgrid[:side, :side][:, None] + shift  # (2, N, S, S)
    rows, columns = (
        np.einsum("pnij,npq->qnij", places, back[:, :2]) + back[:, 2].T[:, :, None, None]
    )
    return sampled(x, rows, columns)


def plasma(count: int, side: int, decay: float, rng: np.random.Generator) -> Images:
    """Clouds in [0, 1], (count, side, side), by the diamond-square method.

    Each round halves the distance between known points and divides the noise by `decay`.
    """
    size = 1 << max(side - 1, 1).bit_length()
    maps = np.zeros((count, size, size))
    step, noise = size, 100.0

    def wobbled(total: Floats) -> Floats:
        return total / 4 + noise * rng.uniform(-noise, noise, total.shape)

    while step >= 2:
        half = step // 2
        corners = maps[:, ::step, ::step]
        beside = corners + np.roll(corners, -1, 2)
        maps[:, half::step, half::step] = wobbled(beside + np.roll(beside, -1, 1))
        centres = maps[:, half::step, half::step]
        above = centres + np.roll(centres, 1, 1)
        maps[:, ::step, half::step] = wobbled(above + beside)
        left = centres + np.roll(centres, 1, 2)
        maps[:, half::step, ::step] = wobbled(left + corners + np.roll(corners, -1, 1))
        step, noise = half, noise / decay
    maps -= maps.min((1, 2), keepdims=True)
    maps /= np.maximum(maps.max((1, 2), keepdims=True), 1e-9)
    return maps[:, :side, :side].astype(np.float32)


def jpeg(x: Images, quality: int) -> Images:
    """Saved as JPEG at a quality (1 to 95) and read again."""

    def again(image: Image.Image) -> Image.Image:
        sink = BytesIO()
        image.save(sink, "JPEG", quality=quality)
        return decode(sink.getvalue())

    return by_pillow(x, again)


def by_pillow(x: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    """Each image changed as a Pillow image."""
    changed = np.stack([np.asarray(change(Image.fromarray(one))) for one in to_bytes(x)])
    return np.asarray(changed / 255, np.float32)


def _mirrored(places: Floats, side: int) -> Floats:
    """Places beyond an edge, reflected in it."""
    last = max(side - 1, 1)
    return last - np.abs(places % (2 * last) - last)
