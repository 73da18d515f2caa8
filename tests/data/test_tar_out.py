"""Tars that are written are read again, by SeeWhy and by others."""

import json
import tarfile

import pytest

import seewhy
from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.errors import UsageError

SIZE = DataConfig(size=16)


def members(path):
    with tarfile.open(path) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}


def test_pixels_in_tars_lose_nothing(tmp_path, photos):
    done = seewhy.pack_data(photos, tmp_path / "tars", SIZE, to="tar", raw=True)
    assert done.images == 36 and [path.name for path in done.out.iterdir()] == ["all-000000.tar"]
    files = members(done.out / "all-000000.tar")
    assert list(files)[:3] == ["00000000.png", "00000000.json", "00000000.cls"]
    assert json.loads(files["00000013.json"]) == {"id": "bee/001.png", "label": "bee"}
    assert files["00000013.cls"] == b"1"
    ours, theirs = load_data(done.out, SIZE), load_data(photos, SIZE)
    assert ours.fingerprint == theirs.fingerprint and ours.classes == theirs.classes


def test_a_row_of_tars_for_each_split(tmp_path, photos):
    seewhy.split_data(photos, out=tmp_path)
    splits = tmp_path / "splits.csv"
    rows = splits.read_text()
    table = tmp_path / "with" / "splits.csv"
    table.parent.mkdir()
    for name in ("ant", "bee", "cow"):
        (table.parent / name).mkdir()
        for file in (photos / name).iterdir():
            (table.parent / name / file.name).write_bytes(file.read_bytes())
    table.write_text(rows)
    done = seewhy.pack_data(table, tmp_path / "tars", SIZE, to="tar", shard_bytes=9000)
    names = sorted(path.name for path in done.out.iterdir())
    assert {"test-000000.tar", "train-000000.tar", "train-000001.tar", "val-000000.tar"} <= {*names}
    assert all(path.stat().st_size < 30_000 for path in done.out.iterdir())
    assert load_data(done.out, SIZE).sizes == load_data(table, SIZE).sizes


def test_a_pack_becomes_tars(tmp_path, photos):
    seewhy.pack_data(photos, tmp_path / "x.pack", SIZE)
    seewhy.pack_data(tmp_path / "x.pack", tmp_path / "tars", SIZE, to="tar")
    assert sum(load_data(tmp_path / "tars", SIZE).sizes.values()) == 36
    with pytest.raises(UsageError, match="already exists"):
        seewhy.pack_data(photos, tmp_path / "tars", SIZE, to="tar")
    assert not list(tmp_path.glob("*.tmp"))
