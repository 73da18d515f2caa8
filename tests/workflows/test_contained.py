"""Images inside packs, parquet files, tars and zips are labelled like files, and continued like them."""

import csv
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import call

import seewhy
from seewhy.config.data import DataConfig
from seewhy.errors import ArchiveError, DataError, UsageError
from seewhy.inference.classifier import Classifier
from seewhy.workflows.contained import inputs

KINDS = ["x.pack", "s.pack", "x.parquet", "x.tar", "x.tgz", "x.zip", "part-{0..1}.tar"]


@pytest.fixture(scope="module")
def contained(tmp_path_factory, photos):
    """A folder with the images of `photos` in files of each kind."""
    root = tmp_path_factory.mktemp("contained")
    files = sorted(photos.rglob("*.png"))
    names = [str(file.relative_to(photos)) for file in files]
    seewhy.pack_data(photos, root / "x.pack", DataConfig(size=16), raw=True)
    seewhy.pack_data(photos, root / "s.pack", DataConfig(size=16), raw=True, shard_bytes=5000)
    rows = [{"image": {"bytes": file.read_bytes(), "path": "a"}, "n": 1.5} for file in files]
    pq.write_table(pa.Table.from_pylist(rows), root / "x.parquet", row_group_size=7)
    half = len(files) // 2
    parts = {"x.tar": files, "x.tgz": files, "part-0.tar": files[:half], "part-1.tar": files[half:]}
    for name, some in parts.items():
        with tarfile.open(root / name, "w:gz" if name.endswith("gz") else "w") as tar:
            for file in some:
                tar.add(file, file.relative_to(photos))
    with zipfile.ZipFile(root / "x.zip", "w") as archive:
        for file, name in zip(files, names, strict=True):
            archive.write(file, name)
    return root


def labelled(model, path, out, **options):
    seewhy.label_images(model, path, out, **options)
    with open(out, newline="") as file:
        return [list(row) for row in csv.reader(file)][1:]


@pytest.mark.parametrize("kind", KINDS)
def test_the_rows_are_those_of_the_files(tmp_path, contained, photos, trained, kind):
    files = labelled(trained, photos, tmp_path / "files.csv")
    inside = labelled(trained, contained / kind, tmp_path / "inside.csv")
    assert [row[1:] for row in inside] == [row[1:] for row in files]
    below = [os.path.relpath(row[0], photos) for row in files]
    if kind.startswith("part"):
        assert inside[-1][0] == str(contained / "part-1.tar" / below[-1])
    elif kind == "x.parquet":
        assert inside[3][0] == str(contained / kind / "3" / "a")
    else:
        assert [row[0] for row in inside] == [str(contained / kind / name) for name in below]


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_work_goes_on(tmp_path, contained, photos, trained, monkeypatch, kind):
    monkeypatch.setattr("seewhy.inference.classifier.CHUNK", 5)
    whole = labelled(trained, contained / kind, tmp_path / "whole.csv")
    predict, chunks = Classifier._predict_read, iter(range(3))

    def stop(*arguments):
        if next(chunks, None) is None:
            raise KeyboardInterrupt
        return predict(*arguments)

    out = tmp_path / "rows.csv"
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "_predict_read", stop)
        with pytest.raises(KeyboardInterrupt):
            seewhy.label_images(trained, contained / kind, out)
    assert labelled(trained, contained / kind, out, resume=True) == whole


def test_files_and_what_is_inside_others_in_their_order(tmp_path, contained, photos, trained):
    paths = [photos / "cow", contained / "x.pack", photos / "ant" / "001.png"]
    rows = labelled(trained, paths, tmp_path / "rows.csv")
    assert len(rows) == 12 + 36 + 1 and rows[-1][0] == str(paths[-1])
    assert rows[12][0] == str(contained / "x.pack" / "ant" / "000.png")
    some = inputs(paths)
    for first in (0, 5, 12, 30, 48):
        assert [name for name, _ in some.starting(first)] == [row[0] for row in rows[first:]]
    (tmp_path / "other.csv.partial").write_bytes(b"")
    assert some.digest == inputs(paths).digest != inputs(paths[::-1]).digest


def test_what_is_damaged_is_a_row(tmp_path, contained, trained):
    pack = bytearray((contained / "x.pack").read_bytes())
    pack[100] ^= 1
    (tmp_path / "x.pack").write_bytes(pack)
    printed = call("predict", trained, tmp_path / "x.pack", "--out", tmp_path / "r.jsonl", code=1)
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["error"] + ["ok"] * 35
    assert rows[0]["code"] == "undecodable" and "x.pack: it is damaged" in rows[0]["error"]
    assert "1 of 36 images" in printed.err + printed.out


@pytest.mark.parametrize("name", ["x.pack", "x.parquet", "x.tar", "x.zip"])
def test_what_is_no_such_file_is_one_line(tmp_path, trained, name):
    (tmp_path / name).write_bytes(b"no such thing")
    with pytest.raises((ArchiveError, DataError), match=name):
        seewhy.label_images(trained, tmp_path / name, io.StringIO())


def test_copies_and_maps_need_files(tmp_path, contained, trained):
    for option in ({"copy_to": tmp_path / "c"}, {"explain": tmp_path / "e"}):
        with pytest.raises(UsageError, match="needs images that are files"):
            seewhy.label_images(trained, contained / "x.tar", io.StringIO(), **option)
    assert not list(tmp_path.iterdir())


def test_hostile_names_lead_nowhere_and_act_in_no_table(tmp_path, photos, trained, monkeypatch):
    data = (photos / "bee" / "001.png").read_bytes()
    names = ["=1+1.png", "@x.png", "../../up.png", "a\n=2.png", "\udce9.png", "/etc/x.png"]
    with tarfile.open(tmp_path / "=x.tar", "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    monkeypatch.chdir(tmp_path)
    rows = labelled(trained, "=x.tar", tmp_path / "rows.csv")
    assert len(rows) == 4 and not any(row[0].startswith(tuple("=+-@")) for row in rows)
    assert sorted(Path().iterdir()) == [Path("=x.tar"), Path("rows.csv")]
