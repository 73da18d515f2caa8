"""`POST /explain`: why a model answers so, computed in a process of its own.

The process is started at the first request and killed where an explanation takes too long, so that it never
holds up a prediction. Requests wait for it in a short queue.
"""

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUEUE = 8  # requests that wait
SECONDS = 10.0  # of waiting, and of an explanation
START_SECONDS = 60.0  # in which the process loads PyTorch and the model


@dataclass(frozen=True, eq=False)
class Question:
    """What is to be explained: an image as the network sees it, uint8 (S, S, 3), of a model's file.

    `target` is the class that is explained; None stands for the predicted one.
    """

    path: str
    digest: str
    trust_onnx: bool
    image: NDArray[np.uint8]
    method: str
    target: str | None

    def message(self) -> bytes:
        """What the process reads."""
        names = ("path", "digest", "trust_onnx", "method", "target")
        facts = {name: getattr(self, name) for name in names} | {"size": len(self.image)}
        text = json.dumps(facts, allow_nan=False).encode()
        return len(text).to_bytes(4, "big") + text + self.image.tobytes()


class Explainer:
    """The process that explains, and the queue before it."""

    def __init__(self, *, queue: int = QUEUE, seconds: float = SECONDS) -> None:
        self._most, self._seconds = queue, seconds
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def explain(self, question: Question) -> dict[str, Any]:
        """The explanation, with its `faithfulness`, which is None where there was no time to test it.

        Raises `HttpError`: 429 where too many wait, 422 for a method or a target that the model has not, 503
        where the explanation takes too long.
        """
        if self._waiting >= self._most:
            raise self._busy()
        self._waiting += 1
        try:
            await asyncio.wait_for(self._turn.acquire(), self._seconds)
        except TimeoutError:
            raise self._busy() from None
        finally:
            self._waiting -= 1
        try:
            return await self._explained(question)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process = None

    async def _explained(self, question: Question) -> dict[str, Any]:
        explanation: dict[str, Any] = {}
        try:
            async with asyncio.timeout(START_SECONDS):
                stream = await self._asked(question)
                loaded = await _message(stream)
            async with asyncio.timeout(self._seconds):
                if "error" not in loaded:
                    explanation = await _message(stream)
                if "error" not in {**loaded, **explanation}:
                    return {**explanation, **await _message(stream)}
        except TimeoutError:
            self.close()
            if explanation:
                return {**explanation, "faithfulness": None}
            raise ... from None
        except BaseException:
            self.close()  # what is left of its answer is nobody's
            raise

    async def _asked(self, question: Question) -> asyncio.StreamReader:
        """Sends a question to the process, which is started if it is not there, and gives its answers."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "seewhy.serving.explainer"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(question.message())
        await self._process.stdin.drain()
        return self._process.stdout


async def _message(stream: asyncio.StreamReader) -> dict[str, Any]:
    size = int.from_bytes(await stream.readexactly(4), "big")
    message: dict[str, Any] = json.loads(await stream.readexactly(size))
    return message
