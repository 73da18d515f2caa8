"""Alignment: lays one image over another, moved, turned, mirrored or scaled, and compares their detail.

What is smooth agrees in most images, so detail alone is compared: the gradients in each of 8x8 parts, with
the contrast of each part divided out. A part agrees if the gradients correlate; the agreement of two
images is the share of their parts that do, of those that have detail.
"""

from dataclasses import dataclass, fields

import numpy as np

PARTS = 8  # a side
_AGREES = 0.5  # correlation of the gradients of a part, from which it agrees
_NOISE = 2.0  # squared grey levels per pixel; gradients below it are noise of the camera or of JPEG
_LESS_IN_CENTRE = 0.25
_FEWEST = 8  # parts with detail; fewer show too little to be compared
_EDGE = 1 / 16  # of the side, left out: there a frame or the corners of a turned image begin
_SCALES = 0.55, 1.2  # of what may be laid over another image
_OVERLAP = 0.5  # of the second image, at least


@dataclass(frozen=True, eq=False)
class Placement:
    """Where each pixel of a second image lies in the first.

    The place `u`, from (-0.5, -0.5) to (0.5, 0.5) in y and x, lies at `centre + matrix @ u`: `centre`
    `(N, 2)`, `matrix` `(N, 2, 2)`.
    """

    centre: np.ndarray
    matrix: np.ndarray

    def __getitem__(self, rows: np.ndarray | slice) -> "Placement":
        return Placement(self.centre[rows], self.matrix[rows])

    @property
    def scale(self) -> np.ndarray:
        """The side of the second in sides of the first, (N,)."""
        return np.sqrt(np.abs(np.linalg.det(self.matrix)))

    @property
    def mirrored(self) -> np.ndarray:
        """Whether the second is a mirror image, (N,)."""
        return np.asarray(np.linalg.det(self.matrix) < 0)

    @property
    def turned(self) -> np.ndarray:
        """By how many degrees the second is turned, after mirroring left to right, 0 to 180, (N,)."""
        down, across = self.matrix[:, 0, 0], self.matrix[:, 1, 0]
        return np.asarray(np.abs(np.degrees(np.arctan2(across, down))))


def joined(parts: list[Placement]) -> Placement:
    """One record of several."""
    return Placement(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Placement))
    )


def refined(first: np.ndarray, second: np.ndarray, placement: Placement, steps: int) -> Placement:
    """Improves a placement of images without their means, `(N, S, S)` and `(N, s, s)`.

    Each step is one of Gauss and Newton for shift, turn, scale and contrast (Lucas and Kanade 1981).
    Pixels that differ much, such as those of a text over the image, weigh little.
    """
    side = second.shape[1]
    place = _places(side)
    target = second.reshape(len(second), -1)
    centre, matrix = placement.centre, placement.matrix
    for _ in range(steps):
        moved, inside = _moved(first, Placement(centre, matrix), side)
        down, across = np.gradient(moved, 1 / side, axis=(1, 2))
        scaling = down * place[:, None] + across * place
        turning = across * place[:, None] - down * place
        columns = np.stack([moved, np.ones_like(moved), down, across, scaling, turning], 1)
        columns = columns.reshape(len(moved), 6, -1)
        weighted = columns * _weights(columns[:, 0], target, inside)[:, None]
        square = (weighted @ columns.swapaxes(1, 2)).astype(np.float64)
        ridge = 1e-5 * np.trace(square, axis1=1, axis2=2) + 1e-6
        square += ridge[:, None, None] * np.eye(6)
        solved = np.linalg.solve(square, (weighted @ target[..., None]).astype(np.float64))[..., 0]
        contrast = np.where(np.abs(solved[:, :1]) > 0.2, solved[:, :1], np.inf)
        shift, (scaled, turned) = (
            np.clip(solved[:, 2:4] / contrast, -0.1, 0.1),
            np.clip(solved[:, 4:] / contrast, -0.1, 0.1).T,
        )
        centre = centre + (matrix @ shift[..., None])[..., 0]
        change = np.array([[1 + scaled, -turned], [turned, 1 + scaled]])
        matrix = matrix @ change.transpose(2, 0, 1)
    return Placement(centre, matrix)


def correlation(first: np.ndarray, second: np.ndarray, placement: Placement) -> np.ndarray:
    """The correlation of the second image and of the first where it is placed, (N,)."""
    moved, inside = _moved(first, placement, second.shape[1])
    weight = inside.reshape(len(moved), -1).astype(np.float32)
    count = np.maximum(weight.sum(1, keepdims=True), 1)
    sides = []
    for image in (moved, second):
        values = image.reshape(len(image), -1) * weight
        sides.append((values - values.sum(1, keepdims=True) / count) * weight)
    one, other = sides
    power = np.square(one).sum(1) * np.square(other).sum(1)
    return np.asarray((one * other).sum(1) / np.sqrt(np.maximum(power, 1e-9)))


def agreement(first: np.ndarray, second: np.ndarray, placement: Placement) -> np.ndarray:
    """The share of the parts with detail that agree, (N,); 0 where there are too few of them.

    `first` and `second` are grey levels `(N, S, S)`. In the centre a little less must agree, so that a
    common frame is not enough.
    """
    side = second.shape[1]
    moved, inside = _moved(first, placement, side)
    weight = inside.astype(np.float32)
    one, other = _gradients(moved), _gradients(second)
    both = _by_part((one[0] * other[0] + one[1] * other[1]) * weight)
    power = [_by_part((down**2 + across**2) * weight) for down, across in (one, other)]
    seen = _by_part(weight)
    detail = np.maximum(*power) > _NOISE * np.maximum(seen, 1)
    detail &= seen >= 0.5 * (side // PARTS) ** 2
    agrees = detail & (both > _AGREES * np.sqrt(power[0] * power[1]))
    middle = slice(PARTS // 4, PARTS - PARTS // 4)
    whole, centre = (
        agrees[:, part, part].sum((1, 2)) / (detail[:, part, part].sum((1, 2)) + 1)
        for part in (slice(None), middle)
    )
    bare = ~detail[:, middle, middle].any((1, 2))
    share = np.where(bare, whole, np.minimum(whole, centre + _LESS_IN_CENTRE))
    smallest, largest = _SCALES
    possible = (placement.scale > smallest) & (placement.scale < largest)
    possible &= (detail.sum((1, 2)) >= _FEWEST) & (inside.mean((1, 2)) >= _OVERLAP)
    return np.asarray(np.where(possible, share, 0))


def without_smooth(images: np.ndarray) -> np.ndarray:
    """Images (N, S, S) without what is smooth over some four pixels, and without pixel noise."""
    first = smooth = _blurred(images)
    for _ in range(7):
        smooth = _blurred(smooth)
    return first - smooth


def _places(side: int) -> np.ndarray:
    return np.asarray((np.arange(side) + 0.5) / side - 0.5, np.float32)


def _moved(images: np.ndarray, placement: Placement, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples images `(N, S, S)` at the pixels of the second, bilinearly; and says which are inside both.

    Both are `(N, side, side)`; the outermost pixels of the second are not inside.
    """
    count, own = images.shape[:2]
    place = _places(side)
    start = ((placement.centre + 0.5) * own - 0.5).astype(np.float32)[:, :, None, None]
    matrix = (placement.matrix * own).astype(np.float32)[..., None, None]
    y, x = (
        (start[:, n] + matrix[:, n, 0] * place[:, None] + matrix[:, n, 1] * place).reshape(
            count, -1
        )
        for n in (0, 1)
    )
    inside = (y >= -0.5) & (y <= own - 0.5) & (x >= -0.5) & (x <= own - 0.5)
    y, x = np.clip(y, 0, own - 1.001), np.clip(x, 0, own - 1.001)
    top, left = y.astype(np.int32), x.astype(np.int32)
    y -= top
    x -= left
    at = top * own + left + (np.arange(count, dtype=np.int64) * own**2)[:, None]
    flat = images.reshape(-1)
    upper = flat[at] * (1 - x) + flat[at + 1] * x
    lower = flat[at + own] * (1 - x) + flat[at + own + 1] * x
    inside = inside.reshape(count, side, side)
    edge = max(1, round(side * _EDGE))
    for border in (slice(edge), slice(-edge, None)):
        inside[:, border] = False
        inside[:, :, border] = False
    return (upper * (1 - y) + lower * y).reshape(count, side, side), inside


def _weights(moved: np.ndarray, target: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Weights of pixels, (N, pixels): lower the more they differ once the contrast is the same."""
    weight = inside.reshape(len(moved), -1).astype(np.float32)
    gain = (moved * target * weight).sum(1) / ((moved * moved * weight).sum(1) + 1e-6)
    rest = (target - gain[:, None] * moved) * weight
    typical = np.abs(rest).sum(1) / (weight.sum(1) + 1e-6) + 1e-6
    return np.asarray(weight / (1 + np.square(rest / (2 * typical[:, None]))))


def _blurred(images: np.ndarray) -> np.ndarray:
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    tall = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    return np.asarray((tall[:, :, :-2] + 2 * tall[:, :, 1:-1] + tall[:, :, 2:]) / 16)


def _gradients(images: np.ndarray) -> list[np.ndarray]:
    return list(np.gradient(_blurred(images), axis=(1, 2)))


def _by_part(values: np.ndarray) -> np.ndarray:
    """The sums of values `(N, s, s)` over 8x8 parts, (N, 8, 8); remaining pixels are dropped."""
    side = values.shape[1] // PARTS
    whole = values[:, : side * PARTS, : side * PARTS]
    return np.asarray(whole.reshape(-1, PARTS, side, PARTS, side).sum((2, 4)))
