"""What is found below a folder, what is passed over, what is never opened."""

import os
import socket
import sys
from pathlib import Path

from data.pictures import encoded, noise, put

from seewhy.data.images.decode import is_image
from seewhy.data.sources.folders import scan

PNG = encoded(noise())


def test_images_are_found_at_any_depth_in_plain_order(tmp_path):
    put(tmp_path, "b/x.png", "a/10.jpg", "a/9.JPEG", "a/B.tif", "a/deep/er/1.webp", "é/ü.gif")
    assert scan(tmp_path).images == [
        *("a/10.jpg", "a/9.JPEG", "a/B.tif", "a/deep/er/1.webp", "b/x.png", "é/ü.gif")
    ]


def test_hidden_files_and_litter_are_not_listed(tmp_path):
    put(tmp_path, "a/1.png", "a/.2.png", ".git/3.png", "a/.DS_Store")
    put(tmp_path, "a/Thumbs.db", "notes.txt", "a/page.html", data=b"<html>")
    found = scan(tmp_path)
    assert found.images == ["a/1.png"] and found.skipped == []
    assert len(found.others) == 2 and found.beside == 0


def test_the_litter_of_other_programs_is_passed_over(tmp_path):
    put(tmp_path, "a/1.png", "a/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/a/._1.png")
    put(
        tmp_path,
        "#recycle/2.png",
        "$RECYCLE.BIN/3.png",
        "lost+found/4.png",
        ".ipynb_checkpoints/5.png",
    )
    put(tmp_path, "a/._6.png", "a/desktop.ini", "@__thumb/7.jpg", "System Volume Information/8.png")
    found = scan(tmp_path)
    assert found.images == ["a/1.png"] and found.others == [] and found.folders == ["a"]
    assert found.beside == 0


def test_what_seewhy_has_written_is_passed_over(tmp_path):
    put(tmp_path, "a/1.png", "runs/photos/figures/x.png", "out/y.png", "maps/z.png", "tuned/w.png")
    put(tmp_path, "runs/photos/run.lock", "runs/photos/config.yaml", "out/findings.csv", data=b"")
    put(tmp_path, "maps/explanations.json", "tuned/experiment.lock", data=b"")
    found = scan(tmp_path)
    assert found.images == ["a/1.png"] and found.folders == ["a", "runs"]
    assert found.outputs == ["maps", "out", "runs/photos", "tuned"]
    assert scan(tmp_path / "out").images == ["y.png"]  # the folder that is named is read


def test_an_image_is_known_by_its_bytes_where_its_name_says_nothing(tmp_path):
    put(tmp_path, "a/picture", "a/photo.data", "a/tricky.txt")
    put(tmp_path, "a/empty", data=b"")
    found = scan(tmp_path)
    assert found.images == ["a/photo.data", "a/picture", "a/tricky.txt"] and found.others == [
        "a/empty"
    ]


def test_a_name_that_promises_an_image_is_taken_at_its_word(tmp_path):
    put(tmp_path, "a/text.png", "a/phone.HEIC", "a/new.avif", data=b"no picture at all")
    assert not is_image(b"no picture at all")
    assert scan(tmp_path).images == ["a/new.avif", "a/phone.HEIC", "a/text.png"]


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
    assert found.images == ["a/1.png", "b/2.png"] and found.others == []
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
    assert scan(root).images == ["a/1.png", "b/2.png"]
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    assert scan(tmp_path / "link").images == ["a/1.png", "b/2.png"]


def test_links_to_folders_are_followed_once(tmp_path):
    store, root = put(tmp_path / "store", "cat/1.png", "x.png"), put(tmp_path / "root", "a/1.png")
    (root / "b").symlink_to(store / "cat")
    (root / "c").symlink_to(store / "cat")
    (root / "up").symlink_to("..")
    (root / "in").symlink_to("a")
    (root / "x.png").symlink_to(store / "x.png")
    left = scan(root)
    assert left.images == ["a/1.png"]
    assert "not followed (4): b, c, up, x.png. Read" in left.left_links()
    found = scan(root, follow_links=True)
    assert found.images == ["a/1.png", "b/1.png", "up/store/x.png", "x.png"]
    assert found.links["b/1.png"] == store / "cat/1.png" and "a/1.png" not in found.links
    assert [file.path for file in found.skipped] == ["c", "in", "up/root", "up/store/cat"]
    assert found.left_links() == ""


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png", "b/2.png")
    real = os.scandir

    def refuse(path):
        if Path(path).name == "b":
            raise PermissionError
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = scan(tmp_path)
    assert found.images == ["a/1.png"]
    assert [(file.path, file.code) for file in found.skipped] == [("b", "unreadable")]


def test_folders_may_lie_deeper_than_python_can_call(tmp_path):
    folders = [tmp_path]
    for _ in range(sys.getrecursionlimit() + 100):
        folders.append(folders[-1] / "a")
        folders[-1].mkdir()
    picture = folders[-1] / "1.png"
    picture.write_bytes(PNG)
    try:
        assert scan(tmp_path).images == [picture.relative_to(tmp_path).as_posix()]
    finally:
        picture.unlink()
        for folder in folders[:0:-1]:
            folder.rmdir()


def test_names_that_are_no_utf8_are_kept(tmp_path):
    name = os.fsdecode(b"a/\xff\xfe.png")
    put(tmp_path, name)
    assert scan(tmp_path).images == [name]
