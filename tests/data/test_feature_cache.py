"""Features in the cache: kept by content, computed once, removed with the images of their rule."""

from pathlib import Path

import numpy as np
import pytest

import seewhy
from seewhy.data.cache_sets import make_room
from seewhy.data.feature_cache import FeatureCache


def hashes(*names: str) -> np.ndarray:
    return np.array([name.encode() for name in names], "S32")


def values(*numbers: float) -> np.ndarray:
    return np.array([[[number, -number]] for number in numbers], np.float32)


def test_what_was_added_is_read_in_any_order(home: Path) -> None:
    cache = FeatureCache("store-rule", "network")
    assert cache.missing(hashes("b", "a", "b")).tolist() == [0, 1]
    cache.add(hashes("b", "a"), values(2, 1))
    cache.add(hashes("c"), values(3))
    assert cache.missing(hashes("a", "d", "c", "d")).tolist() == [1]
    again = FeatureCache("store-rule", "network")
    assert again.read(hashes("c", "a", "a", "b"))[:, 0, 0].tolist() == [3, 1, 1, 2]


def test_another_network_has_features_of_its_own(home: Path) -> None:
    FeatureCache("store-rule", "one").add(hashes("a"), values(1))
    assert FeatureCache("store-rule", "two").missing(hashes("a")).tolist() == [0]


def test_a_damaged_part_is_computed_again(home: Path) -> None:
    cache = FeatureCache("store-rule", "network")
    cache.add(hashes("a"), values(1))
    cache.add(hashes("b"), values(2))
    (file,) = (path for path in home.rglob("values.npy") if np.load(path)[0, 0, 0] == 1)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    assert FeatureCache("store-rule", "network").missing(hashes("a", "b")).tolist() == [0]


def test_features_go_with_the_last_images_of_their_rule(home: Path, photos: Path) -> None:
    splits = seewhy.load_data(photos)
    FeatureCache(splits.rule.key, "network").add(hashes("a"), values(1))
    FeatureCache("store-of-no-images", "network").add(hashes("a"), values(1))
    (one,) = seewhy.list_cache().sets
    assert len(list(home.rglob("values.npy"))) == 2
    seewhy.remove_cached([one.id])
    assert list(home.rglob("values.npy")) == []


def test_features_that_are_removed_meanwhile_can_be_read(home: Path) -> None:
    FeatureCache("store-rule", "network").add(hashes("a"), values(1))
    cache = FeatureCache("store-rule", "network")
    cache.add(hashes("b"), values(2))
    seewhy.remove_cached()
    assert list(home.rglob("values.npy")) == []
    assert cache.missing(hashes("a", "b")).tolist() == []
    assert cache.read(hashes("b", "a"))[:, 0, 0].tolist() == [2, 1]


def test_features_of_a_pack_stay_until_room_is_needed(
    home: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No set has the images of a pack."""
    FeatureCache("store-rule", "network").add(hashes("a"), values(1))
    seewhy.load_data(photos)
    assert len(list(home.rglob("values.npy"))) == 1
    files = [*home.glob("sets/**/*"), *home.glob("pixels/**/*")]
    images = sum(file.stat().st_size for file in files if file.is_file())
    monkeypatch.setenv("SEEWHY_CACHE_GB", str((images + 100) / 1e9))
    assert make_room(home) == () and list(home.rglob("values.npy")) == []
