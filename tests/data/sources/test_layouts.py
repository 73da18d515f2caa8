"""A layout is recognised, asked for where two fit, and listed where none does."""

import pytest
from data.pictures import class_folders
from data.sources.test_parquet import pictures, write

from seewhy.config.data import DataConfig
from seewhy.data import sources
from seewhy.data.sources import LAYOUTS, find
from seewhy.errors import DataError


def test_what_fits_two_layouts_is_asked_about(tmp_path):
    class_folders(tmp_path, {"train/a": 1, "bus": 1})
    with pytest.raises(DataError, match="--layout folders or --layout split-folders"):
        find(tmp_path)
    assert find(tmp_path, DataConfig(layout="folders")).layout == "folders"
    assert find(tmp_path, DataConfig(layout="split-folders")).files == ("train/a/00000.png",)


def test_parquet_beside_class_folders_is_asked_about(tmp_path):
    class_folders(tmp_path, {"a": 1})
    write(tmp_path / "train.parquet", {"img": pictures(1), "label": [0]})
    with pytest.raises(DataError, match="--layout folders or --layout parquet"):
        find(tmp_path)


def test_what_fits_none_lists_all(tmp_path):
    with pytest.raises(DataError) as caught:
        find(tmp_path)
    assert all(f"{name}: {layout.looks}" in str(caught.value) for name, layout in LAYOUTS.items())
    assert str(caught.value).splitlines()[1] == "It holds no images: is it the right folder?"


def test_a_folder_of_one_class_is_told_from_the_one_above_it(tmp_path):
    class_folders(tmp_path, {"ant": 1, "bee": 1})
    with pytest.raises(DataError, match=r"give the folder above it \(.*\)"):
        find(tmp_path / "ant")


def test_a_path_that_does_not_exist_is_told_what_may_be_meant(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"\(did you mean photos\?\)"):
        find(tmp_path / "photo")
    with pytest.raises(DataError, match=r"\(did you mean cifar10\?\)"):
        find("cifar01")


@pytest.mark.parametrize(
    "name", ["a.tar.xz", "A.7Z", "a.rar", "a.tar.bz2", "a.tar.zst", "a.csv.gz"]
)
def test_an_archive_that_is_not_read_is_named_and_what_to_do(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"not read: extract it .* or pack it as \.zip, \.tar,"):
        find(tmp_path / name)
    with pytest.raises(DataError, match=rf"Nothing was looked for in {name}: extract it\n"):
        find(tmp_path)
    (tmp_path / "b.zip").touch()
    with pytest.raises(DataError, match=r"b\.zip: extract them\n"):
        find(tmp_path)


def test_an_archive_in_a_folder_can_be_given_itself(tmp_path):
    (tmp_path / "b.zip").touch()
    with pytest.raises(DataError, match=r"b\.zip: extract it, or give it as --data\n"):
        find(tmp_path)


def test_an_unknown_layout_and_source_list_the_known(tmp_path):
    with pytest.raises(
        DataError, match="unknown layout zip: known are folders, split-folders, file-names"
    ):
        find(tmp_path, DataConfig(layout="zip"))
    with pytest.raises(DataError, match=r"no data at no/such\\x1b: .* one of digits, cifar10"):
        find("no/such\x1b")


def test_a_path_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find("digits").layout == "digits"
    class_folders(tmp_path / "digits", {"a": 1})
    assert find("digits").layout == "folders"
    assert find("digits").root == tmp_path / "digits"


def test_each_source_says_what_it_is(tmp_path):
    class_folders(tmp_path, {"a": 1})
    assert sources.find(tmp_path).layout == "folders"
    assert set(LAYOUTS) == {
        *(
            "folders",
            "split-folders",
            "file-names",
            "table",
            "parquet",
            "npz",
            "pack",
            "webdataset",
            "cifar-py",
            "cifar-bin",
        )
    }
