"""The client against a small server that answers as it is told to."""

import asyncio
import io
import json
import re
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.errors import ServerError, UsageError
from seewhy.serving.client import Candidate

BUSY = (429, {"Retry-After": "0.2"}, {"error": {"code": "busy", "message": "wait"}})


class Server:
    """Answers each request by the next entry of `script`, and after it properly; keeps what it was sent.

    An entry is (status, headers, body), "drop" to close the connection, or seconds to sleep.
    """

    def __init__(self, *script):
        self.script, self.requests, self.times = list(script), [], []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        names = re.findall(rb'name="file"; filename="([^"]*)"', body)
        self.requests.append((request.path, dict(request.headers), names, body))
        self.times.append(time.monotonic())
        entry = self.script.pop(0) if self.script else None
        if isinstance(entry, float):
            time.sleep(entry)
            entry = None
        if entry == "drop":
            request.close_connection = True
            return
        status, headers, message = entry or (200, {}, answers(names))
        content = message if isinstance(message, bytes) else json.dumps(message).encode()
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        with suppress(OSError):  # the client may have left
            request.wfile.write(content)

    def images(self):
        return [len(names) for _, _, names, _ in self.requests]


def answers(names):
    results = []
    for name in names:
        if b"bad" in name:
            error = {"code": "undecodable", "message": "damaged"}
            results.append({"file": name.decode(), "status": "error", "error": error})
            continue
        top = [{"label": "cat", "confidence": 0.9}, {"label": "dog", "confidence": 0.1}]
        results.append(
            {"file": name.decode(), "status": "ok", **top[0], "answer": "not sure", "top": top}
        )
    model = {"name": "pets", "digest": "d" * 64}
    return {"request_id": "f" * 32, "model": model, "results": results}


@pytest.fixture
def serve():
    servers = []

    def start(*script):
        servers.append(Server(*script))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def test_answers_come_in_the_order_of_the_images(serve, tmp_path):
    server = serve()
    for name in ("b.png", "bad.png", "a.png"):
        (tmp_path / name).write_bytes(name.encode())
    paths = [tmp_path / "b.png", tmp_path / "gone.png", tmp_path / "bad.png", tmp_path / "a.png"]
    with seewhy.Client(server.url, api_key="secret") as client:
        found = client.predict([*paths, b"bytes", tmp_path], model="pets", top_k=2)
    assert [each.file for each in found] == [*map(str, paths), "image 4", str(tmp_path)]
    assert [each.error and each.error.code for each in found] == [
        *(None, "not_found", "undecodable", None, None, "not_a_file")
    ]
    first = found[0]
    assert (first.label, first.confidence, first.answer) == ("cat", 0.9, "not sure")
    assert first.top == (Candidate("cat", 0.9), Candidate("dog", 0.1))
    assert (first.model, first.digest, first.request_id) == ("pets", "d" * 64, "f" * 32)
    path, headers, _, _ = server.requests[0]
    assert path == "/predict?top_k=2&model=pets" and headers["Authorization"] == "Bearer secret"


def test_a_request_has_32_images_and_64_mib_and_a_large_image_is_alone(serve):
    server = serve()
    large, huge, most = b"x" * (9 << 20), b"y" * (11 << 20), b"z" * ((64 << 20) + 1)
    with seewhy.Client(server.url) as client:
        client.predict([b"small"] * 65)
        assert server.images() == [32, 32, 1]
        server.requests.clear()
        found = client.predict([*[large] * 8, huge, b"small", most])
    assert server.images() == [7, 1, 1, 1]
    assert found[-1].error.code == "too_large" and all(each.error is None for each in found[:-1])


def test_it_waits_as_long_as_the_server_says(serve):
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1.5), usegmt=True)
    server = serve(BUSY, (503, {"Retry-After": soon}, {}), "drop")
    with seewhy.Client(server.url) as client:
        assert client.predict(b"image")[0].label == "cat"
    waits = np.diff(server.times)
    assert len(waits) == 3 and waits[0] >= 0.2 and 0.3 < waits[1] < 3 and waits[2] > 0.7


def test_it_gives_up_with_what_the_server_said(serve):
    server = serve(*[BUSY] * 9)
    with seewhy.Client(server.url, retries=1) as client, pytest.raises(ServerError) as raised:
        client.predict(b"image")
    assert len(server.requests) == 2
    assert (raised.value.code, raised.value.status, str(raised.value)) == (
        "busy",
        429,
        "wait (busy)",
    )
    server = serve((503, {"Retry-After": "3600"}, "<html>"))
    with seewhy.Client(server.url) as client, pytest.raises(ServerError, match="503"):
        client.predict(b"image")
    assert len(server.requests) == 1  # it does not wait for an hour


def test_what_is_wrong_with_a_request_is_raised_at_once(serve):
    refused = {"error": {"code": "unauthorized", "message": "an API key is needed"}}
    server = serve(
        (401, {}, refused), (422, {}, {"error": {"code": "invalid", "message": "top_k"}})
    )
    with seewhy.Client(server.url) as client:
        for code in ("unauthorized", "invalid"):
            with pytest.raises(ServerError) as raised:
                client.predict([b"image"])
            assert raised.value.code == code
    assert len(server.requests) == 2
    with pytest.raises(UsageError, match="http"):
        seewhy.Client("localhost:8000")
    with seewhy.Client("http://127.0.0.1:9", retries=0) as client:
        with pytest.raises(ServerError) as raised:
            client.predict(b"image")
        assert raised.value.code == "unreachable" and raised.value.status is None


@pytest.mark.parametrize(
    "page", [b"<html>log in</html>", b"\xff", [], {"error": {}}, {**answers([]), "results": []}]
)
def test_a_success_that_is_no_answer_is_an_error(serve, page):
    server = serve((200, {}, page), (200, {}, page))
    with seewhy.Client(server.url) as client:
        for call in (lambda: client.predict(b"image"), lambda: client.feedback("f" * 32, "cat")):
            with pytest.raises(ServerError, match="answered 200 OK, but not as") as error:
                call()
            assert (error.value.code, error.value.status) == ("http_200", 200)


def test_a_reply_that_cannot_be_unpacked_is_an_error(serve):
    damaged = (200, {"Content-Encoding": "gzip"}, b"no gzip")
    cannot = pytest.raises(ServerError, match="cannot be reached")
    with seewhy.Client(serve(damaged, damaged).url, retries=1) as client, cannot as error:
        client.predict(b"image")
    assert error.value.code == "unreachable"


@pytest.mark.parametrize("url", ["http://[::1", "http://host:abc", "ftp://host", "host:8000"])
def test_what_is_no_address_is_refused(url):
    for kind in (seewhy.Client, seewhy.AsyncClient):
        with pytest.raises(UsageError, match="expected a server's address"):
            kind(url)


def test_a_server_that_hangs_is_left(serve):
    server = serve(0.6)
    with seewhy.Client(server.url, timeout=0.1) as client, pytest.raises(ServerError) as raised:
        client.predict(b"image")
    assert raised.value.code == "timeout" and len(server.requests) == 1


def test_the_only_image_of_a_request_and_a_batch_too_large_hinder_no_other(serve):
    too_large = (413, {}, {"error": {"code": "too_large", "message": "too large"}})
    bad = (422, {}, {"error": {"code": "undecodable", "message": "damaged"}})
    server = serve(too_large, too_large, bad)
    with seewhy.Client(server.url) as client:
        found = client.predict([b"1", b"2", b"3", b"4"])
    assert server.images() == [4, 2, 1, 1, 2]
    assert [each.error and each.error.code for each in found] == ["undecodable", None, None, None]


def pixels(server):
    """The image that was sent last."""
    body = server.requests[-1][3]
    start = body.index(b"\r\n\r\n") + 4
    return Image.open(io.BytesIO(body[start : body.rindex(b"\r\n--")]))


def test_images_in_memory_are_sent_as_they_are_seen(serve):
    server = serve()
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(grey).save(turned := io.BytesIO(), "PNG", exif=exif)
    with seewhy.Client(server.url) as client:
        client.predict(Image.open(turned))
        sent = pixels(server)
        assert np.array_equal(np.asarray(sent), np.rot90(grey, -1)) and not sent.getexif()
        client.predict(grey.astype(np.uint16) * 4000)
        assert pixels(server).mode.startswith("I;16")
        client.predict(Image.new("CMYK", (3, 2)))
        assert pixels(server).mode == "CMYK"
        (wrong,) = client.predict([np.zeros((2, 2, 3), np.uint16)])
        assert wrong.error.code == "unsupported_depth"


def test_many_at_once_without_threads_of_ones_own(serve):
    server = serve(BUSY)

    async def ask():
        async with seewhy.AsyncClient(server.url) as client:
            return await asyncio.gather(*(client.predict([b"image"] * n) for n in (1, 2, 3)))

    assert [len(found) for found in asyncio.run(ask())] == [1, 2, 3]
    assert len(server.requests) == 4
