"""Crops, mirrors and warps against NumPy and SciPy, one image at a time."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from augment.varied import draws_of, one_hot, pictures, varied
from scipy import ndimage, stats

from seewhy.augment import augment
from seewhy.augment.geometry import ASPECTS, sides, warp
from seewhy.augment.mixing import ERASED_AREA, ERASED_ASPECTS
from seewhy.config.augment import AugmentConfig
from seewhy.errors import UsageError


def test_a_certain_flip_mirrors_left_and_right() -> None:
    images = pictures(3, 5)
    x, targets = varied(images, 5, flip=1)
    np.testing.assert_array_equal(x, images.numpy()[:, :, ::-1] / np.float32(255))
    assert torch.equal(targets, one_hot(3))


@pytest.mark.parametrize("mode", ["reflect", "nearest", "zero", None])
@pytest.mark.parametrize(("side", "size", "padding"), [(8, 8, 3), (12, 8, 0), (9, 7, 2), (8, 8, 7)])
def test_flip_and_crop_equal_numpys_pad_slice_and_mirror(
    mode: Any, side: int, size: int, padding: int
) -> None:
    images = pictures(40, side)
    options = {"padding_mode": mode} if padding else {}
    x, _ = varied(images, size, flip=0.5, crop_padding=padding, **options)
    pad = ((padding, padding), (padding, padding), (0, 0))
    places = side + 2 * padding - size + 1
    for got, picture, draw in zip(x, images.numpy(), draws_of(40), strict=True):
        padded = np.pad(picture, pad, {"zero": "constant", "nearest": "edge"}.get(mode, "reflect"))
        top, left = int(draw["top"] * places), int(draw["left"] * places)
        want = padded[top : top + size, left : left + size]
        want = want[:, ::-1] if draw["flip"] < 0.5 else want
        np.testing.assert_array_equal(got, want / np.float32(255))


def test_every_place_and_both_directions_are_drawn_equally_often() -> None:
    count, padding = 20_000, 2
    images = torch.arange(36, dtype=torch.uint8).view(1, 6, 6, 1).expand(count, 6, 6, 3)
    x, _ = varied(images, 6, flip=0.3, crop_padding=padding, padding_mode="zero")
    middle = np.rint(x[:, 3, 2:4, 0] * 255).astype(int)  # two neighbours tell place and direction
    assert np.mean(middle[:, 0] > middle[:, 1]) == pytest.approx(0.3, abs=0.015)
    kept = np.minimum(middle[:, 0], middle[:, 1])
    rows, columns = np.divmod(kept, 6)
    for place, first in ((rows, 1), (columns, 0)):
        counts = np.bincount(place, minlength=first + 5)[first : first + 5]
        assert counts.sum() == count
        assert stats.chisquare(counts).pvalue > 0.001


def test_the_largest_draw_times_a_count_of_places_stays_below_it() -> None:
    places = torch.arange(1, 5000)
    assert torch.equal((torch.tensor(1 - 2**-24) * places).long(), places - 1)


@pytest.mark.parametrize(
    ("padding", "side", "size"), [(0, 8, 8), (8, 8, 8), (9, 8, 4)], ids=["nothing", "8", "9"]
)
def test_a_crop_that_the_images_do_not_allow_is_refused(padding: int, side: int, size: int) -> None:
    config = AugmentConfig(crop_padding=padding)
    with pytest.raises(UsageError, match=f"crop_padding={padding} .* choose 1 to 7"):
        augment(pictures(2, side), one_hot(2), size, config, torch.Generator())


def bilinear(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Reads an image at pixel centres given in pixels, the edge repeated beyond."""
    side = len(picture)
    result: Any = 0
    rows, columns = (np.clip(places, 0, side - 1) for places in (rows, columns))
    for step_y in (0, 1):
        for step_x in (0, 1):
            y = np.minimum(np.floor(rows).astype(int) + step_y, side - 1)
            x = np.minimum(np.floor(columns).astype(int) + step_x, side - 1)
            weight_y = np.abs(1 - step_y - (rows - np.floor(rows)))
            weight_x = np.abs(1 - step_x - (columns - np.floor(columns)))
            result = result + (weight_y[:, None, None] * weight_x[None, :, None] * picture[y][:, x])
    return result


@pytest.mark.parametrize(("side", "size"), [(16, 12), (12, 12)])
def test_a_resized_crop_equals_bilinear_reading_of_its_box(side: int, size: int) -> None:
    images = pictures(30, side)
    x, _ = varied(images, size, random_resized_crop=0.2, flip=0.5)
    for got, picture, draw in zip(x, images.numpy(), draws_of(30), strict=True):
        area = 0.2 + 0.8 * draw["area"]
        low, high = math.log(max(0.75, area)), math.log(min(4 / 3, 1 / area))
        aspect = math.exp(low + (high - low) * draw["aspect"])  # width to height
        height, width = math.sqrt(area / aspect) * side, math.sqrt(area * aspect) * side
        centres = (np.arange(size) + 0.5) / size
        rows = draw["top"] * (side - height) + centres * height - 0.5
        columns = draw["left"] * (side - width) + centres * width - 0.5
        want = bilinear(picture / 255, rows, columns)
        want = want[:, ::-1] if draw["flip"] < 0.5 else want
        np.testing.assert_allclose(got, want, atol=2e-4)


@pytest.mark.parametrize(
    ("areas", "aspects"), [((0.08, 1), ASPECTS), (ERASED_AREA, ERASED_ASPECTS)]
)
def test_boxes_have_their_area_and_aspect_and_fit(
    areas: tuple[float, float], aspects: tuple[float, float]
) -> None:
    generator = torch.Generator().manual_seed(0)
    area = torch.empty(5000).uniform_(*areas, generator=generator)
    height, width = sides(area, aspects, torch.rand(5000, generator=generator))
    torch.testing.assert_close(height * width, area, rtol=1e-5, atol=0)
    aspect = width / height
    assert aspects[0] * 0.999 < aspect.min() < aspects[0] * 1.1
    assert aspects[1] * 0.9 < aspect.max() < aspects[1] * 1.001
    assert height.max() <= 1 and width.max() <= 1
    assert (aspect > 1).float().mean().item() == pytest.approx(0.5, abs=0.03)


# --- the warp

WARPS = {"rotate": 25, "shift": 0.2, "zoom": 0.3, "shear": 20}
STILL = dict.fromkeys(("flip", "rotate", "down", "right", "zoom", "shear"), 0.5)


def warped(images: torch.Tensor, size: int, chance: dict[str, float], **options: Any) -> np.ndarray:
    """Warps images by draws of our choice: 0 and 1 are the ends of a range, 0.5 its middle."""
    edges = dict.fromkeys(("top", "left", "area", "aspect"), 0.5)
    draw = {k: torch.full((len(images),), v) for k, v in {**STILL, **edges, **chance}.items()}
    x = warp(images, size, AugmentConfig(**options), draw)
    return x.view(len(images), size, size, 3).numpy()


@pytest.mark.parametrize("side", [16, 32])
def test_a_warp_that_moves_nothing_changes_no_bit(side: int) -> None:
    images = pictures(3, side)
    x = warped(images, side, {}, **WARPS)
    np.testing.assert_array_equal(x, images.numpy() / np.float32(255))


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2)])
@pytest.mark.parametrize("side", [8, 9])
def test_a_quarter_turn_is_that_of_numpy(degrees: float, turns: int, side: int) -> None:
    images = pictures(3, side)
    for chance, way in ((1.0, 1), (0.0, -1)):
        x = warped(images, side, {"rotate": chance}, rotate=degrees)
        want = np.rot90(images.numpy(), way * turns, axes=(1, 2)) / 255
        np.testing.assert_allclose(x, want, atol=1e-5)


@pytest.mark.parametrize(
    ("fill", "numpys"), [("zero", "constant"), ("nearest", "edge"), ("reflect", "symmetric")]
)
def test_a_shift_by_whole_pixels_is_a_slice_of_the_padded_image(fill: Any, numpys: Any) -> None:
    images = pictures(3, 16)
    x = warped(images, 16, {"down": 1.0, "right": 0.0}, shift=0.25, padding_mode=fill)
    padded = np.pad(images.numpy(), ((0, 0), (4, 4), (4, 4), (0, 0)), numpys)
    np.testing.assert_array_equal(x, padded[:, :16, 8:] / np.float32(255))


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_zoom_multiplies_the_side_that_is_seen(chance: float) -> None:
    images = pictures(2, 16)
    x = warped(images, 8, {"zoom": chance}, zoom=0.5)
    seen = 12 if chance else 4  # of the 16 pixels, in the middle
    places = (np.arange(8) + 0.5) * seen / 8 - 0.5 + (16 - seen) / 2
    for got, picture in zip(x, images.numpy(), strict=True):
        np.testing.assert_allclose(got, bilinear(picture / 255, places, places), atol=1e-5)


def test_shear_moves_each_row_by_its_height_times_the_tangent() -> None:
    images = pictures(2, 9)
    x = warped(images, 9, {"shear": 1.0}, shear=45, padding_mode="nearest")
    for row in range(9):
        columns = np.clip(np.arange(9) + row - 4, 0, 8)
        np.testing.assert_allclose(x[:, row], images.numpy()[:, row, columns] / 255, atol=1e-5)


@pytest.mark.parametrize(
    ("fill", "scipys"), [("reflect", "reflect"), ("nearest", "nearest"), ("zero", "grid-constant")]
)
@pytest.mark.parametrize("side", [16, 20])
def test_all_at_once_are_one_warp_that_scipy_does_too(fill: Any, scipys: str, side: int) -> None:
    images, size = pictures(20, side), 16
    x, targets = varied(images, size, flip=0.5, padding_mode=fill, **WARPS)
    assert torch.equal(targets, one_hot(20))
    for got, picture, draw in zip(x, images.numpy() / 255, draws_of(20), strict=True):
        turn, slant = (math.radians(WARPS[k]) * (2 * draw[k] - 1) for k in ("rotate", "shear"))
        rotation = np.array(  # of (row, column)
            [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]
        )
        shear = np.array([[1, 0], [math.tan(slant), 1]])
        zoom = 1 + WARPS["zoom"] * (2 * draw["zoom"] - 1)
        mirror = np.diag([1, -1 if draw["flip"] < 0.5 else 1])
        moved = size * WARPS["shift"] * (2 * np.array([draw["down"], draw["right"]]) - 1)
        matrix = zoom * rotation @ shear
        middle = (side - size) // 2 + (size - 1) / 2
        offset = middle - matrix @ moved - matrix @ mirror @ np.full(2, (size - 1) / 2)
        want = np.stack(
            [
                ndimage.affine_transform(
                    picture[..., channel],
                    matrix @ mirror,
                    offset,
                    output_shape=(size, size),
                    order=1,
                    mode=scipys,
                )
                for channel in range(3)
            ],
            axis=-1,
        )
        np.testing.assert_allclose(got, want, atol=1e-4)


def test_a_warp_and_a_padded_crop_are_the_crop_where_nothing_else_moves() -> None:
    images = pictures(40, 8)
    options: dict[str, Any] = {"crop_padding": 2, "flip": 0.5, "padding_mode": "nearest"}
    plain, _ = varied(images, 8, **options)
    almost, _ = varied(images, 8, rotate=1e-6, **options)
    np.testing.assert_allclose(almost, plain, atol=1e-5)


def test_a_warp_and_a_resized_crop_are_read_once() -> None:
    images = pictures(10, 16)
    plain, _ = varied(images, 12, random_resized_crop=0.4)
    almost, _ = varied(images, 12, random_resized_crop=0.4, shear=1e-6)
    np.testing.assert_allclose(almost, plain, atol=1e-5)
    turned, _ = varied(images, 12, random_resized_crop=0.4, rotate=90)
    assert np.abs(turned - plain).max() > 0.1
