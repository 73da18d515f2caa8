import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from seewhy.inference.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def use():
    block = np.empty(100_000_000, np.uint8)
    block[::4096] = 1

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

use()
before = faults()
for _ in range(5):
    use()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_that_was_freed_is_used_again_without_asking_the_kernel():
    def faults(how):
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert faults("leave") > 100  # huge pages make them few
    assert faults("keep") < 10


def test_another_c_library_is_left_alone(monkeypatch):
    from seewhy.inference import memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", None)  # cannot be called
    memory.keep_freed_memory()


def test_an_older_glibc_gets_the_most_that_it_takes(monkeypatch):
    """Else every block of 128 KB and more would come from the kernel, as no threshold grows then."""
    from seewhy.inference import memory

    asked = []

    class Older:
        def mallopt(self, parameter, value):
            asked.append((parameter, value))
            return int(parameter != memory.M_MMAP_THRESHOLD or value <= 32 << 20)

    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.31"))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: Older())
    memory.keep_freed_memory()
    assert (memory.M_MMAP_THRESHOLD, 32 << 20) in asked
