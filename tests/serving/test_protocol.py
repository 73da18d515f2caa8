"""Deadlines and damaged HTTP: R9 (fuzz), R10 (lying bodies) and R11 (slow clients)."""

import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from servers import image, read_all, running

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


# ------------------------------------------------------------------ R9

LINES = [
    b"GET / HTTP/9.9",
    b"GET  / HTTP/1.1",
    b"GET /\x00 HTTP/1.1",
    b"G\xe9T / HTTP/1.1",
    b"GET / HTTP/1.1 x",
    b"\x16\x03\x01\x02\x00",
    b"",
    b"GET http://evil/ HTTP/1.1",
    b"GET //evil/%2e%2e/ HTTP/1.1",
    b"GET /%ff%fe%00 HTTP/1.1",
    b"CONNECT x:1 HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"OPTIONS * HTTP/1.1",
    b"GET / HTTP/0.9",
    b"A" * 5000 + b" / HTTP/1.1",
    b"GET /" + b"a" * 20000 + b" HTTP/1.1",
    b"TRACE /predict HTTP/1.1",
    b"GET /info?model=%00%ff HTTP/1.1",
    b"POST /predict?top_k=%ff HTTP/1.1",
]
HEADERS = [
    b"Host: a\r\nHost: b",
    b"Content-Length: -1",
    b"Content-Length: 1e9",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4",
    b"Transfer-Encoding: xchunked",
    b"X: \x00",
    b": x",
    b"X",
    b" folded",
    b"X: a\r\n b",
    b"Expect: 100-continue",
    b"Upgrade: websocket\r\nConnection: upgrade",
    b"X: " + b"y" * 20000,
    b"Content-Type: multipart/form-data; boundary=" + b"b" * 500,
    b"Content-Type: multipart/form-data",
    b"Content-Type: \xff\xfe",
    b"Origin: http://[",
    b"Host: [::1",
    b"Authorization: Bearer \xff",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
]
BODIES = [
    b"",
    b"0\r\n\r\n",
    b"zz\r\n",
    b"5\r\nabc",
    b"\xff" * 100,
    b"--b\r\n\r\n--b--",
    b"FFFFFFFFFFFFFFFF\r\n",
    image(),
]


def fuzz(server, count, seed):
    chance = random.Random(seed)
    for number in range(count):
        line, body = chance.choice(LINES), chance.choice(BODIES)
        if chance.random() < 0.5:
            route = chance.choice(
                ["predict", "explain", "models", "info", "docs", "static/x", "health"]
            )
            line = (
                chance.choice([b"GET", b"POST", b"HEAD", b"PUT"])
                + b" /"
                + route.encode()
                + b" HTTP/1.1"
            )
        headers = chance.sample(HEADERS, chance.randint(0, 3)) + [b"Connection: close"]
        if chance.random() < 0.7:
            headers.insert(0, b"Host: localhost")
        request = line + b"\r\n" + b"\r\n".join(headers) + b"\r\n\r\n" + body
        if chance.random() < 0.2:
            request = request[: chance.randrange(len(request))]
        with socket.create_connection(server.address, timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = read_all(connection)
        assert status_of(answer) < 500 or status_of(answer) in (501, 505), (request, answer)
        if number % 1000 == 999 or number == count - 1:
            assert server.client.get("/health").status_code == 200
    assert "Traceback" not in server.log.read_text()


def test_r9_damaged_requests(server):
    fuzz(server, 400, seed=0)


def test_a_head_request_with_a_damaged_body_is_answered_without_a_body(server):
    head = b"HEAD /models HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = server.raw(head + b"--b\r\n")
    assert status_of(answer) == 400 and answer.endswith(b"\r\n\r\n")
    assert "Traceback" not in server.log.read_text()


@pytest.mark.long
def test_r9_ten_thousand_damaged_requests(server):
    fuzz(server, 10_000, seed=1)


# ------------------------------------------------------------------ R10


def chunked(count: int) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * count + b"0\r\n\r\n"


def declared(size: int, sent: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % size + sent


def parts(count: int) -> bytes:
    body = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n' * count + b"--b--\r\n"
    return multipart(body)


def multipart(body: bytes) -> bytes:
    head = HEAD.replace(b"image/png", b"multipart/form-data; boundary=b")
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def no_file_name(size: int) -> bytes:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        + bytes(size)
        + b"\r\n--b--\r\n"
    )
    return multipart(body)


def lies(scale: int):
    return {
        "10 GiB declared": (declared(10 << 30, b"x"), 413),
        "chunks of a byte": (chunked(100_000 // scale), 400),
        "no file name": (no_file_name(100_000_000 // scale), 413),
        "2,000 parts": (parts(2000), 413),
        "more than a request may have": (chunked_large(), 413),
    }


def chunked_large() -> bytes:
    chunk = b"%x\r\n" % (1 << 20) + bytes(1 << 20) + b"\r\n"
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 65 + b"0\r\n\r\n"


def send_lies(server, scale, seconds):
    server.predict(image())
    before = server.rss()
    for name, (request, expected) in lies(scale).items():
        start = time.monotonic()
        with socket.create_connection(server.address, timeout=10) as connection:
            sender = threading.Thread(target=_send, args=(connection, request))
            sender.start()
            answer = connection.recv(65536)
            took = time.monotonic() - start
            connection.shutdown(socket.SHUT_RDWR)
            sender.join()
        assert status_of(answer) == expected, (name, answer)
        assert took < seconds, name
    assert server.rss() - before < 64 << 20
    assert server.status()["upload_bytes"] == 0


def _send(connection, request):
    with suppress(OSError):
        connection.sendall(request)


def test_r10_lying_bodies(server):
    send_lies(server, 10, 10)


@pytest.mark.long
def test_r10_at_full_size(server):
    send_lies(server, 1, 2)


def test_an_answer_reaches_a_client_that_still_sends(server):
    """httpx sends all of a body before it reads: the rest is read and dropped for a while."""
    answer = server.client.post(
        "/predict",
        content=(bytes(1 << 16) for _ in range(1100)),
        headers={"content-type": "image/png"},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


# ------------------------------------------------------------------ R11


LIMIT = 1.0  # seconds


@pytest.fixture(scope="module")
def strict(exported, tmp_path_factory):
    """A server with short deadlines and few connections."""
    flags = {f"{kind}-seconds": LIMIT for kind in ("header", "body", "write")}
    flags |= {"connections-per-address": 40, "idle-seconds": 1}
    with running(tmp_path_factory.mktemp("strict"), exported, **flags) as one:
        yield one


def is_closed(connection: socket.socket) -> bool:
    """Sends another byte, and looks whether the server has answered or closed the connection."""
    try:
        connection.send(b"x")
        connection.recv(4096)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def slow_clients(server, *, heads, bodies, readers, limit, seconds):
    """Slow clients beside an honest one, whose times before and meanwhile are returned."""
    with ExitStack() as stack:

        def honest() -> float:
            start = time.perf_counter()
            answer = server.client.post("/predict", files={"file": image()})
            assert answer.status_code == 200
            return time.perf_counter() - start

        alone = [honest() for _ in range(60)][10:]

        def connect(first: bytes, receive: int = 0) -> socket.socket:
            one = stack.enter_context(socket.socket())
            if receive:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
            one.connect(server.address)
            one.settimeout(0)
            one.sendall(first)
            return one

        started = time.monotonic()
        trickling = [
            connect(b"POST /predict HTTP/1.1\r\nHost: localhost\r\n") for _ in range(heads)
        ]
        trickling += [connect(declared(5000, b"x")) for _ in range(bodies)]
        pipelined = b"GET /static/page.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 150
        reading = [connect(pipelined, receive=4096) for _ in range(readers)]
        closed: dict[socket.socket, float] = {}
        meanwhile, still_open = [], 2
        while still_open > 1 or len(closed) < len(trickling):
            assert time.monotonic() - started < seconds, (still_open, closed)
            meanwhile.append(honest())
            for one in set(trickling) - closed.keys():
                if is_closed(one):
                    closed[one] = time.monotonic() - started
            still_open = len(server.process_connections())
        assert max(closed.values()) < limit + 2  # and none is open but the honest client's
        assert reading
        return alone, meanwhile


def test_r11_slow_clients_are_closed(strict):
    slow_clients(strict, heads=20, bodies=5, readers=5, limit=LIMIT, seconds=30)


@pytest.mark.long
def test_r11_at_full_size(exported, tmp_path):
    flags = {f"{kind}-seconds": 10 for kind in ("header", "body", "write")}
    with running(tmp_path, exported, **flags, decoders=None) as server:
        alone, meanwhile = slow_clients(
            server, heads=200, bodies=50, readers=50, limit=10, seconds=90
        )

    def p99(times):
        return sorted(times)[int(0.99 * len(times))]

    print(f"honest p99: {1000 * p99(alone):.1f} ms alone, {1000 * p99(meanwhile):.1f} ms meanwhile")
    assert p99(meanwhile) <= 2 * p99(alone)


def test_a_client_that_pauses_is_told_why(strict):
    chunk = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx"
    begun = (b"POST /pre", HEAD, declared(10, b"x"), chunk)
    with ThreadPoolExecutor() as pool:
        start = time.monotonic()
        silent = pool.submit(strict.raw, b"")
        for first, answer in zip(begun, pool.map(strict.raw, begun), strict=True):
            assert status_of(answer) == 408 and b'"timeout"' in answer, first
            assert time.monotonic() - start > 0.9 * LIMIT
        assert silent.result() == b""  # who says nothing is told nothing
    for pause in (0, 0.6 * LIMIT, 0.6 * LIMIT):  # a connection that is kept is not slow
        time.sleep(pause)
        assert strict.predict(image()).status_code == 200


def test_connections_are_bounded(strict):
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection(strict.address))
        answer = strict.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status_of(answer) == 503 and b"retry-after: 1" in answer.lower()
    deadline = time.monotonic() + 5
    while strict.process_connections() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert strict.client.get("/health").status_code == 200


@pytest.mark.long
def test_connections_of_all_addresses_are_bounded(exported, tmp_path):
    with running(tmp_path, exported) as server, ExitStack() as stack:
        for _ in range(512):
            stack.enter_context(socket.create_connection(server.address))
        assert status_of(server.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")) == 503
