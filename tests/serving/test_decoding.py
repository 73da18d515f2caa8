"""Processes that decode: R4 (bombs), R16 (killed processes), deadlines, memory, and crash loops."""

import asyncio
import io
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from servers import encoded, image, memory, running

from seewhy.config.input_rule import InputRule
from seewhy.data.images.decode import read
from seewhy.errors import ImageError
from seewhy.serving import decoding
from seewhy.serving.decoder import ANSWER, READY
from seewhy.serving.decoding import Decoders
from seewhy.serving.settings import ServeSettings

RULE = InputRule(size=16, store=18)


def decode_with(*images, crash=None, between=None, **settings):
    """What a pool of processes makes of images, in order: pixels or an error's code."""

    async def run():
        decoders = Decoders(ServeSettings(decoders=1, **settings), crash or (lambda: None))
        try:
            await decoders.start()
            return [await one(decoders, data) for data in images]
        finally:
            await decoders.close()

    async def one(decoders, data):
        if between:
            between(decoders)
        try:
            return (await decoders.decode(data, RULE)).pixels
        except ImageError as error:
            return error.code

    return asyncio.run(run())


def test_pixels_are_those_of_every_other_way():
    wide = encoded(np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8), "JPEG")
    for data, pixels in zip((image(), wide), decode_with(image(), wide), strict=True):
        assert np.array_equal(pixels, read(data, RULE))


def test_files_of_the_working_directory_are_not_imported(tmp_path, monkeypatch):
    for name in ("seewhy", "numpy", "PIL", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    (pixels,) = decode_with(image())
    assert np.array_equal(pixels, read(image(), RULE))


def test_a_slow_image_ends_its_process_and_not_the_next():
    slow = encoded(np.zeros((4900, 5000, 3), np.uint8), "WEBP", lossless=True, method=0)
    results = decode_with(slow, image(), decode_seconds=0.05, decode_memory=2 << 30)
    assert results[0] == "decode_timeout"
    # The next has a process of its own, which may need longer than this limit on a busy machine.
    assert isinstance(results[1], np.ndarray) or results[1] == "decode_timeout"


def test_a_process_starts_where_its_limit_is_refused():
    """By a lower one, as set here, and by macOS."""
    ours, theirs = socket.socketpair()
    limits = map(str, (1 << 20, 1 << 20, 1 << 10, 2 << 30))
    command = (sys.executable, "-m", "seewhy.serving.decoder", *limits)
    limited = ("bash", "-c", 'ulimit -v 1000000; exec "$@"', "-", *command)
    with ours, theirs, subprocess.Popen(limited, stdin=theirs) as process:
        theirs.close()
        assert ours.recv(ANSWER.size) == ANSWER.pack(READY, 0)
        ours.close()
        assert process.wait() == 0


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no such limit")
def test_memory_is_bounded():
    large = encoded(np.zeros((4900, 5000, 4), np.uint8), "PNG", compress_level=1)
    (result,) = decode_with(large, decode_memory=300 << 20, decode_seconds=60)
    assert result in ("too_many_pixels", "undecodable")


def test_a_killed_process_costs_no_image():
    def kill(decoders):
        for pid in decoders.processes:
            os.kill(pid, signal.SIGKILL)

    results = decode_with(image(), image(1), between=kill)
    assert all(isinstance(result, np.ndarray) for result in results)


def test_an_image_that_ends_every_process_is_refused(monkeypatch):
    async def run():
        decoders = Decoders(ServeSettings(decoders=1), lambda: None)
        await decoders.start()

        async def die(self, data, rule):
            self.kill()
            raise asyncio.IncompleteReadError(b"", 1)

        monkeypatch.setattr(decoding._Worker, "ask", die)
        with pytest.raises(ImageError) as error:
            await decoders.decode(image(), RULE)
        await decoders.close()
        return error.value.code, decoders.replaced

    assert asyncio.run(run()) == ("undecodable", 2)


def test_processes_that_never_start_are_a_crash_loop(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    loops = []

    async def run():
        decoders = Decoders(ServeSettings(decoders=1), lambda: loops.append(time.monotonic()))
        await decoders.start()
        await decoders.close()

    asyncio.run(run())
    assert len(loops) == 1


# ------------------------------------------------------------------ R4


def png(width: int, height: int, bits: int = 8, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG that says it has so many pixels, and has few bytes of them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + check

    head = struct.pack(">II5B", width, height, bits, 0, 0, 0, 0)
    data = zlib.compress(bytes(1 << 16))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def bombs() -> dict[str, tuple[bytes, set[str]]]:
    too_many, damaged = {"too_many_pixels"}, {"undecodable"}
    sides = {"25.1": 5010, "50": 7072, "89": 9434, "179": 13380, "400": 20000}
    named = {f"{size} MP": (png(side, side), too_many) for size, side in sides.items()}
    named["1-bit 400 MP"] = png(20000, 20000, 1), too_many
    text = PngImagePlugin.PngInfo()
    text.add_text("x", "y" * (2 << 20), zip=True)
    sink = io.BytesIO()
    Image.new("L", (9, 9)).save(sink, "PNG", pnginfo=text)
    named["text"] = sink.getvalue(), damaged
    frame = encoded(np.zeros((8, 8), np.uint8), "GIF")
    start = frame.index(b",")
    named["5,000 frames"] = frame[:start] + frame[start:-1] * 5000 + b";", {"ok"}
    directory = struct.pack("<H", 1) + struct.pack("<HHII", 256, 3, 1, 1)
    chain = b"".join(
        directory + struct.pack("<I", 8 + 18 * (number + 1)) for number in range(100_000)
    )
    named["100,000 directories"] = b"II*\0\x08\0\0\0" + chain, damaged
    return named


def test_r4_bombs(server):
    server.predict(image())
    before = server.rss()
    pids = server.status()["decoders"]
    grown = {pid: memory(pid) for pid in pids}
    for name, (data, codes) in bombs().items():
        start = time.monotonic()
        answer = server.predict(data)
        took = time.monotonic() - start
        code = "ok" if answer.status_code == 200 else answer.json()["error"]["code"]
        assert code in codes, (name, answer.text)
        assert took < 2, (name, took)
    assert server.rss() - before < 100 << 20
    assert server.status()["decoders"] == pids
    assert all(memory(pid) - size < 100 << 20 for pid, size in grown.items())


@pytest.mark.long
def test_r4_times(exported, tmp_path):
    """Refused from the header in 50 ms; images beside them wait no longer than without."""
    with running(tmp_path, exported, decoders=None) as server:

        def times(data, count):
            found = []
            for _ in range(count):
                start = time.perf_counter()
                server.predict(data)
                found.append(time.perf_counter() - start)
            return sorted(found)

        times(image(), 100)
        alone = times(image(), 500)
        for name, (data, codes) in bombs().items():
            if codes == {"too_many_pixels"}:
                median = times(data, 20)[10]
                print(f"{name}: {1000 * median:.1f} ms")
                assert median < 0.05, name
        stop = threading.Event()

        def throw():
            with server_client(server) as client:
                while not stop.is_set():
                    for data, _ in bombs().values():
                        client.post("/predict", files={"file": data})

        thread = threading.Thread(target=throw)
        thread.start()
        beside = times(image(), 500)
        stop.set()
        thread.join()
        print(f"p99 alone {1000 * alone[495]:.1f} ms, beside bombs {1000 * beside[495]:.1f} ms")


def server_client(server):
    import httpx

    return httpx.Client(base_url=server.url, timeout=60, verify=False)


# ------------------------------------------------------------------ R16


def test_r16_an_idle_process_that_is_killed_is_replaced_without_a_request(server):
    server.predict(image())
    deadline = time.monotonic() + 120
    while len(server.status()["decoders"]) < len(os.sched_getaffinity(0)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    before = server.status()["decoders"]
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    while len(set(server.status()["decoders"]) - set(before)) < len(before):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def kill_while_used(server, seconds, every):
    """Kills a process every so often; each failed request has one more try, as a client would do."""
    expected = server.predict(image()).json()["results"]
    stop = time.monotonic() + seconds
    kills = successes = failures = 0
    following = time.monotonic() + every
    while time.monotonic() < stop:
        if time.monotonic() > following:
            following += every
            pids = server.status()["decoders"]
            if pids:
                os.kill(pids[kills % len(pids)], signal.SIGKILL)
                kills += 1
        for _ in range(2):
            answer = server.predict(image())
            if answer.status_code == 200:
                assert answer.json()["results"] == expected
                successes += 1
                break
        else:
            failures += 1
    deadline = time.monotonic() + 120  # other tests are at work
    while len(server.status()["decoders"]) < os.cpu_count() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(server.status()["decoders"]) == len(os.sched_getaffinity(0))
    assert kills and successes > 99 * failures, (successes, failures)
    return kills, successes, failures


def test_r16_killed_processes(server):
    kill_while_used(server, 1.2, 0.4)


@pytest.mark.long
def test_r16_for_two_minutes(exported, tmp_path):
    with running(tmp_path, exported, decoders=None) as server:
        print("kills, successes, failures:", kill_while_used(server, 120, 2))
