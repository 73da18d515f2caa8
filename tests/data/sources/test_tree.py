"""Every layout is the same by folder, by file and in a zip."""

import os
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
from seewhy.data.sources.tree import tree_at
from seewhy.errors import ArchiveError, DataError


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


@pytest.mark.parametrize("below", ["", "photos/"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_zip_is_as_the_folder(tmp_path, layout, below):
    LAYOUTS[layout](tmp_path / "root")
    path = zip_of(tmp_path / "root", tmp_path / "x.zip", below)
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
        "2 other files ignored",
        "1 links, pipes or unreadable folders skipped",
    )
    assert tree_at(put(tmp_path / "clean", "a/1.png")).notes(0) == ()
