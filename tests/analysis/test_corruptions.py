import numpy as np
import pytest
from PIL import Image, ImageDraw

from seewhy.analysis.corruptions import CORRUPTIONS, corrupted, examples


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Sixteen small images with edges, gradients and colours."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(16):
        image = Image.new("RGB", (32, 32), tuple(rng.integers(40, 200, 3).tolist()))
        draw = ImageDraw.Draw(image)
        for _ in range(5):
            a, b = np.sort(rng.integers(0, 32, (2, 2)), axis=0).tolist()
            draw.ellipse((*a, *b), fill=tuple(rng.integers(0, 256, 3).tolist()))
        made.append(np.asarray(image))
    return np.stack(made)


def test_they_are_the_fifteen_of_the_paper() -> None:
    assert list(CORRUPTIONS) == [
        "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur",
        "zoom_blur", "snow", "frost", "fog", "brightness", "contrast", "elastic_transform",
        "pixelate", "jpeg_compression",
    ]  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_changes_every_image_and_the_seed_fixes_it(name: str, pictures) -> None:
    found = corrupted(pictures, name, 4)
    assert found.shape == pictures.shape and found.dtype == np.uint8
    assert (np.abs(found.astype(int) - pictures).mean((1, 2, 3)) > 1).all()
    assert np.array_equal(found, corrupted(pictures, name, 4))


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in CORRUPTIONS
        if n not in ("glass_blur", "elastic_transform", "frost", "snow", "motion_blur")
    ],
)  # of these the paper's strengths are not in order for the eye
def test_more_is_further_from_the_image(name: str, pictures) -> None:
    apart = [np.abs(corrupted(pictures, name, s).astype(int) - pictures).mean() for s in range(5)]
    assert apart == sorted(apart)


def test_noise_has_the_deviation_of_the_paper(pictures) -> None:
    grey = np.full((4, 32, 32, 3), 128, np.uint8)
    for strength, expected in enumerate((0.04, 0.06, 0.08, 0.09, 0.10)):
        found = corrupted(grey, "gaussian_noise", strength)
        assert found.std() / 255 == pytest.approx(expected, rel=0.05)
        share = (corrupted(grey, "impulse_noise", strength) != 128).mean()
        assert share == pytest.approx((0.01, 0.02, 0.03, 0.05, 0.07)[strength], rel=0.15)
    shot = corrupted(grey, "shot_noise", 4).astype(float) / 255
    assert shot.std() == pytest.approx(np.sqrt(128 / 255 / 50), rel=0.05)


def test_contrast_brightness_and_fog_by_hand() -> None:
    two = np.zeros((1, 32, 32, 3), np.uint8)
    two[:, :16], two[:, 16:] = (200, 100, 50), (100, 50, 0)
    flat = corrupted(two, "contrast", 4)[0]
    assert flat[0, 0].tolist() == pytest.approx([157, 79, 29], abs=1)  # mean + 0.15 (x - mean)
    light = corrupted(two, "brightness", 0)[0]
    assert light[0, 0].tolist() == pytest.approx([213, 106, 53], abs=1)  # value + 0.05, hue kept
    assert light[20, 0, 2] == 0
    fog = corrupted(two, "fog", 4)[0].astype(int)
    assert fog.max() <= 200 and fog.min() >= 0


def test_lengths_grow_with_the_image() -> None:
    """A large image that is blurred looks like the small one that is blurred."""
    rng = np.random.default_rng(0)
    small = np.kron(rng.integers(0, 256, (1, 8, 8, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)
    large = np.kron(small, np.ones((1, 4, 4, 1))).astype(np.uint8)
    for name in ("defocus_blur", "zoom_blur"):
        blurred = corrupted(large, name, 4).reshape(1, 32, 4, 32, 4, 3).mean((2, 4))
        apart = np.abs(blurred - corrupted(small, name, 4)).mean()
        assert apart < 0.5 * np.abs(blurred - small).mean(), name


def test_equal_images_are_not_given_equal_noise(monkeypatch) -> None:
    monkeypatch.setattr("seewhy.analysis.pixels.PART", 32 * 32)
    found = corrupted(np.full((3, 32, 32, 3), 128, np.uint8), "gaussian_noise", 2)
    assert not np.array_equal(found[0], found[1]) and not np.array_equal(found[1], found[2])


def test_examples_begin_with_the_image_as_it_is(pictures) -> None:
    found = examples(pictures[:1])
    assert list(found) == list(CORRUPTIONS)
    for name, shown in found.items():
        assert np.array_equal(shown[0], pictures[0])
        assert np.array_equal(shown[5], corrupted(pictures[:1], name, 4)[0])
