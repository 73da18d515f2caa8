"""Starts processes on this machine that train one model together, or share the runs of an experiment."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from seewhy.data.images.at_once import workers
from seewhy.errors import RankError, UsageError

GRACE = 3.0  # seconds in which the others notice by themselves that one was killed
GONE = RankError.exit_code

Process = subprocess.Popen[bytes]


def in_processes(arguments: Sequence[str], count: int, *, together: bool = True) -> int:
    """Runs `seewhy` with these arguments in `count` processes; returns the exit code of the first.

    They train one model `together`, or each does a part of the runs of an experiment, and the first one alone
    prints. Each computes with an equal share of the cores, unless OMP_NUM_THREADS says how many. SIGINT and
    SIGTERM are passed on; a second one kills. Raises `RankError` if the first process was killed.
    """
    if count < 2:
        raise UsageError(f"{count} processes: expected 2 or more")
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, workers() // count)))
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    group = _group(count) if together else {}
    children: list[Process] = []
    with _passed_on(children):
        for rank in range(count):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if together else {}
            silent = rank > 0 and not together
            children.append(_start(arguments, {**environment, **group, **own}, silent))
        _wait(children, together)
    first = children[0].returncode
    if first >= 0:
        return first
    which, again = ("rank", "with --resume") if together else ("process", "again")
    by = signal.Signals(-first).name
    raise RankError("lost", f"{which} 0 was killed by {by}: run the same command {again}")


def _group(count: int) -> dict[str, str]:
    """What processes that train together find in their environment, as torchrun sets it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    return {
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def _start(arguments: Sequence[str], environment: dict[str, str], silent: bool) -> Process:
    """One process, in a session of its own: what a terminal sends reaches it only once."""
    command = [sys.executable, "-P", "-m", "seewhy", *arguments]
    output = subprocess.DEVNULL if silent else None
    return subprocess.Popen(
        command, env=environment, stdout=output, stderr=output, start_new_session=True
    )


def _wait(children: Sequence[Process], together: bool) -> None:
    """Waits for all; of those that work together, kills the others soon after one was lost."""
    since = None
    while any(child.poll() is None for child in children):
        if together and any(
            code == GONE or (code or 0) < 0 for code in (c.returncode for c in children)
        ):
            since = since or time.monotonic()
            if time.monotonic() - since > GRACE:
                _send(children, signal.SIGKILL)
        time.sleep(0.1)


@contextmanager
def _passed_on(children: Sequence[Process]) -> Iterator[None]:
    """Passes signals on to the processes within the block; whatever ends it ends them."""
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        _send(children, signal.SIGKILL if received else number)
        received.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        yield
    finally:
        _send(children, signal.SIGKILL)
        for number, handler in before.items():
            signal.signal(number, handler)


def _send(children: Sequence[Process], number: int) -> None:
    for child in children:
        with suppress(OSError):
            child.send_signal(number)
