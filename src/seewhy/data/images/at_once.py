"""How many pixels are decoded at once: by all threads of the process together."""

import ctypes
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from seewhy.data.container import cpu_quota

# For each core, so that two cores decode five photographs of 12 megapixels at once, and one of 96. Pillow
# takes four bytes a pixel, and twice that while it converts colours.
PIXELS_PER_CORE = 32_000_000
SMALL = 64_000  # pixels
LARGE = 16_000_000  # pixels; before such an image is decoded, freed memory goes back to the system


def workers() -> int:
    """Returns the number of cores that this process may use, by its affinity and its container's quota."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = cpu_quota()
    return cores if quota is None else min(cores, math.ceil(quota))


# Of glibc; no other C library has it.
_give_back = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
_turn = threading.Condition()
_at_once = 0
_NOTHING = nullcontext()


def decoding(pixels: int) -> AbstractContextManager[None]:
    """Waits until an image of so many pixels may be decoded, and counts it until the block ends.

    All images together have at most `PIXELS_PER_CORE` for each core; a larger one is decoded alone. One of
    less than `SMALL` pixels does not count.
    """
    return _NOTHING if pixels < SMALL else _counted(pixels)


@contextmanager
def _counted(pixels: int) -> Iterator[None]:
    global _at_once
    most = PIXELS_PER_CORE * workers()
    with _turn:
        _turn.wait_for(lambda: not _at_once or _at_once + pixels <= most)
        _at_once += pixels
    try:
        # By glibc, each thread keeps what it freed: images decoded in turn would take as much as all at once.
        if pixels > LARGE and _give_back is not None:
            _give_back(0)
        yield
    finally:
        with _turn:
            _at_once -= pixels
            _turn.notify_all()


def _after_fork() -> None:
    """Forgets the parent's threads, which a forked process does not have."""
    global _turn, _at_once
    _turn, _at_once = threading.Condition(), 0


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_after_fork)
