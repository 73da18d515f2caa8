"""What is decoded at once is bounded by pixels, over all threads and ways in."""

import os
import platform
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from data.pictures import encoded, noise
from PIL import Image

from seewhy.config.input_rule import InputRule
from seewhy.data.images import at_once, decode
from seewhy.data.images.at_once import decoding

RULE = InputRule(size=4, store=4)


@pytest.fixture
def two_at_once(monkeypatch):
    """Two images of 20x20 may be decoded at once; gives the sums of pixels that were."""
    monkeypatch.setattr(at_once, "PIXELS_PER_CORE", 800)
    monkeypatch.setattr(at_once, "workers", lambda: 1)
    monkeypatch.setattr(at_once, "SMALL", 1)
    highest, now, lock = [0], [0], threading.Lock()
    slow = threading.Event()

    @contextmanager
    def counted(pixels):
        with decoding(pixels):
            with lock:
                now[0] += pixels
                highest.append(now[0])
            slow.wait(0.002)
            try:
                yield
            finally:
                with lock:
                    now[0] -= pixels

    monkeypatch.setattr(decode, "decoding", counted)
    return highest


def large_file(path):
    """A file that is large in bytes, whose header is read before its bytes are."""
    Image.fromarray(noise(20, 20)).save(path, comment=b"x" * 60_000)
    path.write_bytes(path.read_bytes() + bytes(2 << 20))
    return path


def test_threads_wait_for_their_turn(two_at_once, tmp_path):
    path = large_file(tmp_path / "large.jpg")
    data = encoded(noise(20, 20))
    ways = [data, Image.fromarray(noise(20, 20)), noise(20, 20), path, str(path)] * 8
    with ThreadPoolExecutor(16) as pool:
        stored = list(pool.map(lambda image: decode.read(image, RULE), ways))
    assert all(np.array_equal(stored[0], image) for image in stored[:3])
    assert 400 < max(two_at_once) <= 800, "two at once, and never three"


def test_an_image_above_the_limit_is_decoded_alone(two_at_once):
    with ThreadPoolExecutor(8) as pool:
        images = [noise(20, 20), noise(100, 100)] * 8
        list(pool.map(lambda image: decode.read(image, RULE), images))
    assert set(two_at_once) <= {0, 400, 800, 10_000}


def test_a_bad_image_gives_its_turn_back(two_at_once, tmp_path):
    damaged = encoded(noise(20, 20), "JPEG")[:-400]
    (tmp_path / "a.jpg").write_bytes(large_file(tmp_path / "large.jpg").read_bytes()[:60_500])
    for image in [damaged, tmp_path / "a.jpg", np.zeros((20, 20), np.int64)] * 3:
        with pytest.raises(decode.ImageError):
            decode.read(image, RULE)
    assert at_once._at_once == 0
    decode.read(noise(100, 100), RULE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_threads_that_it_has_not(two_at_once):
    with decoding(10_000):
        child = os.fork()
        if not child:
            with decoding(10_000):
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


MEMORY = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import numpy as np
from PIL import Image
from seewhy.config.input_rule import InputRule
from seewhy.data.images import at_once, decode
from seewhy.inference.memory import keep_freed_memory

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

keep_freed_memory()
at_once.PIXELS_PER_CORE, at_once.LARGE = 1, int(sys.argv[1])
image, rule = np.zeros((2_000, 3_000), np.uint8), InputRule(size=4, store=4)
decode.read(image, rule)
before, all_threads = peak(), Barrier(8)

def read(_):
    all_threads.wait()
    return decode.read(image, rule)

with ThreadPoolExecutor(8) as pool:
    list(pool.map(read, range(8)))
print(peak() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_threads_do_not_keep_the_memory_of_large_images():
    def grown(large):
        command = [sys.executable, "-c", MEMORY, str(large)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert grown(1_000) < 60 < grown(1 << 40), "MB; an image of 6 megapixels takes about 30"
