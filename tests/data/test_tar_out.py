"""Tars that are written are read again, by SeeWhy and by others."""

import json
import tarfile

import pytest
from helpers import write_folder

import seewhy
from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.sources.corrected import Corrected, Correction, write_corrected
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


def test_groups_are_those_of_the_data(tmp_path, photos):
    by_number = SIZE.model_copy(update={"group_from": r"/0(0\d)"})
    done = seewhy.pack_data(photos, tmp_path / "tars", by_number, to="tar")
    files = members(done.out / "all-000000.tar")
    groups = [json.loads(files[f"{n:08}.json"])["group"] for n in (0, 9, 10, 12)]
    assert groups == ["00", "09", "", "00"]
    seewhy.pack_data(photos, tmp_path / "x.pack", by_number)
    packs = load_data(tmp_path / "x.pack", SIZE), load_data(done.out, SIZE)
    assert len({tuple(sorted(one.train.groups)) for one in packs}) == 1


def test_groups_that_the_first_images_lack_are_read_again(tmp_path):
    write_folder(tmp_path / "data", ("ant", "bee"), count=24)
    rows = [f"ant/{n:03},ant,\nbee/{n:03},bee,{n // 4}" for n in range(24)]
    table = tmp_path / "data" / "labels.csv"
    table.write_text("\n".join(["id,label,group", *rows]))
    seewhy.pack_data(table, tmp_path / "tars", SIZE, to="tar")
    groups = [load_data(path, SIZE).train.groups for path in (table, tmp_path / "tars")]
    assert sorted(groups[0]) == sorted(groups[1])


def test_corrected_labels_are_not_written_as_they_were(tmp_path, photos):
    digest = load_data(photos, SIZE).train.hashes[0].decode()
    right = Correction(hash=digest, id="0", was="ant", label="bee")
    write_corrected(Corrected(source=str(photos), corrections=(right,)), tmp_path / "version")
    with pytest.raises(UsageError, match=r"labels of .* are corrected, which tars do not hold"):
        seewhy.pack_data(tmp_path / "version", tmp_path / "tars", SIZE, to="tar")
    assert not (tmp_path / "tars").exists()
