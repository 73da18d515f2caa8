"""A pack at an address: its files come when they are needed, and no more are kept than the limit allows."""

import http.server
import threading
from functools import partial

import numpy as np
import pytest
from data.test_pack import IMAGES, write

from seewhy.config.data import DataConfig
from seewhy.data import list_data
from seewhy.data.cache_sets import fetched_files as fetched
from seewhy.data.cache_sets import remove_cached
from seewhy.data.shards import open_pack
from seewhy.errors import ArchiveError, ChecksumError, DataError


@pytest.fixture
def address(tmp_path):
    """The address of a folder on this machine, and the paths that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_come_when_they_are_needed(tmp_path, home, address):
    write(tmp_path / "x.pack", shard_bytes=120)
    pack = open_pack(f"{address[0]}/x.pack/")
    assert address[1] == ["/x.pack/index.pack"]
    assert pack.read(0) == IMAGES[0] and pack.read(1) == IMAGES[1]
    assert address[1][1:] == ["/x.pack/00000.shard"]
    assert [pack.read(row) for row in range(9)] == IMAGES
    again = open_pack(f"{address[0]}/x.pack")
    assert [again.read(row) for row in range(9)] == IMAGES
    assert len(address[1]) == 1 + 5 + 1
    remove_cached()
    assert not list(fetched())


def test_nothing_but_the_index_is_fetched_to_list_a_pack(tmp_path, home, address):
    write(tmp_path / "x.pack", shard_bytes=120)
    listed = list_data(f"{address[0]}/x.pack", DataConfig())
    assert listed.shorter_side == 9 and address[1] == ["/x.pack/index.pack"]


def test_an_address_may_be_a_slow_folder(tmp_path, home):
    pack = open_pack(write(tmp_path / "x.pack", shard_bytes=120).as_uri())
    assert [pack.read(row) for row in range(9)] == IMAGES and len(list(fetched())) == 5


def test_the_cache_keeps_those_used_last(tmp_path, home, monkeypatch):
    monkeypatch.setenv("SEEWHY_CACHE_GB", "250e-9")
    monkeypatch.setattr("seewhy.data.shards.MOST_OPEN", 1)
    pack = open_pack(write(tmp_path / "x.pack", shard_bytes=120).as_uri())
    for row in np.random.default_rng(0).integers(0, 9, 60).tolist():
        assert pack.read(row) == IMAGES[row]
        assert sum(file.stat().st_size for file in fetched()) <= 250


def test_a_file_that_was_changed_is_not_used(tmp_path, home):
    path = write(tmp_path / "x.pack", shard_bytes=120)
    pack = open_pack(path.as_uri())
    (path / "00000.shard").write_bytes(bytes((path / "00000.shard").stat().st_size))
    with pytest.raises(ChecksumError, match=r"00000\.shard"):
        pack.read(0)


def test_no_pack_there(tmp_path, home, address):
    with pytest.raises(DataError, match=r"no pack at http.*--shard-bytes"):
        open_pack(f"{address[0]}/y.pack")
    (tmp_path / "y.pack").mkdir()
    (tmp_path / "y.pack" / "index.pack").write_bytes(b"<html>")
    with pytest.raises(ArchiveError, match="no pack"):
        open_pack(f"{address[0]}/y.pack")
