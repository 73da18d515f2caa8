from dataclasses import replace

import numpy as np
import pytest
from helpers import image_set

from seewhy.analysis.attributes import attributes, colourfulness


def test_grey_has_no_colour_and_paint_has_much() -> None:
    pictures = np.zeros((3, 16, 16, 3), np.uint8)
    pictures[0] = np.random.default_rng(0).integers(0, 256, (16, 16, 1))
    pictures[1, :, :8], pictures[1, :, 8:] = (255, 0, 0), (0, 0, 255)
    pictures[2] = (120, 110, 100)
    grey, paint, sand = colourfulness(pictures)
    assert grey == pytest.approx(0, abs=1e-6) and paint > 0.43 > sand > 0


def test_the_measure_is_that_of_the_paper() -> None:
    """Half red, half blue: rg is 1 and 0, yb is 1/2 and -1; M3 = spread + 0.3 mean."""
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    picture[0, 0], picture[0, 1] = (255, 0, 0), (0, 0, 255)
    assert colourfulness(picture)[0] == pytest.approx(
        np.hypot(0.5, 0.75) + 0.3 * np.hypot(0.5, -0.25)
    )


def test_each_image_is_measured_and_the_size_is_that_of_the_whole_image() -> None:
    images = image_set(np.arange(12) % 3, size=16)
    assert set(attributes(images)) == {"brightness", "contrast", "sharpness", "colourfulness"}
    sized = replace(images, sizes=np.array([[40, 30]] * 12, np.int32))
    found = attributes(sized)
    assert all(values.shape == (12,) for values in found.values())
    assert (found["size"] == 30).all()
    assert np.array_equal(np.argsort(found["brightness"][:3]), [0, 1, 2])
