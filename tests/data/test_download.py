"""Downloads over loopback: continued, locked, checked, whole or not there."""

import hashlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from seewhy.data import download as module
from seewhy.data.download import Download, download
from seewhy.errors import ChecksumError, DataError
from seewhy.events import Event, Progress

DATA = np.random.default_rng(0).bytes(300_000)


@dataclass
class Server:
    """What the server gives, how it behaves, and what it was asked for."""

    data: bytes = DATA
    ranges: bool = True
    break_after: int | None = None  # bytes of the first answer
    status: int = 200
    shift: int = 0  # a partial answer that starts elsewhere
    asked: list[str | None] = field(default_factory=list)
    url: str = ""
    seconds: float = 0  # until it answers

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        time.sleep(self.seconds)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.ranges else 0
        if self.status != 200:
            handler.send_error(self.status)
            return
        if start >= len(self.data) and start:
            handler.send_error(416)
            return
        body = self.data[start:]
        handler.send_response(206 if wanted and self.ranges else 200)
        if wanted and self.ranges:
            place = f"bytes {start + self.shift}-{len(self.data) - 1}/{len(self.data)}"
            handler.send_header("Content-Range", place)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if self.break_after is not None:
            body, self.break_after = body[: self.break_after], None
        handler.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        state.url = f"http://127.0.0.1:{listener.server_port}/file.bin"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        listener.shutdown()
        thread.join()


def what(server: Server, data: bytes = DATA) -> Download:
    return Download(server.url, len(data), hashlib.sha256(data).hexdigest())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once(server, tmp_path):
    seen: list[Event] = []
    path = download(what(server), tmp_path / "new", seen.append)
    assert path.read_bytes() == DATA and path == tmp_path / "new/file.bin"
    assert seen[-1] == Progress("downloading", len(DATA), len(DATA))
    assert seen == sorted(seen, key=lambda event: event.done)
    assert download(what(server), tmp_path / "new") == path and server.asked == [None]
    assert names(tmp_path / "new") == ["file.bin", "file.bin.lock"]


def test_a_broken_download_is_continued(server, tmp_path):
    server.break_after = 100_000
    with pytest.raises(DataError, match=r"the download will continue.* put it at .*file\.bin"):
        download(what(server), tmp_path)
    assert names(tmp_path) == ["file.bin.lock", "file.bin.part"]
    kept = (tmp_path / "file.bin.part").stat().st_size
    assert 0 < kept <= 100_000
    assert download(what(server), tmp_path).read_bytes() == DATA
    assert server.asked == [None, f"bytes={kept}-"]


def test_a_server_that_cannot_continue_starts_anew(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(DATA[:1000])
    server.ranges = False
    assert download(what(server), tmp_path).read_bytes() == DATA
    assert server.asked == ["bytes=1000-"]


def test_an_answer_that_continues_elsewhere_is_not_joined(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(DATA[:1000])
    server.shift = 5
    with pytest.raises(DataError):  # it gives less than the whole
        download(what(server), tmp_path)
    server.shift = 0
    assert download(what(server), tmp_path).read_bytes() == DATA


def test_a_part_that_is_not_of_this_file_is_thrown_away(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    assert download(what(server), tmp_path).read_bytes() == DATA
    assert server.asked == ["bytes=1000-", None]


def test_a_part_as_large_as_the_file_is_checked_not_continued(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(DATA)
    assert download(what(server), tmp_path).read_bytes() == DATA and server.asked == []
    (tmp_path / "file.bin").unlink()
    (tmp_path / "file.bin.part").write_bytes(DATA + b"more")
    assert download(what(server), tmp_path).read_bytes() == DATA and server.asked == [None]


def test_a_range_that_is_refused_starts_anew(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"x" * 250_000)
    server.data = DATA[:200_000]
    assert download(what(server, server.data), tmp_path).read_bytes() == server.data
    (tmp_path / "file.bin").unlink()
    (tmp_path / "file.bin.part").write_bytes(b"x" * 250_000)
    with pytest.raises(DataError):  # 416, then all there is, which is less than was promised
        download(what(server), tmp_path)
    assert server.asked[-2:] == ["bytes=250000-", None]


def test_the_wrong_file_is_tried_twice_and_removed(server, tmp_path):
    server.data = DATA[:-1] + b"x"
    wanted, given = hashlib.sha256(DATA).hexdigest(), hashlib.sha256(server.data).hexdigest()
    with pytest.raises(ChecksumError) as caught:
        download(what(server), tmp_path)
    assert wanted in str(caught.value) and given in str(caught.value)
    assert server.asked == [None, None] and names(tmp_path) == ["file.bin.lock"]
    assert caught.value.exit_code == 5


def test_more_than_was_promised_is_not_taken(server, tmp_path):
    server.data = DATA * 3
    path = download(what(server), tmp_path)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_answer_that_is_an_error_says_where_to_put_the_file(server, tmp_path, status):
    server.status = status
    with pytest.raises(DataError, match=f"the answer was {status}.*put it at {tmp_path}/file.bin"):
        download(what(server), tmp_path)


def test_without_a_network_it_says_where_to_put_the_file(tmp_path):
    nowhere = Download("http://127.0.0.1:9/file.bin", 10, "0" * 64)
    with pytest.raises(
        DataError, match=f"could not be downloaded: .*put it at {tmp_path}/file.bin"
    ):
        download(nowhere, tmp_path)


def test_a_silent_server_is_left(tmp_path, monkeypatch):
    import socket

    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.bin"
        with pytest.raises(DataError, match="timed out"):
            download(Download(url, 10, "0" * 64), tmp_path)


def test_space_is_asked_for_first(server, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "require_space", lambda *arguments: asked.append(arguments))
    download(what(server), tmp_path)
    assert asked == [(tmp_path, len(DATA), "file.bin")]


FETCH = """
import sys
from pathlib import Path
from seewhy.data.download import Download, download
url, size, sha256, folder = sys.argv[1:]
print(len(download(Download(url, int(size), sha256), Path(folder)).read_bytes()))
"""


def test_processes_that_ask_at_once_make_one_download(server, tmp_path):
    server.seconds = 1.5
    command = [sys.executable, "-c", FETCH, *map(str, what(server)), str(tmp_path)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [child.communicate(timeout=60)[0] for child in children] == [f"{len(DATA)}\n"] * 3
    assert server.asked == [None]
