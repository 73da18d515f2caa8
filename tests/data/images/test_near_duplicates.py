"""What looks alike is found in all its disguises, what does not is left alone, and no pair is missed."""

import io

import numpy as np
import pytest
from data.pictures import scenes
from PIL import Image, ImageEnhance, ImageFilter

from seewhy.data.images import near_duplicates
from seewhy.data.images.near_duplicates import (
    CANDIDATE,
    CONFIRMED,
    agreement,
    describe,
    look,
    near_pairs,
    waves,
)
from seewhy.events import Progress


def changed(images: np.ndarray, change) -> np.ndarray:
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


def jpeg(quality: int):
    def change(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return change


def resized(image: Image.Image) -> Image.Image:
    side = image.width * 3 // 4
    return image.resize((side, side), Image.Resampling.BICUBIC).resize(image.size)


def shifted(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.roll(np.asarray(image), image.width // 32, axis=1))


DISGUISES = {
    "jpeg": jpeg(50),
    "resized": resized,
    "lighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "paler": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "softer": lambda image: image.filter(ImageFilter.GaussianBlur(0.5)),
    "shifted": shifted,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("disguise", DISGUISES)
def test_an_image_is_known_in_disguise(disguise, side):
    images = scenes(40, side)
    copies = changed(images[:20], DISGUISES[disguise])
    both = np.concatenate([images, copies])
    found = near_pairs(describe(both), lambda rows: look(both[rows]))
    assert found.rows.tolist() == [[n, n + 40] for n in range(20)]
    assert found.mirrored.all() if disguise == "mirrored" else not found.mirrored.any()
    assert found.crowd is None and found.agreement.min() >= CONFIRMED


@pytest.mark.parametrize("side", [16, 32, 147])
def test_different_images_are_no_pairs(side):
    images = scenes(400, side, seed=1)
    vectors = describe(images)
    assert len(near_pairs(vectors, lambda rows: look(images[rows])).rows) == 0
    cosine = (vectors @ vectors.T)[np.triu_indices(400, 1)]
    assert cosine.std() == pytest.approx(1 / np.sqrt(63), rel=0.25)


def test_one_frame_around_two_images_makes_them_no_pair():
    images = scenes(40, 32, seed=2)
    framed = np.full_like(images, 255)
    framed[:, 5:27, 5:27] = images[:, 5:27, 5:27] // 3
    vectors = describe(framed)
    rows = np.argwhere(np.triu(vectors @ vectors.T > CANDIDATE, 1))
    assert len(rows) > 100  # the descriptor alone is deceived
    assert agreement(look(framed[rows[:, 0]]), look(framed[rows[:, 1]])).max() < CONFIRMED


def test_one_horizon_makes_two_images_no_pair():
    sky, sea = np.full((32, 32, 3), 220, np.uint8), np.full((32, 32, 3), 90, np.uint8)
    views = np.stack([np.concatenate([sky[:16], sea[:16]])] * 2)
    views[0, 10:16, 6:14] = 20
    views[1, 12:16, 15:27] = 20
    assert agreement(look(views[:1]), look(views[1:]))[0] < CONFIRMED


def test_blocks_and_stripes_miss_no_pair(monkeypatch):
    images = scenes(50, 16)
    both = np.concatenate([images, images[::-1]])
    whole = near_pairs(describe(both), lambda rows: look(both[rows]))
    for block, stripe, chunk in ((7, 13, 3), (1, 1, 1), (100, 9, 50)):
        monkeypatch.setattr(near_duplicates, "_BLOCK", block)
        monkeypatch.setattr(near_duplicates, "_STRIPE", stripe)
        monkeypatch.setattr(near_duplicates, "_CHUNK", chunk)
        cut = near_pairs(describe(both), lambda rows: look(both[rows]))
        assert sorted(cut.rows.tolist()) == sorted(whole.rows.tolist())
    assert sorted(whole.rows.tolist()) == [[n, 99 - n] for n in range(50)]


def test_a_crowd_is_told_from_a_sample(monkeypatch):
    images = np.repeat(scenes(3, 32), 40, axis=0)
    found = near_pairs(describe(images), lambda rows: look(images[rows]))
    assert found.crowd == pytest.approx(39)
    assert len(found.rows) > 100 and (found.rows // 40 == found.rows[:, :1] // 40).all()
    few = np.repeat(scenes(30, 32), 8, axis=0)
    assert near_pairs(describe(few), lambda rows: look(few[rows])).crowd is None
    monkeypatch.setattr(near_duplicates, "_SAMPLE", 60)
    assert near_pairs(describe(images), lambda rows: look(images[rows])).crowd == pytest.approx(
        39, rel=0.1
    )


def test_flat_images_say_nothing():
    flat = np.full((3, 32, 32, 3), 128, np.uint8)
    flat[1] += 1
    assert np.isfinite(describe(flat)).all() and np.isfinite(look(flat)).all()
    assert (agreement(look(flat[:2]), look(flat[1:])) < CONFIRMED).all()
    assert len(near_pairs(describe(flat), lambda rows: look(flat[rows])).rows) == 0


def test_descriptors_have_length_one_and_turn_in_sign_when_mirrored():
    images = scenes(5, 32)
    one, other = describe(images), describe(images[:, :, ::-1])
    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
    odd = np.array([n % 8 % 2 == 1 for n in range(1, 64)])
    assert np.allclose(np.where(odd, -one, one), other, atol=1e-4)


def test_the_waves_are_orthonormal():
    assert np.allclose(waves(24, 24) @ waves(24, 24).T, np.eye(24), atol=1e-5)
    assert np.allclose(waves(24, 5), waves(24, 24)[:5])


def test_progress_ends_at_all():
    images = scenes(30, 16)
    events = []
    near_pairs(describe(images), lambda rows: look(images[rows]), events.append)
    assert events[-1] == Progress("comparing", 30, 30)
