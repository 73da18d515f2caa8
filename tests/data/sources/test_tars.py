"""Tars are read in memory, within the limits of zips, and lead to no other file."""

import gzip
import io
import os
import tarfile
from dataclasses import replace

import pytest
from data.pictures import encoded, noise

from seewhy.data import sources
from seewhy.data.sources import tars
from seewhy.data.sources.archives import LOCAL_ARCHIVE
from seewhy.data.sources.tars import Tar
from seewhy.errors import ArchiveError, DataError

PNG = encoded(noise())


def packed(path, files, mode="w", kind=tarfile.REGTYPE):
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if data is None else kind
            member.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
            member.size = len(data or b"")
            tar.addfile(member, io.BytesIO(data or b""))
    return path


def code(path, **limits):
    """The code of the refusal; "" for none."""
    try:
        Tar(path, replace(LOCAL_ARCHIVE, **limits))
    except ArchiveError as error:
        assert str(error).startswith(path.name)
        return error.code
    return ""


@pytest.mark.parametrize("mode, name", [("w", "x.tar"), ("w:gz", "x.tar.gz"), ("w:gz", "x.TGZ")])
def test_a_tar_is_read_like_a_folder(tmp_path, mode, name):
    files = {
        "b/2.png": encoded(noise(seed=2)),
        "a/1": encoded(noise(seed=1)),
        "a/._1": b"",
        "n": b"",
    }
    path = packed(tmp_path / name, {f"./photos/{name}": data for name, data in files.items()}, mode)
    tar = Tar(path)
    assert tar.scan.images == ["a/1", "b/2.png"] and tar.scan.others == ["n"]
    assert tar.scan.beside == 0 and tar.scan.folders == ["a", "b"]
    assert tar.read("a/1") == files["a/1"] and tar.read("b/2.png") == files["b/2.png"]
    assert sources.find(path).layout == "folders"
    assert os.listdir(tmp_path) == [name]


def test_names_that_lead_elsewhere_are_skipped(tmp_path):
    path = packed(tmp_path / "x.tar", {"../1.png": PNG, "/etc/2.png": PNG, "a/../3.png": PNG})
    assert {file.code for file in Tar(path).scan.skipped} == {"not_a_file"}
    assert not Tar(path).scan.images and len(Tar(path).scan.skipped) == 3


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    assert code(packed(tmp_path / "x.tar", {"a/1.png": b""}, kind=kind)) == "zip_link"


def test_limits_at_themselves_and_one_more(tmp_path):
    path = packed(tmp_path / "x.tar", {"a": None, "a/1": bytes(100), "a/2": bytes(50)})
    assert code(path, max_entries=3) == "" and code(path, max_entries=2) == "zip_entries"
    assert code(path, max_entry=100) == "" and code(path, max_entry=99) == "zip_entry"
    assert code(path, max_total=150) == "" and code(path, max_total=149) == "zip_total"
    bomb = packed(tmp_path / "x.tgz", {"a": bytes(4 << 20)}, "w:gz")
    assert code(bomb) == "zip_ratio" and code(bomb, max_ratio=10_000) == ""


def test_archives_inside_and_names_used_twice_are_refused(tmp_path):
    assert code(packed(tmp_path / "x.tar", {"a.zip": b""})) == "zip_nested"
    with tarfile.open(tmp_path / "y.tar", "w") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("a/1.png"))
    assert code(tmp_path / "y.tar") == "zip_twice"


def test_a_long_header_is_refused_before_it_is_read(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a/1.png")
        member.pax_headers = {"comment": "x" * (tars.MAX_HEADER + 1)}
        tar.addfile(member)
    assert code(tmp_path / "x.tar") == "zip_directory"


def test_damage_is_named(tmp_path):
    files = {f"a/{n}.png": PNG for n in range(9)}
    data = packed(tmp_path / "x.tar", files).read_bytes()
    header = 512 + -(-len(PNG) // 512) * 512  # of the second file
    torn = data[:header] + b"x" * 100 + data[header + 100 :]
    for bad in (b"", b"junk", data[:700], data[: header + 20], torn):
        (tmp_path / "y.tar").write_bytes(bad)
        assert code(tmp_path / "y.tar") == "zip_damaged"
    packed_data = bytearray(gzip.compress(data))
    for bad in (packed_data[:-20], packed_data[:-8] + bytes(8)):
        (tmp_path / "y.tgz").write_bytes(bad)
        assert code(tmp_path / "y.tgz") == "zip_damaged"


def test_a_tar_that_is_cut_after_it_was_listed_is_damaged(tmp_path):
    path = packed(tmp_path / "x.tar", {"a/1.png": PNG, "b/2.png": PNG})
    tar = Tar(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DataError, match="its end is missing"):
        tar.read("b/2.png")
