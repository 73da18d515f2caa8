"""Shows a model the images of many requests at once: what is queued, without waiting for more."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.data.images.decode import centre
from seewhy.errors import DivergedError
from seewhy.evaluation.decision.answers import embedding_size
from seewhy.evaluation.predictions import Predictions
from seewhy.inference.classifier import Classifier
from seewhy.inference.predictor import at_a_time
from seewhy.serving.errors import Refusal, busy


class Room:
    """How many images are at work or waiting, in all requests together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0
        self.arriving = 0  # requests that are received, and not counted yet

    def require(self) -> None:
        """Raises `Refusal` where there is no room for another image."""
        if self.taken + self.arriving >= self._most:
            raise busy("the server has as much to do as it accepts")

    @contextmanager
    def for_images(self, count: int) -> Iterator[None]:
        """Counts images for the block. Raises `Refusal` where there is no room for them."""
        if self.taken and self.taken + count > self._most:
            raise busy("the server has as much to do as it accepts")
        self.taken += count
        try:
            yield
        finally:
            self.taken -= count


@dataclass(frozen=True, eq=False)
class Answer:
    """The calibrated probabilities of an image, (K,), what the model answers, and what that rests on.

    `embedding` (D,) is None where the batcher was not asked for it, or the model gives none.
    """

    probabilities: NDArray[np.float64]
    answer: str
    logits: NDArray[np.float32]
    embedding: NDArray[np.float32] | None


class Batcher:
    """The images that wait for a model, and the threads that show them to it.

    Lives in the event loop; only `_compute` runs in a thread. `on_batch` is told the size of each batch.
    """

    def __init__(
        self,
        classifier: Classifier,
        threads: Executor,
        *,
        runners: int,
        most: int,
        embed: bool = False,
        on_batch: Callable[[int], None],
    ) -> None:
        self._classifier, self._threads, self._on_batch = classifier, threads, on_batch
        self._embed = embed
        self._most = min(most, at_a_time(classifier.rule.size**2))
        self._runners = self._idle = runners
        self._waiting: deque[tuple[NDArray[np.uint8], asyncio.Future[Answer]]] = deque()

    async def answer(self, pixels: NDArray[np.uint8]) -> Answer:
        """The answer to stored pixels, uint8 (store, store, 3).

        Raises `Refusal` where the model's output is NaN or infinite.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((centre(pixels, self._classifier.rule.size), future))
        self._run()
        return await future

    def _run(self) -> None:
        while self._idle and self._waiting:
            share = -(-len(self._waiting) // self._runners)  # the others have as much to do
            count = min(share, self._most)
            batch = [self._waiting.popleft() for _ in range(count)]
            self._idle -= 1
            self._on_batch(count)
            images = np.stack([image for image, _ in batch])
            loop = asyncio.get_running_loop()
            done = loop.run_in_executor(self._threads, self._compute, images)
            done.add_done_callback(lambda done, batch=batch: self._finish(done, batch))  # type: ignore[misc]

    def _finish(
        self,
        done: "asyncio.Future[Sequence[Answer | Exception]]",
        batch: list[tuple[NDArray[np.uint8], asyncio.Future[Answer]]],
    ) -> None:
        if done.cancelled():  # the server ends at once
            for _, future in batch:
                future.cancel()
            return
        self._idle += 1
        error = done.exception()
        results = done.result() if error is None else [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Answer):
                future.set_result(result)
            else:
                future.set_exception(result)
        self._run()

    def _compute(self, images: NDArray[np.uint8]) -> Sequence[Answer | Exception]:
        """The answers to a batch; where an output is not finite, one by one, to spare the others."""
        try:
            return answers_of(self._classifier, images, self._embed)
        except DivergedError:
            if len(images) > 1:
                return [answer for image in images for answer in self._compute(image[None])]
            message = "the model's output is not a finite number: nothing can be said of this image"
            return [Refusal(500, "model_output_invalid", message)]


def answers_of(model: Classifier, images: NDArray[np.uint8], embed: bool = False) -> list[Answer]:
    """The answers to images as the network sees them, uint8 (N, S, S, 3). Raises `DivergedError`.

    With `embed` also the embeddings, of a model that gives some.
    """
    embed = embed or embedding_size(model.decision) is not None
    logits, embeddings = model.predictor.outputs(images, embed)
    predictions = Predictions(
        logits,
        None,
        model.classes,
        np.arange(len(images)).astype(object),
        embeddings,
        temperature=model.decision.temperature,
    )
    vectors = [None] * len(images) if embeddings is None else embeddings
    rows = zip(
        predictions.probabilities(), model.answers(predictions), logits, vectors, strict=True
    )
    return [Answer(*row) for row in rows]
