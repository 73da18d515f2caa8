"""CIFAR-10 by name: found in any layout where the user keeps data, else downloaded."""

import pytest
from data.cifar_files import batch, bin_files, py_files, to_archive, to_folder
from data.pictures import class_folders
from data.sources.test_parquet import label_feature, pictures, write

from seewhy.config.data import DataConfig
from seewhy.data import load_data, sources
from seewhy.data.sources import cifar10
from seewhy.data.sources.cifar10 import ARCHIVE, CLASSES
from seewhy.errors import DataError

BATCHES = {"data_batch_1": batch(40), "test_batch": batch(20, 2)}


@pytest.fixture(autouse=True)
def no_download(monkeypatch, tmp_path):
    def refuse(*arguments: object) -> None:
        raise DataError("downloaded")

    monkeypatch.setattr(cifar10, "download", refuse)
    monkeypatch.setenv("SEEWHY_DATA", str(tmp_path))


PLACES = {
    "cifar-10-batches-py": lambda path: to_folder(py_files(BATCHES), path),
    "cifar-10-batches-bin": lambda path: to_folder(bin_files(BATCHES), path),
    "cifar-10-python.tar.gz": lambda path: to_archive(py_files(BATCHES), path),
    "cifar-10-binary.tar.gz": lambda path: to_archive(bin_files(BATCHES), path),
    "cifar10": lambda path: to_folder(py_files(BATCHES), path),
    "cifar10/cifar-10-batches-py": lambda path: to_folder(py_files(BATCHES), path),
    "cifar10/cifar-10-python.tar.gz": lambda path: to_archive(py_files(BATCHES), path),
}


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_under_its_names(tmp_path, place):
    PLACES[place](tmp_path / place)
    source = sources.find("cifar10")
    assert (source.root / source.files[0]).is_relative_to(tmp_path / place)
    assert source.read().classes == CLASSES


def test_it_is_found_directly(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_DATA", str(to_folder(py_files(BATCHES), tmp_path / "any name")))
    assert sources.find("cifar10").layout == "cifar-py"
    write(
        tmp_path / "hub/data/train-0.parquet",
        {"img": pictures(1), "label": [0]},
        label_feature(*CLASSES),
    )
    monkeypatch.setenv("SEEWHY_DATA", str(tmp_path / "hub"))
    assert sources.find("cifar10").layout == "parquet"
    class_folders(tmp_path / "folders/train", dict.fromkeys(CLASSES, 1))
    monkeypatch.setenv("SEEWHY_DATA", str(tmp_path / "folders"))
    assert sources.find("cifar10").layout == "split-folders"


def test_other_data_are_not_taken_for_it(tmp_path):
    class_folders(tmp_path, {"cats": 1, "dogs": 1})
    with pytest.raises(DataError, match="downloaded"):
        sources.find("cifar10")
    write(tmp_path / "p/train.parquet", {"img": pictures(1), "label": [0]}, label_feature("cat"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEWHY_DATA", str(tmp_path / "p"))
        with pytest.raises(DataError, match="downloaded"):
            sources.find("cifar10")


def test_classes_that_are_only_numbered_get_their_names(tmp_path):
    count = 40
    labels = [n % 10 for n in range(count)]
    write(tmp_path / "cifar10/train.parquet", {"img": pictures(count), "label": labels})
    found = load_data("cifar10", DataConfig(val=0.25))
    assert found.classes == CLASSES
    by_path = load_data(tmp_path / "cifar10", DataConfig(val=0.25))
    assert by_path.classes == tuple("0123456789")
    assert by_path.train.labels.tolist() == found.train.labels.tolist()


def test_it_is_downloaded_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("SEEWHY_DATA")
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "cache"))
    asked = []

    def give(what, folder, on_event):
        asked.append((what, folder))
        return to_archive(py_files(BATCHES), folder / what.name)

    monkeypatch.setattr(cifar10, "download", give)
    found = load_data("cifar10")
    assert asked == [(ARCHIVE, tmp_path / "cache/downloads")]
    assert found.classes == CLASSES and len(found.test) == 20
    assert found.notes[0] == "train: 40 images, 10 classes, 32x32, from cifar-py; test: 20 images"


def test_a_place_that_is_none_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_DATA", str(tmp_path / "none"))
    with pytest.raises(DataError, match="which is not a directory"):
        sources.find("cifar10")


def test_the_archive_is_the_official_one():
    assert ARCHIVE.url == "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    assert len(ARCHIVE.sha256) == 64 and ARCHIVE.size == 170_498_071
