"""Zips are read in memory, within limits that each have a code, and lead to no other file."""

import io
import stat
import struct
import unicodedata
import zipfile
from dataclasses import replace

import pytest
from data.pictures import encoded, noise
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.data.sources.archives import LOCAL_ARCHIVE, SMALL
from seewhy.data.sources.zips import DAMAGE, open_zip, scan_zip
from seewhy.errors import ARCHIVE_ERROR_CODES, ArchiveError, DataError

PNG = encoded(noise())


def zipped(files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data


def named(info: zipfile.ZipInfo, content: bytes = PNG) -> io.BytesIO:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(info, content)
    return data


def code(data: io.BytesIO, limits=LOCAL_ARCHIVE) -> str:
    """The code of the refusal; "" for none."""
    try:
        with open_zip(data, "x.zip", limits) as archive:
            scan_zip(archive, "x.zip")
    except ArchiveError as error:
        assert str(error).startswith("x.zip") and error.exit_code == 2
        return error.code
    return ""


def pictures(files: dict[str, bytes]) -> list[str]:
    with open_zip(zipped(files), "x.zip") as archive:
        return scan_zip(archive, "x.zip")[0].images


# ------------------------------------------------------------------ limits, each at itself and one more


@pytest.mark.parametrize(
    "count", [100, pytest.param(LOCAL_ARCHIVE.max_entries, marks=pytest.mark.long)]
)
def test_entries(count):
    limits = replace(LOCAL_ARCHIVE, max_entries=count)
    files = {f"{n}": b"" for n in range(count)}
    assert code(zipped(files), limits) == ""
    assert code(zipped(files | {"more": b""}), limits) == "zip_entries"


def test_the_list_of_entries():
    data = zipped({"a" * 50: b"", "b" * 50: b""})
    size = 2 * (46 + 50)
    assert code(data, replace(LOCAL_ARCHIVE, max_directory=size)) == ""
    assert code(data, replace(LOCAL_ARCHIVE, max_directory=size - 1)) == "zip_directory"


def test_the_list_of_entries_is_refused_before_it_is_read(monkeypatch):
    data = zipped({"a.png": PNG})
    raw = bytearray(data.getvalue())
    end = raw.rindex(b"PK\5\6")
    struct.pack_into("<L", raw, end + 12, (64 << 20) + 1)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert code(io.BytesIO(raw)) == "zip_directory"


def test_the_list_of_entries_in_zip64(monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    data = zipped({"a": b"", "b": b""})
    assert b"PK\6\6" in data.getvalue()
    assert code(data, replace(LOCAL_ARCHIVE, max_directory=2 * 47)) == ""
    assert code(data, replace(LOCAL_ARCHIVE, max_directory=2 * 47 - 1)) == "zip_directory"


def test_one_entry():
    data = zipped({"a": bytes(100), "b": b""})
    assert code(data, replace(LOCAL_ARCHIVE, max_entry=100)) == ""
    assert code(data, replace(LOCAL_ARCHIVE, max_entry=99)) == "zip_entry"


def test_all_entries():
    data = zipped({"a": bytes(100), "b": bytes(50)})
    assert code(data, replace(LOCAL_ARCHIVE, max_total=150)) == ""
    assert code(data, replace(LOCAL_ARCHIVE, max_total=149)) == "zip_total"


def test_the_ratio():
    data = zipped({"a": bytes(2 * SMALL)}, zipfile.ZIP_STORED)
    size = len(data.getvalue())
    raw = bytearray(data.getvalue())
    for unpacked, expected in ((100 * size, ""), (100 * size + 1, "zip_ratio")):
        for mark, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):  # the two places that name the size
            struct.pack_into("<L", raw, raw.index(mark) + place, unpacked)
        assert code(io.BytesIO(raw)) == expected


def test_a_ratio_of_little_is_no_bomb():
    assert code(zipped({"a": bytes(SMALL)})) == ""
    assert code(zipped({"a": bytes(SMALL + 1)})) == "zip_ratio"


def test_entries_laid_over_one_another_count_each_time():
    """After Fifield's bomb (WOOT 2019): a list of entries that all are one."""
    data = zipped({"a.png": bytes(200_000)}, zipfile.ZIP_STORED).getvalue()
    start, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    listing = data[start:end] * 200
    tail = bytearray(data[end:])
    struct.pack_into("<HHL", tail, 8, 200, 200, len(listing))
    assert code(io.BytesIO(data[:start] + listing + bytes(tail))) == "zip_ratio"


# ------------------------------------------------------------------ what is no plain file


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices(kind):
    info = zipfile.ZipInfo("a/1.png")
    info.external_attr = (kind | 0o644) << 16
    assert code(named(info, b"/etc/passwd")) == "zip_link"


def test_encryption():
    for bit in (0x1, 0x40 | 0x1, 0x40):
        raw = bytearray(zipped({"a.png": PNG}).getvalue())
        for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            at = raw.index(mark) + place
            struct.pack_into("<H", raw, at, struct.unpack_from("<H", raw, at)[0] | bit)
        assert code(io.BytesIO(raw)) == "zip_encrypted"


@pytest.mark.parametrize("name", ["a/b.zip", "b.TAR", "c.tar.gz", "d.7z", "e.rar", "f.tgz"])
def test_archives_inside(name):
    assert code(zipped({"a.png": PNG, name: b"PK"})) == "zip_nested"


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packed_otherwise(kind):
    assert code(zipped({"a.png": PNG}, kind)) == "zip_compression"


def test_one_name_twice():
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("d/a.png", PNG)
            archive.writestr("d/a.png", b"other")
    assert code(data) == "zip_twice"
    assert code(zipped({"d/a.png": PNG, "d\\a.png": b""})) == "zip_twice"


@pytest.mark.parametrize("data", [b"", b"PK", PNG, b"PK\5\6" + bytes(17), b"PK\5\6" + b"\xff" * 18])
def test_what_is_no_zip(data):
    assert code(io.BytesIO(data)) in ("zip_damaged", "zip_directory")


# ------------------------------------------------------------------ names


def test_a_zip_is_scanned_as_a_folder_is():
    names = ["cat/1.png", "dog/2.JPG", "dog/photo", "cat/.hidden.png", "__MACOSX/cat/._1.png"]
    files = dict.fromkeys([*names, ".git/x.png"], PNG) | {"labels.csv": b"", "Thumbs.db": b""}
    with open_zip(zipped(files), "x.zip") as archive:
        found, entries = scan_zip(archive, "x.zip")
    assert found.images == ["cat/1.png", "dog/2.JPG", "dog/photo"]
    assert found.others == ["labels.csv"] and found.beside == 0
    assert found.folders == ["cat", "dog"]
    assert set(entries) == {*found.images, *found.others}


@pytest.mark.parametrize(
    "name", ["../a.png", "/a.png", "a/../../b.png", "a//b.png", "..\\a.png", "./a.png"]
)
def test_a_name_that_leads_elsewhere_is_skipped(name):
    info = zipfile.ZipInfo("x")
    info.filename = name
    with open_zip(named(info), "x.zip") as archive:
        found, entries = scan_zip(archive, "x.zip")
    assert [(file.path, file.code) for file in found.skipped] == [
        (name.replace("\\", "/"), "not_a_file")
    ]
    assert not found.images and not entries


@pytest.mark.parametrize(
    "names, expected",
    [
        (["photos/cat/1.png", "photos/dog/2.png"], ["cat/1.png", "dog/2.png"]),
        (["cat/1.png", "dog/2.png"], ["cat/1.png", "dog/2.png"]),
        (["train/cat/1.png", "train/dog/2.png"], ["train/cat/1.png", "train/dog/2.png"]),
        (["photos/cat/1.png", "__MACOSX/photos/._1.png"], ["cat/1.png"]),
        (["1.png"], ["1.png"]),
        (["a/b/1.png"], ["b/1.png"]),
    ],
)
def test_the_one_folder_that_all_lies_in_is_not_a_class(names, expected):
    assert pictures(dict.fromkeys(names, PNG)) == expected


@pytest.mark.parametrize(
    "name", ["猫/1.png", "Straße/ü.png", unicodedata.normalize("NFD", "é/1.png")]
)
def test_names_in_any_language_with_and_without_the_flag(name):
    with_flag = zipped({name: PNG, "b/2.png": PNG})
    raw = bytearray(with_flag.getvalue())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # as macOS writes it
        at = raw.index(mark) + place
        struct.pack_into("<H", raw, at, struct.unpack_from("<H", raw, at)[0] & ~0x800)
    for data in (with_flag, io.BytesIO(raw)):
        with open_zip(data, "x.zip") as archive:
            found, entries = scan_zip(archive, "x.zip")
            assert found.images == sorted([name, "b/2.png"])
            assert archive.read(entries[name]) == PNG


def test_names_of_dos_stay_what_they_are():
    info = zipfile.ZipInfo("x")
    data = named(info, PNG).getvalue().replace(b"x", b"\x81", 1)
    data = data[:-60] + data[-60:].replace(b"x", b"\x81")
    with open_zip(io.BytesIO(data), "x.zip") as archive:
        assert scan_zip(archive, "x.zip")[0].images == ["ü"]


# ------------------------------------------------------------------ mutants


@given(st.data())
@settings(max_examples=500)
def test_a_mutant_is_read_or_refused(data):
    whole = zipped({"a/1.png": PNG, "b/2.png": PNG, "labels.csv": b"id,label\n"}).getvalue()
    place = data.draw(st.integers(0, len(whole) - 1))
    mutant = whole[:place] + data.draw(st.binary(max_size=6)) + whole[place + 1 :]
    try:
        with open_zip(io.BytesIO(mutant), "x.zip") as archive:
            found, entries = scan_zip(archive, "x.zip")
            for name in found.images:
                try:
                    assert len(archive.read(entries[name])) < 10 * len(PNG)
                except DAMAGE:
                    continue
    except DataError as error:
        assert isinstance(error, ArchiveError) and error.code in ARCHIVE_ERROR_CODES
