"""WebDataset tars: one, a folder of them, or a row of names; hostile ones are refused as zips are."""

import io
import json
import tarfile

import pytest
from data.pictures import encoded, noise
from data.sources.test_tars import packed

from seewhy.config.data import DataConfig
from seewhy.data import load_data, sources
from seewhy.data.sources import webdataset
from seewhy.errors import ArchiveError, DataError, UsageError

PNG = [encoded(noise(seed=seed)) for seed in range(8)]


def read(data, **config):
    source = sources.find(data, DataConfig(**config))
    assert source.layout == "webdataset"
    return [record._replace(image=None) for record in source.read().records]


def classes(tar, count=2, first=0):
    files = {}
    for number in range(first, first + count):
        files |= {f"{number:03}.png": PNG[number], f"{number:03}.cls": str(number % 2).encode()}
    return packed(tar, files)


def test_one_tar_of_images_and_classes(tmp_path):
    path = classes(tmp_path / "x.tar", 4)
    assert [(one.id, one.label) for one in read(path)] == [
        *[("x.tar/000.png", "0"), ("x.tar/001.png", "1")],
        *[("x.tar/002.png", "0"), ("x.tar/003.png", "1")],
    ]


def test_the_sample_is_spread_over_files_and_images_that_are_in_class_order(tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset, "SAMPLE", 8)
    for number in range(3):
        classes(tmp_path / f"train-{number:03}.tar", 2, 2 * number)
    classes(tmp_path / "test.tar", 2, 6)
    assert list(sources.find(tmp_path).sample()) == PNG[:6]
    monkeypatch.setattr(webdataset, "SAMPLE", 3)
    assert list(sources.find(tmp_path).sample()) == PNG[0:6:2]


def test_facts_in_json(tmp_path):
    facts = {"label": "=1+1", "split": "valid", "group": 7, "breed": "pug", "other": [[1]]}
    files = {"d/a.x.png": PNG[1], "d/b.png": PNG[0], "d/b.json": json.dumps(facts).encode()}
    path = packed(tmp_path / "train-0.tar", {**files, "e/b.png": PNG[2], "e/b.json": b"{}"})
    assert [tuple(one) for one in read(path)] == [
        ("train-0.tar/d/b.png", "=1+1", "val", None, "7"),
        ("train-0.tar/e/b.png", "", "train", None, ""),
    ]
    assert read(path, label_column="breed")[0].label == "pug"
    with pytest.raises(DataError, match=r"have no breeds.*breed.*--label-column"):
        read(path, label_column="breeds")


@pytest.mark.parametrize("name", ["train-{000..002}.tar", "{train,val}", ""])
def test_several_tars(tmp_path, name):
    for number in range(3):
        classes(tmp_path / f"train-{number:03}.tar", 2, 2 * number)
    classes(tmp_path / "val-000.tar", 2, 6)
    if "," in name:
        with pytest.raises(DataError, match="no data at"):
            read(tmp_path / name)
        return
    rows = read(tmp_path / name)
    assert [one.split for one in rows] == ["train"] * 6 + ["val"] * 2 * (not name)
    splits = load_data(tmp_path / name, DataConfig(size=16))
    assert splits.classes == ("0", "1") and sum(splits.sizes.values()) == len(rows)


def test_names_in_braces(tmp_path):
    classes(tmp_path / "t-09.tar")
    for name, text in [("t-{09..10}.tar", "there is no t-10"), ("t-{9..1}.tar", "that rise")]:
        with pytest.raises(DataError, match=text):
            sources.find(tmp_path / name)
    with pytest.raises(DataError, match="that rise"):
        sources.find(tmp_path / "t-{0..999999999999}.tar")
    with pytest.raises(UsageError, match="no effect on several tars"):
        sources.find(tmp_path / "t-{09..09}.tar", DataConfig(layout="folders"))


def test_hostile_tars(tmp_path):
    inside = io.BytesIO()
    with tarfile.open(fileobj=inside, mode="w"):
        pass
    link = packed(tmp_path / "link.tar", {"a.png": b"", "a.cls": b"0"}, kind=tarfile.SYMTYPE)
    nested = packed(
        tmp_path / "n.tar", {"a.png": PNG[0], "a.cls": b"0", "b.tar": inside.getvalue()}
    )
    for path, code in ((link, "zip_link"), (nested, "zip_nested")):
        with pytest.raises(ArchiveError) as caught:
            sources.find(path)
        assert caught.value.code == code
    files = {"a.png": PNG[0], "a.cls": b"0", "../b.png": PNG[1], "../b.cls": b"1"}
    rows = read(packed(tmp_path / "up.tar", {**files, "/etc/c.png": PNG[2], "/etc/c.cls": b"1"}))
    assert [(one.id, one.label) for one in rows if one.label] == [("up.tar/a.png", "0")]


@pytest.mark.parametrize("facts", [b"{", b"\xff", b"[" * 100_000, b" " * (2 << 20)])
def test_facts_that_are_none(tmp_path, facts):
    files = {"a.png": PNG[0], "a.json": facts}
    with pytest.raises(DataError, match=r"x\.tar: .*a\.json"):
        sources.find(packed(tmp_path / "x.tar", files))


def test_a_damaged_tar_among_several_is_named(tmp_path):
    for number in range(2):
        classes(tmp_path / f"t-{number}.tar", 2, 2 * number)
    (tmp_path / "t-1.tar").write_bytes((tmp_path / "t-1.tar").read_bytes()[:700])
    with pytest.raises(ArchiveError, match=r"t-1\.tar"):
        load_data(tmp_path / "t-{0..1}.tar")
