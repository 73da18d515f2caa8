"""The process that decodes untrusted bytes: it reads requests from a socket and writes pixels.

`serving.decoding` starts it as `python -m seewhy.serving.decoder`, gives it a limited address space, and
kills it where an image takes too long. It ends when the socket is closed.
"""

import functools
import json
import resource
import signal
import socket
import struct
import sys
from contextlib import suppress

from seewhy.config.input_rule import InputRule
from seewhy.data.images.decode import Limits, has_more_frames, read
from seewhy.data.images.metadata import without_metadata
from seewhy.errors import ImageError

REQUEST = struct.Struct("<II")  # bytes of the input rule as JSON, bytes of the image
ANSWER = struct.Struct("<BI")  # one of the kinds below, bytes that follow
READY, ONE_FRAME, FRAMES_IGNORED, ERROR = range(4)
NO_RULE = b""  # instead of a rule: the image is asked for as a file without metadata


def main() -> None:
    """Answers requests until the socket is closed. The arguments are `Limits` and bytes of memory."""
    *limits, memory = map(int, sys.argv[1:])
    # Refused where a lower limit holds already, and by macOS, which has no such limits.
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Sent to all processes of a terminal or a service: requests in flight still need this one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=0) as connection, connection.makefile("rb") as requests:
        connection.sendall(ANSWER.pack(READY, 0))
        while len(head := requests.read(REQUEST.size)) == REQUEST.size:
            rule_size, size = REQUEST.unpack(head)
            rule, data = requests.read(rule_size), requests.read(size)
            kind, answer = _decode(data, rule, Limits(*limits))
            connection.sendall(ANSWER.pack(kind, len(answer)) + answer)


@functools.lru_cache
def _rule(text: bytes) -> InputRule:
    return InputRule.model_validate_json(text)


def _decode(data: bytes, rule: bytes, limits: Limits) -> tuple[int, bytes]:
    try:
        if rule == NO_RULE:
            return ONE_FRAME, without_metadata(data, limits)
        pixels = read(data, _rule(rule), limits)
        return FRAMES_IGNORED if has_more_frames(data) else ONE_FRAME, pixels.tobytes()
    except ImageError as error:
        fault = error
    except MemoryError:
        fault = ImageError("too_many_pixels", "decoding it takes more memory than is allowed")
    return ERROR, json.dumps([fault.code, str(fault)], allow_nan=False).encode()


if __name__ == "__main__":
    main()
