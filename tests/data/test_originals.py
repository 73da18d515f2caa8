"""Images come as their files have them, whatever they lie in."""

import numpy as np
import pytest
from data.pictures import encoded, exif, noise, put, write_scenes
from PIL import Image

from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.originals import originals
from seewhy.errors import ImageError


def test_images_come_whole_and_upright(tmp_path):
    tall = noise(30, 20)
    put(tmp_path, "ant/0.png", data=encoded(tall))
    put(tmp_path, "bee/1.png", data=encoded(Image.fromarray(tall), exif=exif(3)))
    found = originals(tmp_path, {"ant/0.png", "bee/1.png"})
    assert np.array_equal(found["ant/0.png"].image, tall)
    assert np.array_equal(found["bee/1.png"].image, tall[::-1, ::-1])


def test_a_large_image_is_kept_no_larger_than_it_is_looked_at(tmp_path):
    put(tmp_path, "ant/0.png", data=encoded(noise(300, 1200)))
    found = originals(tmp_path, {"ant/0.png"})["ant/0.png"]
    assert (found.width, found.height, found.image.shape) == (1200, 300, (128, 512, 3))


def test_only_what_is_asked_for_is_decoded(tmp_path):
    write_scenes(tmp_path, {"ant": 3, "bee": 3})
    put(tmp_path, "ant/broken.png", data=b"no picture")
    assert set(originals(tmp_path, {"bee/001.png"})) == {"bee/001.png"}
    with pytest.raises(ImageError):
        originals(tmp_path, {"ant/broken.png"})


def test_ids_are_those_of_a_loaded_set():
    splits = load_data("digits", DataConfig(size=8))
    ids = set(splits.train.ids[:3])
    found = originals("digits", ids)
    assert set(found) == ids
    for row in range(3):
        assert np.array_equal(found[splits.train.ids[row]].image, splits.train.images[row])
