"""Starts and ends a process of the server's own, with which it talks through a socket."""

import asyncio
import os
import socket
import sys

KEPT_VARIABLES = (
    "PATH",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "LANG",
    "TMPDIR",
)  # keys and tokens are not
CACHE_VARIABLES = ("HOME", "SEEWHY_CACHE")  # where the cache is, which says what files are trusted

Child = tuple[asyncio.subprocess.Process, asyncio.StreamReader, asyncio.StreamWriter]


async def start_child(module: str, *arguments: str, variables: tuple[str, ...] = ()) -> Child:
    """Starts `python -m module`, whose standard input is the other end of the socket.

    It has one thread, and of the environment `KEPT_VARIABLES` and these `variables`.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    names = (*KEPT_VARIABLES, *variables)
    kept = {name: os.environ[name] for name in names if name in os.environ}
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", module, *arguments),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                env=kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        reader, writer = await asyncio.open_connection(sock=ours)
    except BaseException:
        ours.close()
        raise
    return process, reader, writer


def kill(process: asyncio.subprocess.Process) -> None:
    """Ends a process, unless it has ended: asyncio raises `ProcessLookupError` then."""
    if process.returncode is None:
        process.kill()
