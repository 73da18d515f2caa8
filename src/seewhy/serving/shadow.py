"""The process that shows a challenger what the server answers: when nothing else wants the processor.

`serving.shadowing` starts it as `python -m seewhy.serving.shadow SETTINGS MODEL`. It reads images from a
socket and writes what the model says of each, in their order. It ends when the socket is closed.
"""

import json
import os
import resource
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from typing import Any

import numpy as np

from seewhy.data.images.decode import Limits, centre, read
from seewhy.errors import ImageError, SeeWhyError
from seewhy.files import to_json
from seewhy.inference.classifier import Classifier
from seewhy.serving.batching import answers_of
from seewhy.serving.errors import Refusal
from seewhy.serving.opening import open_model
from seewhy.serving.settings import ServeSettings
from seewhy.text import visible

REQUEST = struct.Struct("<BQI")  # one of the kinds below, a number, bytes that follow
ANSWER = struct.Struct("<QI")  # the number of the request, bytes of JSON that follow
PIXELS, FILE = range(2)  # as the network sees them, or as they were sent
WHILE_LOADING = 5  # niceness
# What it is told of the settings: others may see the arguments of a process, and an address has a secret.
SETTINGS = {"runtime", "trust_onnx", "image_bytes", "image_pixels", "image_side"}
READY = 2**64 - 1  # the number of the first answer, which is about the model


def main() -> None:
    """Answers until the socket is closed."""
    settings = ServeSettings.model_validate_json(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # which would have somebody's image
    os.nice(WHILE_LOADING)
    # Sent to all processes of a terminal or a service: the server ends this one by closing the socket.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=0) as connection, connection.makefile("rb") as requests:
        stopping = threading.Event()
        threading.Thread(target=_set_at_end, args=(stopping, connection), daemon=True).start()
        try:
            opened = open_model(sys.argv[2], settings, stopping)
        except (SeeWhyError, OSError) as error:
            with suppress(OSError):  # the server is not there any more
                _send(connection, READY, {"error": visible(str(error))})
            return
        model = opened.classifier
        rule = to_json(model.rule.model_dump())
        about = {"digest": opened.digest, "rule": rule, "classes": model.classes}
        _send(connection, READY, about)
        _go_last()
        limits = Limits(settings.image_bytes, settings.image_pixels, settings.image_side)
        with model.in_full_precision():
            while len(head := requests.read(REQUEST.size)) == REQUEST.size:
                kind, number, size = REQUEST.unpack(head)
                _send(connection, number, _said(model, kind, requests.read(size), limits))


def _go_last() -> None:
    """Lets every other process go first."""
    os.nice(19)
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it
            # Others take its core at once, as an idle one (sched(7)); a nice process has it some ms longer.
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _set_at_end(stopping: threading.Event, connection: socket.socket) -> None:
    """Sets `stopping` if the server closes the socket before it asks anything."""
    if not connection.recv(1, socket.MSG_PEEK):
        stopping.set()


def _said(model: Classifier, kind: int, data: bytes, limits: Limits) -> list[Any]:
    """The most probable class of an image and its confidence; nothing where there is none."""
    size = model.rule.size
    try:
        if kind == PIXELS:
            image = np.frombuffer(data, np.uint8).reshape(size, size, 3)
        else:
            image = centre(read(data, model.rule, limits), size)
        probabilities = answers_of(model, image[None])[0].probabilities
    except (ImageError, SeeWhyError, Refusal, MemoryError):
        return []
    best = int(probabilities.argmax())
    return [model.classes[best], round(float(probabilities[best]), 6)]


def _send(connection: socket.socket, number: int, message: Any) -> None:
    text = json.dumps(message, allow_nan=False).encode()
    connection.sendall(ANSWER.pack(number, len(text)) + text)


if __name__ == "__main__":
    main()
