"""The cache is listed, checked and kept within its limit; a removed set is made again."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from data.pictures import class_folders
from data.test_cache import entries, flip, get, segments

import seewhy
from seewhy.data import cache, checksums
from seewhy.data.cache_sets import USED, CachedSet, adding, make_room
from seewhy.errors import UsageError


@pytest.fixture
def two(tmp_path: Path, home: Path) -> list[Path]:
    """Two folders that are cached; the first was used longer ago."""
    roots = [
        class_folders(tmp_path / "one", {"a": 5, "b": 4}, side=12),
        class_folders(tmp_path / "two", {"a": 6, "b": 6}, side=12, start=100),
    ]
    for root in roots:
        get(root)
    for entry in entries(home):
        if len(np.load(entry / "labels.npy")) == 9:
            os.utime(entry / USED, (time.time() - 5 * 86_400,) * 2)
    return roots


def test_sets_are_listed_last_used_first(home, two):
    contents = seewhy.list_cache()
    assert [(one.source, one.images, one.side) for one in contents.sets] == [
        (str(two[1]), 12, 8),
        (str(two[0]), 9, 8),
    ]
    assert contents.directory == home and contents.limit == 20_000_000_000
    files = [path for path in home.rglob("*") if path.is_file()]
    assert contents.bytes == sum(path.stat().st_size for path in files)
    assert contents.sets[1].bytes >= 9 * 8 * 8 * 3


def test_opening_a_set_counts_as_use_and_reads_no_pixel(home, two, monkeypatch):
    def refuse(directory: Path) -> None:
        raise AssertionError("hashed again")

    monkeypatch.setattr(checksums, "_checksums", refuse)
    get(two[0])
    assert seewhy.list_cache().sets[0].source == str(two[0])


def test_rot_behind_the_stamps_is_found_by_a_check_alone(home, two):
    file = max(
        (path / "images.npy" for path in segments(home)), key=lambda path: path.stat().st_size
    )
    seen = file.stat()
    flip(file, seen.st_size - 3)
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    stamps = json.loads((file.parent / "stamps.json").read_bytes())
    stamps["images.npy"][2] = (
        file.stat().st_ctime_ns
    )  # as if the disk had changed the byte by itself
    (file.parent / "stamps.json").write_text(json.dumps(stamps))
    assert len(get(two[1]).labels) == 12  # the stamps are as they were
    assert [one.source for one in seewhy.check_cache()] == [str(two[1])]
    assert [one.source for one in seewhy.list_cache().sets] == [str(two[0])]
    assert seewhy.check_cache() == () and len(get(two[1]).labels) == 12


def test_sets_are_removed_by_id_or_age_with_the_images_that_no_other_has(home, two):
    with pytest.raises(UsageError, match="the cache has no set 'abc'"):
        seewhy.remove_cached(["abc"])
    assert [one.source for one in seewhy.remove_cached(unused_days=3)] == [str(two[0])]
    assert len(entries(home)) == len(segments(home)) == 1
    (rest,) = seewhy.list_cache().sets
    assert seewhy.remove_cached([rest.id]) == (rest,)
    assert entries(home) == segments(home) == []
    assert len(get(two[0]).labels) == 9


def test_a_set_in_use_can_be_removed(two):
    images = get(two[0]).images
    total = images.sum()
    seewhy.remove_cached()
    assert images.sum() == total


def test_the_set_used_longest_ago_makes_room(home, two, tmp_path, monkeypatch):
    notes = []
    used = seewhy.list_cache().bytes
    monkeypatch.setenv("SEEWHY_CACHE_GB", str((used + 500) / 1e9))
    third = class_folders(tmp_path / "three", {"a": 2, "b": 2}, side=12, start=300)
    get(third, on_event=notes.append)
    assert [one.source for one in seewhy.list_cache().sets] == [str(third), str(two[1])]
    assert ": 1 set, used longest ago" in notes[-1].text
    monkeypatch.setenv("SEEWHY_CACHE_GB", "0")  # the last set stays, however large
    assert len(get(two[0]).labels) == 9
    assert [one.source for one in seewhy.list_cache().sets] == [str(two[0])]


def test_what_an_older_version_left_is_listed_and_removed(home, two):
    old = home / "sets" / ("0" * 40) / "store-32-v1"
    old.mkdir(parents=True)
    (old / "images.npy").write_bytes(bytes(1000))
    shown = next(one for one in seewhy.list_cache().sets if one.images == 0)
    assert shown.layout == "older version" and shown.bytes == 1000
    seewhy.remove_cached([shown.id])
    assert not old.exists()


def test_folders_of_a_user_that_lie_in_its_directory_stay(home, two):
    names = ("sets/train/images", "pixels/mine/a", "features/resnet", "shards/mine/a.shard")
    for name in names:
        (home / name).mkdir(parents=True, exist_ok=True)
        (home / name / "set.json").write_text("{}")
    assert len(seewhy.remove_cached()) == 2
    assert all((home / name / "set.json").exists() for name in names)
    assert not entries(home) and not segments(home)


@pytest.mark.parametrize("text", ["many", "-1", "nan"])
def test_a_limit_that_is_none_is_refused(home, text, monkeypatch):
    monkeypatch.setenv("SEEWHY_CACHE_GB", text)
    with pytest.raises(UsageError, match="SEEWHY_CACHE_GB"):
        seewhy.list_cache()


def test_images_that_another_process_removes_while_a_set_is_built_are_built_again(
    home, two, tmp_path, monkeypatch
):
    real, calls = cache.make_room, []

    def robbed(entry: Path) -> tuple[CachedSet, ...]:
        calls.append(entry)
        if len(calls) == 1:
            shutil.rmtree(max(segments(home), key=os.path.getctime))
        return real(entry)

    monkeypatch.setattr(cache, "make_room", robbed)
    third = class_folders(tmp_path / "three", {"a": 2, "b": 2}, side=12, start=300)
    assert len(get(third).labels) == 4 and len(calls) == 2


def test_images_of_a_set_that_is_being_added_stay(home, two):
    """Else two trainings that start at once would remove each other's images."""
    with adding():
        seewhy.remove_cached()
        assert len(entries(home)) == 0 and len(segments(home)) == 2
    get(two[0])
    assert len(entries(home)) == len(segments(home)) == 1


def test_no_set_makes_room_while_another_is_added(home, two, tmp_path, monkeypatch):
    """Its images could not be freed, so that the sets would go one by one and the cache stay as large."""
    monkeypatch.setenv("SEEWHY_CACHE_GB", "0")
    third = class_folders(tmp_path / "three", {"a": 2, "b": 2}, side=12, start=300)
    with adding():
        get(third)
        assert len(entries(home)) == len(segments(home)) == 3
    assert len(make_room(entries(home)[0])) == 2
    assert len(entries(home)) == len(segments(home)) == 1


def test_a_set_of_known_images_adds_no_segment(home, two):
    (two[1] / "a" / "00000.png").unlink()
    before = sorted((home / "pixels").rglob("*"))
    get(two[1])
    assert sorted((home / "pixels").rglob("*")) == before
