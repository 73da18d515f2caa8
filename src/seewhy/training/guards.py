"""Context managers around training: signals, out of memory, a missing compiler, determinism."""

import mmap
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from seewhy.errors import MemoryLimitError, SeeWhyError, UsageError, first_line, out_of_memory

HELD_BACK = 2**26  # bytes
AGAIN = 0.5  # seconds in which torchrun passes on a signal that the terminal sends as well
_collected: list[list[int]] = []  # the list of the outermost `stopping_signals`, while there is one


@contextmanager
def stopping_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM in a list within the block, so that a loop stops at the end of a step.

    Only the outermost block installs handlers; blocks within it share its list. A loop removes the signals
    that it handles; one that remains at the end is passed on to the previous handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    if _collected:
        yield _collected[0]
        return
    received: list[int] = []

    first, again = 0.0, AGAIN if "TORCHELASTIC_RUN_ID" in os.environ else 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if not received:
            first = time.monotonic()
            received.append(number)
        elif time.monotonic() - first > again:
            raise as_exception(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    _collected.append(received)
    try:
        yield received
    finally:
        _collected.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def stop_requests() -> list[int]:
    """The list of the outermost `stopping_signals`; an empty one without it."""
    return _collected[0] if _collected else []


def as_exception(number: int) -> BaseException:
    """The exception that a signal raises after everything is saved."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


@contextmanager
def deterministic(device: torch.device, seed: int, threads: int | None = None) -> Iterator[None]:
    """Makes results reproducible on one machine: seeded, and without benchmarking of convolutions.

    With so many `threads`, where given, as other numbers add up in another order. Random states, cuDNN's
    flags and the number of threads are restored after the block.
    """
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    threads_before = torch.get_num_threads()
    if threads not in (None, threads_before):
        torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    gpus = range(torch.cuda.device_count()) if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(gpus):
            reseed(device, seed)
            yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
        if threads not in (None, threads_before):
            torch.set_num_threads(threads_before)


def reseed(device: torch.device, seed: int) -> None:
    """Seeds the random numbers of a device, within `deterministic`."""
    # For a CPU, no GPU is seeded: that takes ten times as long, and could not be undone.
    (torch.default_generator if device.type == "cpu" else torch).manual_seed(seed)


@contextmanager
def memory_capped(device: torch.device, share: float | None) -> Iterator[None]:
    """Lets PyTorch take at most this share of a GPU's memory within the block; beyond it, memory runs out."""
    if share is None:
        yield
        return
    before = torch.cuda.get_per_process_memory_fraction(device)
    torch.cuda.set_per_process_memory_fraction(share, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(before, device)


def take_peak_memory(device: torch.device) -> int | None:
    """The most bytes of a GPU that tensors took at once since the last call; None elsewhere."""
    if device.type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return peak


@contextmanager
def compiler_named() -> Iterator[None]:
    """Turns the failure of a compiler, or its absence, into `UsageError` with advice."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        raise UsageError(
            f"train.compile=true found no working compiler ({str(error).strip().splitlines()[0]}): "
            "install g++ (for the CPU) or Triton (for CUDA), or start another run without it"
        ) from None


@contextmanager
def memory_held_back() -> Iterator[None]:
    """Keeps address space, which takes no memory, for what follows the last epoch: tables and figures.

    Libraries in C++ end the process where they find none; a step raises an error, which can be named.
    """
    try:
        held = mmap.mmap(-1, HELD_BACK)
    except OSError as error:
        raise MemoryError(str(error)) from None
    with held:
        yield


@contextmanager
def memory_named(batch_size: int | None = None) -> Iterator[None]:
    """Turns running out of memory, on any device, into `MemoryLimitError` with advice.

    `batch_size` is that of the training steps in the block, if there are any.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, SeeWhyError) or not out_of_memory(error):
            raise
        raise MemoryLimitError(first_line(error), batch_size) from None
