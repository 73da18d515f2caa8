"""Each image is stored once, however many sets it is in, and no set loses one."""

from pathlib import Path

import numpy as np
import pytest
from data.pictures import class_folders, encoded, noise, put
from data.test_cache import count_calls, entries, get, same, segments

import seewhy
from seewhy.data import cache
from seewhy.data import segments as pixels
from seewhy.data.imageset import Rows, Stack


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "photos", {"a": 5, "b": 4}, side=12)


def stored_images(home: Path) -> int:
    return sum(len(np.load(path / "images.npy", mmap_mode="r")) for path in segments(home))


def fresh(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What an empty cache gives for this folder."""
    with monkeypatch.context() as patch:
        patch.setenv("SEEWHY_CACHE", str(tmp_path / f"fresh-{len(list(tmp_path.iterdir()))}"))
        return get(root)


def test_an_added_image_is_the_only_one_that_is_decoded_and_stored(
    home, photos, tmp_path, monkeypatch
):
    get(photos)
    put(photos, "a/00002b.png", data=encoded(noise(12, 12, 77)))  # in the middle
    opened = count_calls(monkeypatch, cache, "read_hashed")
    grown = get(photos)
    assert len(opened) == 1 and stored_images(home) == 10 and isinstance(grown.images, Rows)
    assert same(grown, fresh(photos, tmp_path, monkeypatch))


def test_a_moved_or_removed_image_needs_no_decoding(home, photos, tmp_path, monkeypatch):
    get(photos)
    (photos / "a/00001.png").rename(photos / "b/other.png")
    (photos / "a/00002.png").unlink()
    opened = count_calls(monkeypatch, cache, "read_hashed")
    moved = get(photos)
    assert opened == [] and len(segments(home)) == 1
    assert same(moved, fresh(photos, tmp_path, monkeypatch))


def test_a_changed_image_is_decoded_again(home, photos, tmp_path, monkeypatch):
    before = get(photos).images[1].copy()
    (photos / "a/00001.png").write_bytes(encoded(noise(12, 12, 99)))
    after = get(photos)
    assert not np.array_equal(after.images[1], before)
    assert same(after, fresh(photos, tmp_path, monkeypatch))


def test_copies_of_an_image_are_stored_once(home, tmp_path, monkeypatch):
    root = put(tmp_path / "photos", "a/1.png", "a/2.png", "b/3.png", data=encoded(noise(12, 12)))
    put(root, "b/4.png", data=encoded(noise(12, 12, 5)))
    assert len(get(root).labels) == 4 and stored_images(home) == 2
    assert np.array_equal(get(root).images[0], get(root).images[2])


def test_images_in_many_segments_are_gathered_into_one(home, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "MOST", 3)
    get(photos)
    for number in range(4):
        put(photos, f"a/more{number}.png", data=encoded(noise(12, 12, 50 + number)))
        put(photos, f"b/again{number}.png", data=encoded(noise(12, 12, 50 + number)))
        opened = count_calls(monkeypatch, cache, "read_hashed")
        last = get(photos)
        assert len({path for path, *_ in opened}) == 1
    assert same(last, fresh(photos, tmp_path, monkeypatch))
    assert not isinstance(last.images.base, Stack) or len(last.images.base.parts) <= 3


def test_two_sets_that_share_images_keep_them_when_one_goes(home, photos, tmp_path, monkeypatch):
    get(photos)
    other = class_folders(tmp_path / "other", {"a": 5, "b": 4, "c": 2}, side=12)
    both = get(other)
    images = np.asarray(both.images).copy()
    old = next(one for one in seewhy.list_cache().sets if one.images == 9)
    seewhy.remove_cached([old.id])
    opened = count_calls(monkeypatch, cache, "read_hashed")
    assert np.array_equal(np.asarray(get(other).images), images) and opened == []
    assert len(entries(home)) == 1 and len(segments(home)) == 2


def test_a_stack_reads_as_one_array():
    parts = [
        np.arange(6).reshape(3, 2),
        np.arange(6, 10).reshape(2, 2),
        np.arange(10, 12).reshape(1, 2),
    ]
    stack, whole = Stack(parts), np.concatenate(parts)
    assert (
        stack.shape == (6, 2) and len(stack) == 6 and stack.ndim == 2 and stack.dtype == whole.dtype
    )
    rows = np.array([5, 0, 3, 3, 2])
    assert np.array_equal(stack[rows], whole[rows]) and np.array_equal(stack[4], whole[4])
    view = Rows(stack, rows)
    assert np.array_equal(view[1:4], whole[rows][1:4]) and np.array_equal(
        np.asarray(view), whole[rows]
    )
    assert np.array_equal(view[2], whole[3]) and stack[rows[:0]].shape == (0, 2)
