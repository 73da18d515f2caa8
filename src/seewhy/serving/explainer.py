"""The process that explains: it reads requests from a socket, its standard input, and answers there.

`serving.explaining` starts it as `python -m seewhy.serving.explainer`, and kills it where it takes too long.
A message is JSON after four bytes with its length; after a request come the pixels of its image. A request
has three answers: that the model is loaded, the map, and its faithfulness, which takes many times as long.
"""

import base64
import io
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from seewhy.attribution.black_box import explainable
from seewhy.attribution.faithfulness import faithfulness
from seewhy.attribution.methods import METHODS
from seewhy.errors import ModelFileError, SeeWhyError, UsageError
from seewhy.evaluation.decision.answers import embedding_size
from seewhy.evaluation.predictions import Predictions
from seewhy.files import to_json
from seewhy.inference.classifier import Classifier, unlabelled
from seewhy.inference.forward import to_input
from seewhy.inference.loading import load
from seewhy.plots.attribution import shared_scale, transparent

NICENESS = 5  # predictions come first
FIRST = "grad_cam"
NEED_A_SPLIT = (
    "cam",
    "grad_cam",
    "grad_cam_plus_plus",
    "guided_grad_cam",
)  # into features and head


@dataclass(frozen=True)
class Subject:
    """A loaded model, the function by which it answers, and the methods that explain it."""

    classifier: Classifier
    network: nn.Module
    methods: tuple[str, ...]

    @staticmethod
    def of(classifier: Classifier) -> "Subject":
        network, names = explainable(classifier.predictor)
        blank = torch.zeros(1, 3, classifier.rule.size, classifier.rule.size)
        offered = tuple(name for name in names if _takes(network, name, blank))
        return Subject(classifier, network, offered)

    def predict(self, image: NDArray[np.uint8]) -> Predictions:
        """The prediction of an image as the network sees it, uint8 (S, S, 3)."""
        images = unlabelled(image[None], self.classifier.classes)
        embed = embedding_size(self.classifier.decision) is not None
        return self.classifier.predict_set(images, embed=embed)


def _takes(network: nn.Module, name: str, blank: torch.Tensor) -> bool:
    """Whether the method explains this network: some need its features and its head."""
    if name not in NEED_A_SPLIT:
        return True
    try:
        METHODS[name](network, blank, torch.zeros(1, dtype=torch.int64))
    except UsageError:
        return False
    return True


def explanation(
    subject: Subject,
    image: NDArray[np.uint8],
    method: str | None,
    target: str | None,
    seconds: float,
) -> Iterator[dict[str, Any]]:
    """The map of an image, uint8 (S, S, 3), with what the model answers; then its faithfulness.

    `method` is the name of one of its methods [grad_cam, or the first], with underscores or hyphens; `target`
    the class that is explained [the predicted one]. The faithfulness is None where its test takes
    longer than `seconds`. Raises `UsageError` for a method that is not offered, and for a target that is no
    class; `TimeoutError` where the map takes longer.
    """
    end = time.monotonic() + seconds
    if method is None:
        method = FIRST if FIRST in subject.methods else subject.methods[0]
    method = method.replace("-", "_")
    classes = subject.classifier.classes
    if method not in subject.methods:
        raise UsageError(f"method: expected one of {', '.join(subject.methods)}")
    if target is not None and target not in classes:
        raise UsageError("target: expected the name of a class; GET /models lists them")
    predictions = subject.predict(image)
    label = classes[predictions.predicted[0]]
    answer = subject.classifier.answers(predictions)[0]
    target = label if target is None else target
    x, targets = to_input(image[None], "cpu"), torch.tensor([classes.index(target)])
    with ending(subject.network, end):
        values = METHODS[method](subject.network, x, targets)[0].numpy()
    yield {
        "label": label,
        "confidence": round(float(predictions.confidence()[0]), 6),
        "answer": answer,
        "target": target,
        "method": method,
        "methods": subject.methods,
        "size": len(image),
        "image": _png(image),
        "map": _png(transparent(values, shared_scale(values))),
        "values": [[float(f"{value:.4g}") for value in row] for row in values.tolist()],
    }
    try:
        with ending(subject.network, end):
            tested = to_json(faithfulness(subject.network, x, targets, METHODS[method]).of(0))
    except TimeoutError:
        yield {"faithfulness": None}
    else:
        yield {"faithfulness": {**tested, "passed": tested["reliable"]}}


@contextmanager
def ending(network: nn.Module, end: float) -> Iterator[None]:
    """Within the block, a prediction of this network after the time `end` raises `TimeoutError`."""

    def check(*_: object) -> None:
        if time.monotonic() > end:
            raise TimeoutError

    handle = network.register_forward_pre_hook(check)
    try:
        yield
    finally:
        handle.remove()


def _png(pixels: NDArray[np.uint8]) -> str:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return base64.b64encode(sink.getvalue()).decode()


class Models:
    """The models that were asked for, by name, loaded once; one that was replaced is loaded again."""

    def __init__(self) -> None:
        self._loaded: dict[str, Subject] = {}

    def get(self, name: str, files: Sequence[str], digest: str) -> Subject:
        """The model of a name. Raises `ModelFileError` where its files are others than are served."""
        subject = self._loaded.get(name)
        if subject is None or subject.classifier.digest != digest:
            subject = self._loaded[name] = Subject.of(load(files, device="cpu", threads=1))
        if subject.classifier.digest != digest:
            raise ModelFileError("it is not the file that is served: reload the server", files[0])
        return subject


def main() -> None:
    """Answers requests until the input ends."""
    os.nice(NICENESS)
    # Sent to all processes of a terminal or a service: requests in flight still need this one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    with socket.socket(fileno=0) as connection:
        answer(connection.makefile("rb"), connection.makefile("wb"))


def answer(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until their stream ends."""
    models = Models()
    while (request := receive(requests)) is not None:
        size = request["size"]
        pixels = np.frombuffer(bytearray(requests.read(size * size * 3)), np.uint8)
        image = pixels.reshape(size, size, 3)
        try:
            subject = models.get(request["name"], request["files"], request["digest"])
        except (SeeWhyError, OSError) as error:
            sys.stderr.write(f"explain: {error}\n")
            send(answers, {"error": "unavailable", "message": "the model cannot be loaded again"})
            continue
        send(answers, {"loaded": True})
        try:
            asked = (request[name] for name in ("method", "target", "seconds"))
            for part in explanation(subject, image, *asked):
                send(answers, part)
        except UsageError as error:
            send(answers, {"error": "bad_request", "message": str(error)})
        except TimeoutError:
            message = "the map takes longer than an explanation may: choose another method"
            send(answers, {"error": "timeout", "message": message})


def send(stream: BinaryIO, message: Mapping[str, Any]) -> None:
    """Writes a message."""
    text = json.dumps(message, allow_nan=False).encode()
    stream.write(len(text).to_bytes(4, "big") + text)
    stream.flush()


def receive(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message; None at the end."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    message: dict[str, Any] = json.loads(stream.read(int.from_bytes(head, "big")))
    return message


if __name__ == "__main__":
    main()
