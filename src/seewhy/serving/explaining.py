"""`POST /explain`: why a model answers so, computed in a process of its own.

So it never holds up a prediction. The process is started when it is first needed, ends an explanation that
takes too long, and is killed where it does not. Requests wait for it in a short queue.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.serving.children import CACHE_VARIABLES, Child, kill, start_child
from seewhy.serving.errors import Refusal, busy, not_ready

QUEUE = 8  # requests that wait
SECONDS = 10.0  # of waiting, and of an explanation
GRACE = 2.0  # seconds after which a process is killed that has not ended by itself
START_SECONDS = 60.0  # in which the process loads PyTorch and the model


def explains() -> bool:
    """Whether this installation can explain: the process that does needs PyTorch, answers do not."""
    return find_spec("torch") is not None


@dataclass(frozen=True, eq=False)
class Question:
    """What is to be explained: an image as the network sees it, uint8 (S, S, 3), by the model of a name.

    `files` are those that were opened for it: the process knows no registry, whose aliases may have moved.
    `method` and `target`, the class that is explained, are as in `explainer.explanation`.
    """

    name: str
    files: tuple[str, ...]
    digest: str
    image: NDArray[np.uint8]
    method: str | None
    target: str | None
    seconds: float = SECONDS

    def message(self) -> bytes:
        """What the process reads."""
        names = ("name", "files", "digest", "method", "target", "seconds")
        facts = {name: getattr(self, name) for name in names} | {"size": len(self.image)}
        text = json.dumps(facts, allow_nan=False).encode()
        return len(text).to_bytes(4, "big") + text + self.image.tobytes()


class Explainer:
    """The process that explains, and the queue before it."""

    def __init__(self, queue: int = QUEUE) -> None:
        self._most, self._waiting = queue, 0
        self._turn = asyncio.Lock()
        self._child: Child | None = None

    async def explain(self, question: Question) -> dict[str, Any]:
        """The explanation, with its `faithfulness`, which is None where there was no time to test it.

        Raises `Refusal`: 429 where too many wait, 422 for a method or a target that the model has not, or
        where nothing is explained, 503 where the explanation takes too long.
        """
        if not explains():
            raise Refusal(422, "invalid_parameter", "this server gives no explanations")
        if self._waiting >= self._most:
            raise busy("too many explanations wait")
        self._waiting += 1
        try:
            async with asyncio.timeout(question.seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise busy("too many explanations wait") from None
        finally:
            self._waiting -= 1
        try:
            return await self._explained(question)
        finally:
            self._turn.release()

    async def warm(self) -> None:
        """Starts the process ahead of the first request, unless there is one or none can be started."""
        if explains() and not self._turn.locked():
            async with self._turn:
                with suppress(OSError):
                    await self._start()

    async def _start(self) -> Child:
        if self._child is None:
            module = "seewhy.serving.explainer"
            self._child = await start_child(module, variables=CACHE_VARIABLES)
        return self._child

    def close(self) -> None:
        """Ends the process."""
        if self._child is not None:
            process, _, requests = self._child
            requests.close()
            kill(process)
        self._child = None

    async def _explained(self, question: Question) -> dict[str, Any]:
        explanation: dict[str, Any] = {}
        try:
            async with asyncio.timeout(START_SECONDS):
                answers = await self._asked(question)
                await _message(answers)
            async with asyncio.timeout(question.seconds + GRACE):
                explanation = await _message(answers)
                return explanation | await _message(answers)
        except TimeoutError:
            self.close()
            if explanation:
                return explanation | {"faithfulness": None}
            raise Refusal(
                503, "timeout", "the explanation takes too long: choose another method"
            ) from None
        except (asyncio.IncompleteReadError, OSError):
            self.close()
            raise not_ready("explanations start again: try again in a second") from None
        except asyncio.CancelledError:
            self.close()  # nobody would read the rest of its answer
            raise

    async def _asked(self, question: Question) -> asyncio.StreamReader:
        """Sends a question to the process; returns what it answers on."""
        _, answers, requests = await self._start()
        requests.write(question.message())
        await requests.drain()
        return answers


async def _message(stream: asyncio.StreamReader) -> dict[str, Any]:
    """The next message of the process. Raises `Refusal` where it is an error."""
    size = int.from_bytes(await stream.readexactly(4), "big")
    message: dict[str, Any] = json.loads(await stream.readexactly(size))
    if "error" in message:
        status = 422 if message["error"] == "bad_request" else 503
        raise Refusal(status, message["error"], message["message"])
    return message
