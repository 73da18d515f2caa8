"""Keeps freed memory in the process, because every training step needs it again."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
MOST = 2**31 - 1  # bytes; mallopt takes an int
MOST_OF_OLD = 32 << 20


def keep_freed_memory() -> None:
    """Has glibc serve large blocks from memory that the process freed before, not from the kernel.

    A training step takes and frees the same activations as the last. Those of 32 MB and more come
    as fresh pages by default, to be zeroed one by one: up to 40% of the time of a network for photographs
    (mallopt(3), M_MMAP_THRESHOLD). It holds for the whole process, which keeps the most that it ever
    took. Older versions of glibc take no more than 32 MB; where the C library is another, nothing happens.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        if not library.mallopt(M_MMAP_THRESHOLD, MOST):
            library.mallopt(M_MMAP_THRESHOLD, MOST_OF_OLD)
        library.mallopt(M_TRIM_THRESHOLD, MOST)
