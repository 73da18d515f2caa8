"""Folders of pictures: what belongs to a class, what is passed over, what is never opened."""

import os
import socket
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from data.pictures import class_folders, encoded, noise

from seewhy.data.decode import is_picture
from seewhy.data.sources.folders import (
    find_folders,
    find_split_folders,
    fits_folders,
    fits_split_folders,
    scan,
)

PNG = encoded(noise())


def put(root: Path, *names: str, data: bytes = PNG) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def rows(source) -> list[tuple[str, str, str]]:
    reading = source.read()
    found = [(record.id, record.label, record.split) for record in reading.records]
    assert len(found) == reading.total == len(source.files)
    assert [row[0] for row in found] == list(source.files)
    return found


# ------------------------------------------------------------------ scanning


def test_pictures_are_found_at_any_depth_in_plain_order(tmp_path):
    put(tmp_path, "b/x.png", "a/10.jpg", "a/9.JPEG", "a/B.tif", "a/deep/er/1.webp", "é/ü.gif")
    assert scan(tmp_path).pictures == [
        *("a/10.jpg", "a/9.JPEG", "a/B.tif", "a/deep/er/1.webp", "b/x.png", "é/ü.gif")
    ]


def test_hidden_and_other_files_are_counted(tmp_path):
    put(tmp_path, "a/1.png", "a/.2.png", ".git/3.png", "a/.DS_Store")
    put(tmp_path, "a/Thumbs.db", "notes.txt", "a/page.html", data=b"<html>")
    found = scan(tmp_path)
    assert found.pictures == ["a/1.png"] and found.skipped == []
    assert found.others == 6  # a hidden folder counts once


def test_a_picture_is_known_by_its_bytes_where_its_name_says_nothing(tmp_path):
    put(tmp_path, "a/picture", "a/photo.data", "a/tricky.txt")
    put(tmp_path, "a/empty", data=b"")
    found = scan(tmp_path)
    assert found.pictures == ["a/photo.data", "a/picture", "a/tricky.txt"] and found.others == 1


def test_a_name_that_promises_a_picture_is_taken_at_its_word(tmp_path):
    put(tmp_path, "a/text.png", "a/phone.HEIC", "a/new.avif", data=b"no picture at all")
    assert not is_picture(b"no picture at all")
    assert scan(tmp_path).pictures == ["a/new.avif", "a/phone.HEIC", "a/text.png"]


def test_what_is_no_regular_file_below_the_root_is_named_and_not_opened(tmp_path, monkeypatch):
    root, outside = tmp_path / "root", tmp_path / "outside.png"
    put(root, "a/1.png", "b/2.png")
    outside.write_bytes(PNG)
    os.mkfifo(root / "a/pipe.png")
    os.mkfifo(root / "a/pipe")
    (root / "a/out.png").symlink_to(outside)
    (root / "a/up").symlink_to("..", target_is_directory=True)
    (root / "a/dangling.png").symlink_to("nowhere.png")
    (root / "a/loop.png").symlink_to("loop.png")
    (root / "a/device.png").symlink_to("/dev/zero")
    (root / "a/to-pipe.png").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(root / "a")
        listener.bind("socket")
        found = scan(root)
    assert found.pictures == ["a/1.png", "b/2.png"] and found.others == 0
    assert {(file.path, file.code) for file in found.skipped} == {
        (f"a/{name}", "not_a_file")
        for name in (
            *("pipe.png", "pipe", "out.png", "up", "dangling.png"),
            *("loop.png", "device.png", "to-pipe.png", "socket"),
        )
    }


def test_a_link_to_a_file_below_the_root_is_followed(tmp_path):
    root = put(tmp_path / "root", "a/1.png")
    (root / "b").mkdir()
    (root / "b/2.png").symlink_to("../a/1.png")
    assert scan(root).pictures == ["a/1.png", "b/2.png"]
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    assert scan(tmp_path / "link").pictures == ["a/1.png", "b/2.png"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png", "b/2.png")
    real = os.scandir

    def refuse(path):
        if Path(path).name == "b":
            raise PermissionError
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = scan(tmp_path)
    assert found.pictures == ["a/1.png"]
    assert [(file.path, file.code) for file in found.skipped] == [("b", "unreadable")]


def test_folders_may_lie_deeper_than_python_can_call(tmp_path):
    folders = [tmp_path]
    for _ in range(sys.getrecursionlimit() + 100):
        folders.append(folders[-1] / "a")
        folders[-1].mkdir()
    picture = folders[-1] / "1.png"
    picture.write_bytes(PNG)
    try:
        assert scan(tmp_path).pictures == [picture.relative_to(tmp_path).as_posix()]
        assert fits_folders(tmp_path)
    finally:
        picture.unlink()
        for folder in folders[:0:-1]:
            folder.rmdir()


def test_names_that_are_no_utf8_are_kept(tmp_path):
    name = os.fsdecode(b"a/\xff\xfe.png")
    put(tmp_path, name)
    assert scan(tmp_path).pictures == [name]


# ------------------------------------------------------------------ root/<class>/*


def test_a_class_is_the_first_folder(tmp_path):
    put(tmp_path, "cat/1.png", "cat/more/2.png", "10/x.png", "2/x.png", "Zebra/x.png")
    assert fits_folders(tmp_path) and not fits_split_folders(tmp_path)
    source = find_folders(tmp_path, None)
    assert rows(source) == [
        ("10/x.png", "10", ""),
        ("2/x.png", "2", ""),
        ("Zebra/x.png", "Zebra", ""),
        ("cat/1.png", "cat", ""),
        ("cat/more/2.png", "cat", ""),
    ]
    assert source.read().classes is None  # sorted plainly by the cache


def test_pictures_outside_class_folders_are_passed_over(tmp_path):
    put(tmp_path, "cat/1.png", "cover.png", "dog/1.png")
    source = find_folders(tmp_path, None)
    assert source.files == ("cat/1.png", "dog/1.png")
    assert source.notes == ("1 other files passed over",)


def test_what_is_skipped_is_told(tmp_path):
    put(tmp_path, "cat/1.png")
    os.mkfifo(tmp_path / "cat/pipe")
    source = find_folders(tmp_path, None)
    assert source.notes == ("1 links, pipes or unreadable folders skipped",)
    assert [file.path for file in source.skipped] == ["cat/pipe"]


def test_one_name_in_two_spellings_is_one_class(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    put(tmp_path, f"train/{composed}/1.png", f"val/{decomposed}/1.png")
    labels = {label for _, label, _ in rows(find_split_folders(tmp_path, None))}
    assert labels == {composed}


# ------------------------------------------------------------------ root/<split>/<class>/*


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_splits_have_the_names_in_use(tmp_path, val):
    put(tmp_path, "train/a/1.png", f"{val}/a/2.png", "test/b/deep/3.png")
    assert fits_split_folders(tmp_path) and not fits_folders(tmp_path)
    assert sorted(rows(find_split_folders(tmp_path, None))) == [
        ("test/b/deep/3.png", "b", "test"),
        ("train/a/1.png", "a", "train"),
        (f"{val}/a/2.png", "a", "val"),
    ]


def test_other_folders_beside_splits_are_passed_over(tmp_path):
    put(tmp_path, "train/a/1.png", "train/cover.png", "extra/a/2.png")
    source = find_split_folders(tmp_path, None)
    assert source.files == ("train/a/1.png",)
    assert source.notes == ("2 other files passed over",)


@pytest.mark.parametrize(
    "names, fits",
    [
        (["a/1.png"], (True, False)),
        (["train/1.png", "bus/1.png"], (True, False)),  # a class of trains
        (["train/a/1.png"], (False, True)),
        (["train/a/b/c/1.png", "test/a/1.png"], (False, True)),
        (["train/a/1.png", "bus/1.png"], (True, True)),
        (["train/a/1.png", "train/1.png"], (True, True)),
        (["train/a/1.png", "labels/1.txt"], (False, True)),
        (["1.png"], (False, False)),
        (["a/1.txt"], (False, False)),
        (["train/.hidden/1.png"], (False, False)),
        ([], (False, False)),
    ],
)
def test_which_layout_fits(tmp_path, names, fits):
    for name in names:
        put(tmp_path, name, data=b"text" if name.endswith("txt") else PNG)
    assert (fits_folders(tmp_path), fits_split_folders(tmp_path)) == fits


def test_a_file_is_no_folder(tmp_path):
    put(tmp_path, "x.png")
    assert not fits_folders(tmp_path / "x.png") and not fits_split_folders(tmp_path / "x.png")


# ------------------------------------------------------------------ the sample


def test_the_sample_is_spread_evenly_and_leaves_test_out(tmp_path, monkeypatch):
    class_folders(tmp_path / "train", {"a": 30, "b": 30})
    class_folders(tmp_path / "test", {"a": 9}, start=90)
    monkeypatch.setattr("seewhy.data.sources.source.SAMPLE", 10)
    paths = [
        path.relative_to(tmp_path).as_posix()
        for path in find_split_folders(tmp_path, None).sample()
    ]
    assert len(paths) == 10 and all(path.startswith("train/") for path in paths)
    assert sum(path.startswith("train/a/") for path in paths) == 5


def test_records_open_nothing(tmp_path):
    put(tmp_path, "a/1.png", data=b"no picture")
    (record,) = find_folders(tmp_path, None).read().records
    assert record.picture == tmp_path / "a/1.png" and record.group is None
    assert not isinstance(record.picture, np.ndarray)
