"""What looks alike is found in all its disguises, what does not is left alone, and no pair is missed."""

import io

import numpy as np
import pytest
from data.pictures import scenes
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from seewhy.data.images import near_duplicates
from seewhy.data.images.near_duplicates import (
    CONFIRMED,
    Pairs,
    are_crowded,
    are_near,
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


def with_text(image: Image.Image) -> Image.Image:
    image = image.copy()
    ImageDraw.Draw(image).text((2, image.height // 3), "a.com", fill=(255, 255, 255), font_size=6)
    return image


def cropped(image: Image.Image) -> Image.Image:
    side = round(image.width * 0.8)
    return image.crop((2, 3, 2 + side, 3 + side)).resize(image.size, Image.Resampling.BICUBIC)


def framed(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, image.width // 10).resize(image.size, Image.Resampling.BICUBIC)


def turned(degrees: float):
    return lambda image: image.rotate(degrees, Image.Resampling.BICUBIC)


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
    "quarter": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "upside down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned by 5": turned(5),
    "turned by 10": turned(-10),
    "cropped": cropped,
    "framed": framed,
    "text": with_text,
}


def pairs_of(images: np.ndarray) -> Pairs:
    return near_pairs(describe(images), lambda rows: look(images[rows]))


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("disguise", DISGUISES)
def test_an_image_is_known_in_disguise(disguise, side):
    images = scenes(40, side)
    both = np.concatenate([images, changed(images[:20], DISGUISES[disguise])])
    found = pairs_of(both)
    assert sorted(sorted(pair) for pair in found.rows.tolist()) == [[n, n + 40] for n in range(20)]
    assert (found.placement.mirrored == (disguise == "mirrored")).all()
    assert found.crowd is None and found.agreement.min() >= CONFIRMED


def test_it_is_said_how_a_copy_was_changed():
    images = scenes(20, 64)
    for disguise, turn, scale in (
        ("quarter", 90, 1),
        ("upside down", 180, 1),
        ("turned by 10", 10, 1),
        ("cropped", 0, 0.8),
        ("framed", 0, 0.83),
    ):
        placement = pairs_of(
            np.concatenate([images, changed(images, DISGUISES[disguise])])
        ).placement
        assert placement.turned == pytest.approx(turn, abs=1)
        assert np.minimum(placement.scale, 1 / placement.scale) == pytest.approx(scale, abs=0.02)


@pytest.mark.parametrize("side", [16, 32, 147])
def test_different_images_are_no_pairs(side):
    assert len(pairs_of(scenes(6400 // side, side, seed=1)).rows) == 0


def test_one_frame_around_two_images_makes_them_no_pair():
    images = scenes(40, 32, seed=2)
    both = np.full_like(images, 255)
    both[:, 5:27, 5:27] = images[:, 5:27, 5:27] // 3
    assert len(pairs_of(both).rows) == 0


def test_one_horizon_makes_two_images_no_pair():
    views = np.full((2, 32, 32, 3), 220, np.uint8)
    views[:, 16:] = 90
    views[0, 10:16, 6:14] = 20
    views[1, 12:16, 15:27] = 20
    assert len(pairs_of(views).rows) == 0


def test_dark_trousers_of_one_cut_on_one_floor_are_no_pair():
    """Their outlines agree, the floor below them and their folds do not."""
    outline = Image.new("L", (64, 64), 255)
    legs = [(22, 6), (42, 6), (54, 58), (42, 58), (32, 24), (22, 58), (10, 58)]
    ImageDraw.Draw(outline).polygon(legs, fill=0)
    mask = np.asarray(outline.filter(ImageFilter.GaussianBlur(1)))[None, :, :, None] / 255
    detail = scenes(12, 64, seed=3).astype(float) - 127
    clothes = (160 + detail / 4) * mask + (32 + detail / 8) * (1 - mask)
    images = clothes.astype(np.uint8)
    cosines = describe(images) @ describe(images).T
    assert cosines.min() > 0.9  # the descriptor alone is deceived
    assert len(pairs_of(images).rows) == 0
    again = pairs_of(np.concatenate([images, changed(images[:5], jpeg(70))]))
    assert sorted(sorted(pair) for pair in again.rows.tolist()) == [[n, n + 12] for n in range(5)]


def test_blocks_and_chunks_miss_no_pair(monkeypatch):
    images = scenes(50, 16)
    both = np.concatenate([images, images[::-1]])
    for block, chunk, cells in ((1024, 256, 4_000_000), (7, 3, 50), (100, 50, 1)):
        monkeypatch.setattr(near_duplicates, "_BLOCK", block)
        monkeypatch.setattr(near_duplicates, "_CHUNK", chunk)
        monkeypatch.setattr(near_duplicates, "_CELLS", cells)
        cut = pairs_of(both)
        assert sorted(sorted(pair) for pair in cut.rows.tolist()) == [
            [n, 99 - n] for n in range(50)
        ]


def test_clusters_miss_no_pair():
    images = scenes(1500, 16)
    assert len(near_duplicates._centres(np.zeros((1500, 35), np.float32))) > 3
    found = pairs_of(np.concatenate([images, changed(images[::100], DISGUISES["mirrored"])]))
    assert sorted(min(pair) for pair in found.rows.tolist()) == list(range(0, 1500, 100))


def test_a_crowd_is_told_from_a_sample(monkeypatch):
    images = np.repeat(scenes(3, 16), 40, axis=0)
    found = pairs_of(images)
    assert found.crowd == pytest.approx(39)
    assert len(found.rows) > 100 and (found.rows // 40 == found.rows[:, :1] // 40).all()
    few = np.repeat(scenes(30, 16), 8, axis=0)
    assert pairs_of(few).crowd is None
    monkeypatch.setattr(near_duplicates, "_SAMPLE", 60)
    assert pairs_of(images).crowd == pytest.approx(39, rel=0.1)
    assert are_crowded(describe(images), lambda rows: look(images[rows]), len(images))
    assert not are_crowded(describe(few), lambda rows: look(few[rows]), len(few))


def test_a_thousand_copies_give_no_half_a_million_pairs():
    copies = np.repeat(scenes(1, 16), 1000, axis=0)
    found = pairs_of(copies)
    assert found.crowd == pytest.approx(999) and len(found.rows) <= 2000
    hidden = pairs_of(np.concatenate([scenes(400, 16, seed=5), copies[:40]]))
    assert hidden.crowd is None and len(hidden.rows) <= 40 * near_duplicates.MOST


def test_flat_images_say_nothing():
    noise = np.random.default_rng(0).normal(235, 2, (1000, 32, 32, 1)).repeat(3, 3)
    flat = np.concatenate([np.full((3, 32, 32, 3), 128, np.uint8), noise.astype(np.uint8)])
    flat[1] += 1
    assert np.isfinite(describe(flat)).all() and np.isfinite(look(flat)).all()
    assert not describe(flat[:3]).any()
    assert len(pairs_of(flat).rows) == 0


def test_given_pairs_are_compared_in_both_directions():
    images = scenes(6, 64)
    crops = changed(images, cropped)
    mine, theirs = (
        np.concatenate([images, crops, images]),
        np.concatenate([crops, images, images[::-1]]),
    )
    spectra, looks = (describe(mine), describe(theirs)), (look(mine), look(theirs))
    assert are_near(spectra, looks).tolist() == [True] * 12 + [False] * 6


def test_candidates_of_which_none_is_confirmed_are_no_pairs(monkeypatch):
    monkeypatch.setattr(near_duplicates, "CANDIDATE", -1.0)
    images = scenes(6, 64)
    other = images[::-1]
    spectra, looks = (describe(images), describe(other)), (look(images), look(other))
    assert not are_near(spectra, looks).any()


def test_descriptors_have_length_one_and_turn_in_sign_when_mirrored():
    images = scenes(5, 32)
    one, other = describe(images), describe(images[:, :, ::-1])
    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
    odd = np.arange(256) % 2 == 1
    assert np.allclose(np.where(odd, -one, one), other, atol=1e-4)


def test_the_waves_are_orthonormal():
    assert np.allclose(waves(24, 24) @ waves(24, 24).T, np.eye(24), atol=1e-5)
    assert np.allclose(waves(24, 5), waves(24, 24)[:5])


def test_progress_ends_at_all():
    images = scenes(30, 16)
    both = np.concatenate([images, images[:10]])
    events = []
    near_pairs(describe(both), lambda rows: look(both[rows]), events.append)
    assert events[0] == Progress("searching", 40, 40)
    assert events[-1].what == "comparing" and events[-1].done == events[-1].total >= 10
