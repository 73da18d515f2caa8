import numpy as np
import pytest
from scipy import ndimage

from seewhy.analysis import pixels


@pytest.fixture
def x() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.random((4, 16, 16, 3), dtype=np.float32)


def test_a_convolution_is_that_of_scipy_channel_by_channel(x) -> None:
    kernel = pixels.disk(1.5, 0.3)
    assert kernel.sum() == pytest.approx(1) and np.allclose(kernel, kernel.T)
    expected = ndimage.convolve(x[2, :, :, 1], kernel.astype("f4"), mode="mirror")
    assert np.allclose(pixels.convolved(x, kernel)[2, :, :, 1], expected, atol=1e-5)


def test_no_blur_changes_nothing_and_a_wide_one_leaves_the_mean(x) -> None:
    assert np.allclose(pixels.gaussian(x, 0), x)
    assert np.allclose(pixels.convolved(x, pixels.disk(0.3, 0.01)), x, atol=1e-4)
    flat = pixels.gaussian(x, 50)
    assert flat.std(axis=(1, 2)).max() < 0.03


def test_a_trail_runs_along_its_angle() -> None:
    point = np.zeros((2, 11, 11, 1), np.float32)
    point[:, 5, 5] = 1
    found = pixels.trails(point, 2, 5.0, np.array([0.0, 90.0]))
    assert set(np.argwhere(found[0, :, :, 0] > 0.05)[:, 0]) == {5}
    assert set(np.argwhere(found[1, :, :, 0] > 0.05)[:, 1]) == {5}
    assert found[0].sum() == pytest.approx(1, abs=1e-3) and (found[0] > 0.05).sum() == 5


def test_a_shift_by_whole_pixels_moves_right_and_down(x) -> None:
    found = pixels.shifted(x, 3)
    assert np.allclose(found[:, 3:, 3:], x[:, :-3, :-3], atol=1e-6)
    assert np.allclose(found[:, 0, 0], x[:, 0, 0], atol=1e-6)
    assert np.allclose(pixels.shifted(x, 0), x, atol=1e-6)


def test_turns_by_right_angles_are_exact_and_turn_back(x) -> None:
    assert np.allclose(pixels.rotated(x, 90), np.rot90(x, 1, axes=(1, 2)), atol=1e-4)
    assert np.allclose(pixels.rotated(x, 0), x, atol=1e-6)
    smooth = pixels.gaussian(x, 3)
    again = pixels.rotated(pixels.rotated(smooth, 20), -20)
    assert np.abs(again - smooth)[:, 5:-5, 5:-5].max() < 0.02


def test_a_zoom_enlarges_the_centre() -> None:
    block = np.zeros((1, 16, 16, 1), np.float32)
    block[:, 6:10, 6:10] = 1
    assert pixels.zoomed(block, 2.0).sum() == pytest.approx(64, rel=0.1)
    assert pixels.zoomed(block, 0.5).sum() == pytest.approx(4, rel=0.1)


def test_clouds_fill_their_range_and_are_smoother_the_faster_the_noise_falls() -> None:
    rough, smooth = (pixels.plasma(8, 32, decay, np.random.default_rng(0)) for decay in (1.5, 3.0))
    for clouds in (rough, smooth):
        assert clouds.shape == (8, 32, 32) and clouds.min() == 0 and clouds.max() == 1
    assert np.abs(np.diff(smooth, axis=2)).mean() < 0.6 * np.abs(np.diff(rough, axis=2)).mean()
    assert pixels.plasma(2, 20, 2.0, np.random.default_rng(0)).shape == (2, 20, 20)


def test_an_elastic_warp_without_force_is_none(x) -> None:
    still = np.zeros((2, 4, 16, 16))
    assert np.allclose(pixels.elastic(x, 0.0, still, np.random.default_rng(0)), x, atol=1e-4)


def test_scattered_points_come_from_near_by() -> None:
    ramp = np.broadcast_to(np.arange(16, dtype="f4")[None, None, :, None], (2, 16, 16, 1))
    found = pixels.scattered(np.ascontiguousarray(ramp), 1, np.random.default_rng(0))
    moved = found - ramp
    assert set(np.unique(moved)) <= {-1, 0} and 0.3 < (moved == 0).mean() < 0.7


def test_jpeg_loses_more_the_smaller_the_file(x) -> None:
    smooth = pixels.clipped(pixels.gaussian(x, 1.0))
    losses = [float(np.abs(pixels.jpeg(smooth, q) - smooth).mean()) for q in (95, 50, 5)]
    assert losses[0] < losses[1] < losses[2] and losses[0] < 0.06


def test_bytes_are_changed_in_parts_each_image_once_and_in_order(monkeypatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3), np.uint8)
    monkeypatch.setattr(pixels, "PART", 32)
    seen: list[int] = []

    def darker(x: pixels.Images) -> pixels.Images:
        seen.append(len(x))
        return x - 0.2

    assert np.array_equal(pixels.changed(images, darker), np.clip(images.astype(int) - 51, 0, 255))
    assert seen == [2, 2, 2, 1]
