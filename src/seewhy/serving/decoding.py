"""Decodes untrusted bytes in processes that can be killed: one image at a time each."""

import asyncio
import functools
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.config.input_rule import InputRule
from seewhy.data.images.at_once import workers
from seewhy.errors import ImageError
from seewhy.serving.children import kill, start_child
from seewhy.serving.decoder import ANSWER, ERROR, FRAMES_IGNORED, NO_RULE, REQUEST
from seewhy.serving.settings import ServeSettings

logger = logging.getLogger("seewhy.serving")

START_SECONDS = 30.0  # in which a process must be ready
CRASHES, CRASH_SECONDS = 5, 60.0  # so many that never decoded, in this time: something is broken


@dataclass(frozen=True, eq=False)
class Decoded:
    """The stored pixels of an image, uint8 (store, store, 3), and whether it has further frames."""

    pixels: NDArray[np.uint8]
    frames_ignored: bool


class Decoders:
    """A pool of processes. One that is killed, or that dies, is replaced."""

    def __init__(self, settings: ServeSettings, on_crash_loop: Callable[[], None]) -> None:
        self._count = settings.decoders or workers()
        self._seconds = settings.decode_seconds
        limits = (settings.image_bytes, settings.image_pixels, settings.image_side)
        self._arguments = [str(number) for number in (*limits, settings.decode_memory)]
        self._on_crash_loop = on_crash_loop
        self._idle: list[_Worker] = []
        self._waiting: deque[asyncio.Future[_Worker]] = deque()
        self._workers: set[_Worker] = set()
        self._crashes: deque[float] = deque(maxlen=CRASHES)
        self._tasks: set[asyncio.Task[None]] = set()
        self.replaced = 0

    async def start(self) -> None:
        """Starts the processes; returns when the first is ready, which the others would slow."""
        await self._add()
        for _ in range(self._count - 1):
            self._add()

    async def close(self) -> None:
        """Ends the processes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            await worker.process.wait()
        self._workers.clear()

    @property
    def processes(self) -> list[int]:
        """The process ids of those that are ready."""
        return [w.process.pid for w in self._workers if w.process.returncode is None]

    async def decode(self, data: bytes | bytearray, rule: InputRule) -> Decoded:
        """The pixels of an image as a rule stores them. Raises `ImageError`, also `decode_timeout`."""
        kind, pixels = await self._asked(data, _as_json(rule))
        square = np.frombuffer(pixels, np.uint8).reshape(rule.store, rule.store, 3)
        return Decoded(square, kind == FRAMES_IGNORED)

    async def without_metadata(self, data: bytes | bytearray) -> bytes:
        """The image as a file that holds its pixels alone. Raises as `decode`."""
        return (await self._asked(data, NO_RULE))[1]

    async def _asked(self, data: bytes | bytearray, rule: bytes) -> tuple[int, bytes]:
        """What a process answers.

        One that dies meanwhile may have been killed by someone else: the image has a second try.
        """
        for _ in range(2):
            worker = await self._take()
            try:
                async with asyncio.timeout(self._seconds):
                    answer = await worker.ask(data, rule)
            except ImageError:
                self._give(worker)
                raise
            except TimeoutError:
                self._replace(worker, "it took too long")
                raise ImageError("decode_timeout") from None
            except (asyncio.IncompleteReadError, OSError):
                self._replace(worker, "it has ended")
            except BaseException:
                self._replace(worker, "its request was cancelled")
                raise
            else:
                self._give(worker)
                return answer
        raise ImageError("undecodable")

    async def _take(self) -> "_Worker":
        """A process that is idle, in the order of asking: `asyncio.Queue` lets newcomers go first."""
        if self._idle:
            return self._idle.pop()
        waiting: asyncio.Future[_Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                self._give(waiting.result())
            raise

    def _give(self, worker: "_Worker") -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(worker)
                return
        self._idle.append(worker)

    def _replace(self, worker: "_Worker", reason: str) -> None:
        worker.kill()
        self.replaced += 1
        logger.warning("decoder replaced", extra={"pid": worker.process.pid, "reason": reason})
        self._add(worker)

    def _add(self, replaced: "_Worker | None" = None) -> asyncio.Task[None]:
        return self._task(self._started(replaced))

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watched(self, worker: "_Worker") -> None:
        """Replaces a process that ends while it is idle; of one at work its request takes notice."""
        await worker.process.wait()
        if worker in self._idle:
            self._idle.remove(worker)
            self._replace(worker, "it has ended")

    async def _started(self, replaced: "_Worker | None") -> None:
        """Starts a process, again where it ends before it is ready; the one before has ended then."""
        if replaced is not None:
            await replaced.process.wait()
            self._workers.discard(replaced)
        while True:
            try:
                worker = await _Worker.start(self._arguments)
            except (asyncio.IncompleteReadError, OSError, TimeoutError):
                now = time.monotonic()
                self._crashes.append(now)
                logger.error("a decoder has ended before it was ready")
                if len(self._crashes) == CRASHES and now - self._crashes[0] < CRASH_SECONDS:
                    self._on_crash_loop()
                    return
                await asyncio.sleep(0.2)
            else:
                self._workers.add(worker)
                self._give(worker)
                self._task(self._watched(worker))
                return


@functools.lru_cache
def _as_json(rule: InputRule) -> bytes:
    return rule.model_dump_json().encode()


@dataclass(frozen=True, eq=False)
class _Worker:
    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @staticmethod
    async def start(arguments: list[str]) -> "_Worker":
        worker = _Worker(*await start_child("seewhy.serving.decoder", *arguments))
        try:
            async with asyncio.timeout(START_SECONDS):
                await worker.reader.readexactly(ANSWER.size)
        except BaseException:
            worker.kill()
            await worker.process.wait()
            raise
        return worker

    async def ask(self, data: bytes | bytearray, rule: bytes) -> tuple[int, bytes]:
        self.writer.writelines((REQUEST.pack(len(rule), len(data)), rule, data))
        await self.writer.drain()
        kind, size = ANSWER.unpack(await self.reader.readexactly(ANSWER.size))
        answer = await self.reader.readexactly(size)
        if kind == ERROR:
            raise ImageError(*json.loads(answer))
        return kind, answer

    def kill(self) -> None:
        kill(self.process)
        self.writer.close()
