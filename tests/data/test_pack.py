"""A pack gives back what was put in, or says what is wrong with which image; never anything else."""

import json

import numpy as np
import pytest

from seewhy.config.input_rule import InputRule
from seewhy.data import pack as packs
from seewhy.data.pack import About, Pack, new_pack
from seewhy.data.shards import open_pack
from seewhy.errors import ArchiveError, UsageError

IMAGES = [bytes([number]) * (50 + number) for number in range(9)]
HOSTILE = ["../../etc/passwd", "a\0b", "=1+1", "\udce9", "x" * 4000, "C:\\con", "", "a", "b"]


def about(count, **changed):
    facts = {
        "rule": InputRule(size=8, store=9),
        "raw": False,
        "layout": "folders",
        "classes": ["ant", "bee"],
        "merged": [],
        "ids": HOSTILE[:count],
        "groups": None,
    }
    return About(**facts | changed)


def write(path, images=IMAGES, shard_bytes=None, change=lambda writer: None, **changed):
    with new_pack(path, shard_bytes) as writer:
        for number, data in enumerate(images):
            split = packs.SPLITS[number % 4]
            writer.add(data, bytes([number] * 16), (100, 50 + number), number % 3 - 1, split)
        change(writer)
        writer.finish(about(len(images), **changed), np.array([1, 0, -1]))
    return path


def refusal(path):
    with pytest.raises(ArchiveError) as caught:
        pack = open_pack(path)
        for row in range(len(pack)):
            pack.read(row)
    return caught.value


@pytest.mark.parametrize("shard_bytes", [None, 1, 120])
def test_what_was_packed_is_read(tmp_path, shard_bytes):
    pack = open_pack(write(tmp_path / "x.pack", shard_bytes=shard_bytes))
    assert [pack.read(row) for row in (*range(9), 4, 0)] == [*IMAGES, IMAGES[4], IMAGES[0]]
    assert pack.rows["label"].tolist() == [-1, 1, 0] * 3
    assert pack.rows["split"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert pack.rows["width"].tolist() == [100] * 9 and pack.rows["height"][8] == 58
    assert pack.rows["hash"][3].tobytes() == bytes([3] * 16)
    assert pack.about.ids == HOSTILE and pack.about.rule == InputRule(size=8, store=9)
    files = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) == {None: 1, 1: 10, 120: 6}[shard_bytes]


def test_a_damaged_image_is_named_and_the_others_are_read(tmp_path):
    path = write(tmp_path / "x.pack")
    data = bytearray(path.read_bytes())
    data[len(packs.MAGIC)] ^= 1
    path.write_bytes(data)
    pack = open_pack(path)
    with pytest.raises(ArchiveError, match=r"x.pack: it is damaged.*etc/passwd") as caught:
        pack.read(0)
    assert caught.value.code == "pack_damaged"
    assert pack.read(1) == IMAGES[1]


def test_any_cut_and_any_changed_byte_is_seen(tmp_path):
    whole = write(tmp_path / "x.pack").read_bytes()
    torn = tmp_path / "torn.pack"
    for length in range(0, len(whole), 37):
        torn.write_bytes(whole[:length])
        assert refusal(torn).code in ("pack_damaged", "pack_foreign")
    for place in range(0, len(whole), 41):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        torn.write_bytes(changed)
        assert refusal(torn).code in ("pack_damaged", "pack_foreign", "pack_newer")


@pytest.mark.parametrize(
    "head, code", [(b"PACK\0\0\0\2" + bytes(200), "pack_foreign"), (b"", "pack_foreign")]
)
def test_what_is_no_pack(tmp_path, head, code):
    (tmp_path / "x.pack").write_bytes(head)
    assert refusal(tmp_path / "x.pack").code == code


def test_a_newer_one(tmp_path):
    (tmp_path / "x.pack").write_bytes(packs.MAGIC.replace(b"1", b"2") + bytes(200))
    assert refusal(tmp_path / "x.pack").code == "pack_newer"


@pytest.mark.parametrize(
    "column, value",
    [
        *[("start", 0), ("start", 1 << 62), ("size", 0), ("size", 1 << 31)],
        *[("label", 2), ("label", -2), ("split", 9)],
    ],
)
def test_an_index_that_leads_elsewhere_is_refused(tmp_path, column, value):
    with new_pack(tmp_path / "x.pack") as writer:
        for data in IMAGES:
            writer.add(data, bytes(16), (9, 9), 0, "")
        np.frombuffer(writer._rows, packs.ROW)[column][3] = value
        writer.finish(about(9), np.array([0, -2, 2] if value == -2 else [0, 1, 2]))
    assert "contradicts itself" in str(refusal(tmp_path / "x.pack"))


@pytest.mark.parametrize(
    "changed",
    [
        *[{"ids": ["a"]}, {"ids": [1] * 9}, {"groups": ["a"]}, {"classes": None}, {"merged": 3}],
        *[{"corrections": []}, {"raw": True}, {"shards": [{"bytes": "x"}]}],
    ],
)
def test_facts_of_another_kind_are_refused(tmp_path, changed):
    assert refusal(write(tmp_path / "x.pack", **changed)).code == "pack_damaged"


def test_a_missing_or_cut_file_of_images_is_named(tmp_path):
    path = write(tmp_path / "x.pack", shard_bytes=120)
    shard = path / "00001.shard"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "00001.shard has" in str(refusal(path))
    shard.unlink()
    assert "00001.shard is missing" in str(refusal(path))


@pytest.mark.parametrize("shard_bytes", [None, 120])
def test_a_failed_writing_leaves_nothing(tmp_path, shard_bytes):
    def fail(writer):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "x.pack", shard_bytes=shard_bytes, change=fail)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_removed(tmp_path):
    left = tmp_path / ".[x].pack.999999999.tmp"
    left.write_bytes(b"half")
    of_shards = tmp_path / ".[x].pack.999999998.tmp"
    of_shards.mkdir()
    (of_shards / "00000.shard").write_bytes(b"half")
    write(tmp_path / "[x].pack")
    assert [path.name for path in tmp_path.iterdir()] == ["[x].pack"]


@pytest.mark.parametrize("shard_bytes", [None, 120])
def test_nothing_is_overwritten_even_if_it_was_made_meanwhile(tmp_path, shard_bytes):
    path = tmp_path / "x.pack"
    with pytest.raises(UsageError, match="already exists"):
        write(path, shard_bytes=shard_bytes, change=lambda writer: path.write_text("mine"))
    assert path.read_text() == "mine"
    with pytest.raises(UsageError, match="already exists"):
        write(path, shard_bytes=shard_bytes)


def test_threads_read_while_files_are_closed(tmp_path, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr("seewhy.data.shards.MOST_OPEN", 1)
    pack = open_pack(write(tmp_path / "x.pack", shard_bytes=1))
    with ThreadPoolExecutor(8) as pool:
        rows = [number % 9 for number in range(2000)]
        assert list(pool.map(pack.read, rows)) == [IMAGES[row] for row in rows]


def test_the_index_is_json_that_others_can_read(tmp_path):
    data = write(tmp_path / "x.pack").read_bytes()
    start, count, length, _, _ = packs._END.unpack(data[-packs._END.size :])
    at = start + count * packs.ROW.itemsize
    facts = json.loads(data[at : at + length])
    assert facts["classes"] == ["ant", "bee"] and facts["rule"]["store"] == 9
    assert isinstance(open_pack(tmp_path / "x.pack"), Pack)
