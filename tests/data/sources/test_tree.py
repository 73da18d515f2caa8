"""Every layout is the same by folder, by file and in a zip."""

import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data.cifar_files import batch, bin_files, py_files, to_folder
from data.pictures import class_folders, encoded, noise, put
from data.sources.test_parquet import label_feature
from data.sources.test_parquet import pictures as hub_pictures
from data.sources.test_parquet import write as write_parquet

from seewhy.config.data import DataConfig
from seewhy.data import load_data, sources
from seewhy.data.images.decode import open_image
from seewhy.data.sources.tree import tree_at
from seewhy.errors import ArchiveError, DataError, ImageError


def table(root: Path) -> None:
    for number in range(40):
        put(root, f"images/{number}.png", data=encoded(noise(8, 8, number)))
    rows = "".join(f"{n},{'ab'[n % 2]}\n" for n in range(40))
    (root / "labels.csv").write_text("id,label\n" + rows)


def npz(root: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    root.mkdir()
    np.savez(root / "x.npz", images=images, labels=np.arange(40) % 2)


def parquet(root: Path) -> None:
    labels = [n % 2 for n in range(40)]
    columns = {"img": hub_pictures(40), "label": labels}
    write_parquet(root / "data/train-0.parquet", columns, label_feature("a", "b"))


def splits(root: Path) -> None:
    class_folders(root / "train", {"a": 20, "b": 20})
    class_folders(root / "test", {"a": 3, "b": 3}, start=90)


LAYOUTS = {
    "folders": lambda root: class_folders(root, {"a": 20, "b": 20}),
    "split-folders": splits,
    "table": table,
    "npz": npz,
    "parquet": parquet,
    "cifar-py": lambda root: to_folder(py_files({"data_batch_1": batch(40)}), root),
    "cifar-bin": lambda root: to_folder(bin_files({"data_batch_1": batch(40)}), root),
}


def zip_of(root: Path, path: Path, below: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, below + file.relative_to(root).as_posix())
    return path


def tar_of(root: Path, path: Path, below: str = "") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(root, below or ".")
    return path


@pytest.mark.parametrize("pack, below", [(zip_of, ""), (zip_of, "photos/"), (tar_of, "photos")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_archive_is_as_the_folder(tmp_path, layout, pack, below):
    LAYOUTS[layout](tmp_path / "root")
    path = pack(tmp_path / "root", tmp_path / f"x.{pack.__name__[:3]}", below)
    before = sorted(tmp_path.rglob("*"))
    folder, zipped = load_data(tmp_path / "root"), load_data(path)
    assert folder.layout == zipped.layout == layout == sources.find(path).layout
    assert folder.fingerprint == zipped.fingerprint and folder.classes == zipped.classes
    assert folder.train.ids.tolist() == zipped.train.ids.tolist()
    assert np.array_equal(folder.train.images[:], zipped.train.images[:])
    assert sorted(tmp_path.rglob("*")) == before  # nothing is unpacked


def test_a_damaged_image_in_a_zip_is_a_bad_file(tmp_path):
    class_folders(tmp_path / "root", {"a": 20, "b": 20})
    path = zip_of(tmp_path / "root", tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    place = data.index(b"a/00003.png") + len(b"a/00003.png") + 40
    data[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"1 of 40 images cannot be used: a/00003.png \(undecod"):
        load_data(path)
    found = load_data(path, DataConfig(on_bad="skip", max_bad=0.1))
    assert [(file.path, file.code) for file in found.bad] == [("a/00003.png", "undecodable")]


def test_a_damaged_table_in_a_zip_stops(tmp_path):
    table(tmp_path / "root")
    path = zip_of(tmp_path / "root", tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    place = data.index(b"labels.csv") + len(b"labels.csv") + 20
    data[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(
        ArchiveError, match=r"x\.zip: it is damaged or cut short \(labels\.csv: "
    ) as caught:
        load_data(path)
    assert caught.value.code == "zip_damaged"


def test_a_folder_is_opened_only_where_asked(tmp_path):
    put(put(tmp_path, "a/1.png", "b/2.png"), "x.csv", data=b"")
    tree = tree_at(tmp_path)
    assert tree.image("a/1.png") == tmp_path / "a/1.png"
    assert tree.watched(["a/1.png"]) == (tmp_path, ("a/1.png",))
    assert tree.top(".csv") == ["x.csv"] and tree.top(".npz") == []


def test_a_zip_gives_bytes_and_is_watched_as_a_whole(tmp_path):
    put(tmp_path / "root", "a/1.png", "b/2.png")
    tree = tree_at(zip_of(tmp_path / "root", tmp_path / "x.ZIP"))
    assert tree.image("a/1.png") == (tmp_path / "root/a/1.png").read_bytes()
    assert tree.watched(["a/1.png"]) == (tmp_path, ("x.ZIP",))
    with tree.open("b/2.png") as file:
        assert file.read(4) == b"\x89PNG"


def test_a_table_by_its_path_stands_alone_in_its_folder(tmp_path):
    put(put(tmp_path, "a/1.png"), "one.csv", "two.csv", data=b"")
    tree = tree_at(tmp_path / "two.csv")
    assert tree.path == tmp_path and tree.scan.others == ["two.csv"]
    assert tree.scan.images == ["a/1.png"]


def test_a_file_alone_is_its_own_tree(tmp_path):
    put(tmp_path, "a.npz", "b.npz", data=b"x")
    tree = tree_at(tmp_path / "a.npz")
    assert tree.top(".npz") == ["a.npz"] and tree.watched([]) == (tmp_path, ("a.npz",))


def test_what_is_passed_over_is_counted(tmp_path):
    put(put(tmp_path, "a/1.png"), ".x", "b.txt", data=b"")
    os.mkfifo(tmp_path / "pipe")
    assert tree_at(tmp_path).notes(1) == (
        "1 other file ignored",  # b.txt; a hidden one is nothing to say
        "skipped links, pipes and unreadable folders: 1",
    )
    assert tree_at(put(tmp_path / "clean", "a/1.png")).notes(0) == ()


# ------------------------------------------------------------------ folders around the data


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("below", ["data-set", "data-set/archive"])
def test_folders_that_hold_everything_are_looked_through(tmp_path, layout, below):
    LAYOUTS[layout](tmp_path / "alone")
    (tmp_path / "root" / below).parent.mkdir(parents=True)
    (tmp_path / "alone").rename(tmp_path / "root" / below)
    put(tmp_path / "root", "README.md", "__MACOSX/x/._1.png", data=b"text")
    found = load_data(tmp_path / "root")
    assert found.layout == layout and len(found.classes) in (2, 10)
    assert f"read below {below}, the folder that holds everything" in found.notes


def test_a_class_alone_is_no_folder_around_the_data(tmp_path):
    source = sources.find(put(tmp_path, "cat/1.png", "cat/deep/2.png"))
    assert {record.label for record in source.read().records} == {"cat"}


def test_a_chosen_layout_that_fits_is_not_looked_through(tmp_path):
    put(tmp_path, "cat/2021/1.png", "cat/2022/2.png")
    source = sources.find(tmp_path, DataConfig(layout="folders"))
    assert {record.label for record in source.read().records} == {"cat"}


# ------------------------------------------------------------------ links


def linked(tmp_path: Path) -> Path:
    class_folders(tmp_path / "store", {"cat": 20, "dog": 20})
    (tmp_path / "root").mkdir()
    (tmp_path / "root/train").symlink_to(tmp_path / "store")
    return tmp_path / "root"


def test_links_that_lead_out_are_followed_if_wanted(tmp_path):
    root = linked(tmp_path)
    with pytest.raises(
        DataError, match=r"not followed \(1\): train. Read them with --follow-links"
    ):
        load_data(root)
    found = load_data(root, DataConfig(follow_links=True))
    assert found.classes == ("cat", "dog") and "train/cat/00000.png" in found.train.ids


def test_a_file_that_becomes_a_link_after_the_scan_is_not_opened(tmp_path):
    root = class_folders(tmp_path / "root", {"a": 2, "b": 2})
    put(root, "labels.csv", data=b"id,label")
    tree = tree_at(root)
    secret = put(tmp_path, "secret.png") / "secret.png"
    for name in ("a/00000.png", "labels.csv"):
        (root / name).unlink()
        (root / name).symlink_to(secret)
    with pytest.raises(ImageError) as caught:
        open_image(tree.image("a/00000.png"))
    assert caught.value.code == "unreadable"
    with pytest.raises(OSError, match="symbolic"):
        tree.open("labels.csv")
    assert open_image(root / "a/00000.png").size == (16, 12)  # a link that is named is followed


def test_a_named_link_to_a_file_is_followed(tmp_path):
    parquet(tmp_path / "hub")
    (tmp_path / "hub/data/train-0.parquet").rename(tmp_path / "blob")
    link = tmp_path / "train.parquet"
    link.symlink_to("blob")
    assert load_data(link).layout == "parquet"
