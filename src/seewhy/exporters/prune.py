"""Stub."""

from seewhy.errors import UsageError
from seewhy.inference.bundle import Bundle


def structured(bundle: Bundle, keep: float) -> Bundle:
    raise UsageError("not here yet")


def magnitude(bundle: Bundle, sparsity: float) -> Bundle:
    raise UsageError("not here yet")
