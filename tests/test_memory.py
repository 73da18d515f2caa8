import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from seewhy.memory import keep_freed_memory

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
    from seewhy import memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", None)  # cannot be called
    memory.keep_freed_memory()
