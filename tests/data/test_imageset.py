"""Parts of a set copy nothing, and what a set is called by its content."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from seewhy.data.imageset import ImageSet, Rows

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), np.uint8)


def strings(values: list[str]) -> np.ndarray:
    return np.array(values, object)


def a_set(labels=(0, 1, 0, 1, 1, 0), classes=("a", "b"), groups=None) -> ImageSet:
    ids = strings([f"{number}.png" for number in range(6)])
    hashes = np.array([b"%032d" % number for number in range(6)])
    return ImageSet(IMAGES, np.array(labels, np.int64), classes, ids, hashes, groups)


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(2),
        slice(1, 3),
        slice(None, None, -1),
        [2, 0],
        np.array([True, False, True, False]),
        (1, 2, 3, 0),
        (slice(0, 2), slice(1, 3)),
        (np.array([3, 3]), slice(None), 0),
        (Ellipsis,),
        Ellipsis,
    ],
    ids=str,
)
def test_rows_are_indexed_as_their_copy_would_be(key):
    rows = Rows(IMAGES, np.array([5, 0, 0, 3]))
    copy = IMAGES[[5, 0, 0, 3]]
    assert np.array_equal(rows[key], copy[key])


def test_rows_look_like_an_array():
    rows = Rows(IMAGES, np.array([5, 0]))
    assert (rows.shape, rows.dtype, rows.ndim, len(rows)) == ((2, 4, 4, 3), np.uint8, 4, 2)
    assert np.array_equal(np.asarray(rows), IMAGES[[5, 0]])
    assert np.asarray(rows, dtype=np.float32).dtype == np.float32
    assert [image.tobytes() for image in rows] == [IMAGES[5].tobytes(), IMAGES[0].tobytes()]


def test_rows_beyond_the_end_are_an_error():
    rows = Rows(IMAGES, np.array([5, 0]))
    for key in (2, -3, [0, 2]):
        with pytest.raises(IndexError):
            rows[key]


def test_a_part_of_a_part_shares_the_images():
    groups = strings(list("uvwxyz"))
    part = a_set(groups=groups).take(np.array([4, 1, 0])).take(np.array([False, True, True]))
    assert part.images.base is IMAGES and part.images.rows.tolist() == [1, 0]
    assert part.labels.tolist() == [1, 0]
    assert part.ids.tolist() == ["1.png", "0.png"]
    assert part.hashes.tolist() == [b"%032d" % 1, b"%032d" % 0]
    assert part.groups.tolist() == ["v", "u"]
    assert part.classes == ("a", "b")


def test_a_part_keeps_the_sizes_of_its_images():
    sizes = np.arange(12, dtype=np.int32).reshape(6, 2)
    part = replace(a_set(), sizes=sizes).take(np.array([4, 1]))
    assert part.sizes.tolist() == [[8, 9], [2, 3]] and a_set().take(np.array([1])).sizes is None


def test_counts_are_by_class_and_know_none():
    assert a_set(labels=(0, -1, 2, 2, 2, -1), classes=("a", "b", "c")).counts.tolist() == [1, 0, 3]


def test_the_fingerprint_is_of_contents_and_class_names_alone():
    whole = a_set()
    pairs = sorted(
        b"%032d %s" % (n, b"ab"[label : label + 1]) for n, label in enumerate(whole.labels)
    )
    assert whole.fingerprint == hashlib.sha256(b"\n".join(pairs)).hexdigest()
    order = np.array([3, 1, 5, 0, 2, 4])
    assert whole.take(order).fingerprint == whole.fingerprint
    swapped = a_set(labels=(1, 0, 1, 0, 0, 1), classes=("b", "a"))
    assert swapped.fingerprint == whole.fingerprint
    assert a_set(labels=(1, 1, 0, 1, 1, 0)).fingerprint != whole.fingerprint
    assert a_set(classes=("a", "c")).fingerprint != whole.fingerprint
    assert whole.take(order[:5]).fingerprint != whole.fingerprint


def test_an_unlabelled_image_has_a_fingerprint_of_its_own():
    last = a_set(labels=(0, 1, 0, 1, 1, -1)).fingerprint
    assert last not in (a_set(labels=(0, 1, 0, 1, 1, 1)).fingerprint, a_set().fingerprint)
