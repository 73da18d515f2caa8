"""Terminals for tests: a stream that says it is one, and a real one for a process."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from contextlib import suppress

from rendering import unrendered

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def plain(text):
    """Text without its colours and its movements of the cursor."""
    return _ESCAPES.sub("", text)


class TerminalStream(io.StringIO):
    """A stream that says that it is a terminal; `COLUMNS` says how wide."""

    def isatty(self) -> bool:
        return True


def in_terminal(*arguments, columns=80, **environment):
    """Runs the command line in a pseudo-terminal; gives its exit code and its text without escapes.

    No figure is rendered.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {"TERM": "xterm-256color", **environment}
    process = subprocess.Popen(
        unrendered(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")} | environment,
    )
    os.close(theirs)
    chunks = []
    with suppress(OSError):  # Linux's end of a terminal
        while chunk := os.read(ours, 65536):
            chunks.append(chunk)
    os.close(ours)
    written = b"".join(chunks).decode()
    return process.wait(), plain(written).replace("\r", "")
