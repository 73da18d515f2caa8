"""A challenger that answers what the server has answered, beside it: nobody is shown what it says.

It runs in a process of its own that has the processor when nothing else wants it. What it cannot keep up with
is dropped and counted; whatever becomes of it, the server answers as without it.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.config.input_rule import InputRule
from seewhy.data.images.decode import centre
from seewhy.errors import ModelFileError, RegistryError, SeeWhyError
from seewhy.inference.locate import find_models, stamps_of
from seewhy.registry.records import PREFIX, ShadowAnswer
from seewhy.serving.children import CACHE_VARIABLES, kill, start_child
from seewhy.serving.metrics import Metrics
from seewhy.serving.settings import ServeSettings
from seewhy.serving.shadow import ANSWER, FILE, PIXELS, REQUEST, SETTINGS
from seewhy.text import visible

logger = logging.getLogger("seewhy.serving")

QUEUE, QUEUE_BYTES = 64, 32 << 20  # images that wait; more are dropped
LATE_SECONDS = 10.0  # after which an image is dropped that has no answer yet
HUNG_SECONDS = 60.0  # of work without an answer, after which the process is replaced
START_SECONDS = 300.0  # in which a bundle may be exported, when nothing else wants the processor
RETRY_SECONDS = 30.0  # between two attempts at a model that cannot be used
WATCH_SECONDS = 1.0
STOP_SECONDS = 2.0  # in which the last images are answered when the server stops
END_SECONDS = 1.0  # in which a process ends by itself that has not begun to answer


Record = Callable[[ShadowAnswer], None]


class Shadow:
    """The challenger of a model that is served: `source` is a name as for `seewhy.load`.

    `record` gets what it says.
    """

    def __init__(
        self, source: str, settings: ServeSettings, metrics: Metrics, record: Record
    ) -> None:
        self._source, self._settings, self._metrics = source, settings, metrics
        self._record = record
        self._process: _Process | None = None
        self._retiring: set[_Process] = set()
        self.classes: tuple[str, ...] = ()  # of the last one that was started
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Starts the process, and returns before it is ready. Raises as `seewhy.load` for a wrong name.

        An alias of a registry may be made later.
        """
        try:
            await asyncio.to_thread(find_models, self._source)
        except RegistryError as error:
            if error.code not in ("unknown_alias", "unreachable"):
                raise
            logger.warning("no challenger yet", extra={"reason": visible(str(error))})
        self._task(self._keep())

    async def close(self) -> None:
        """Waits for the last answers, for some seconds at most, and ends the processes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        processes = [*self._retiring, *([self._process] if self._process else [])]
        until = time.monotonic() + STOP_SECONDS
        while any(one.waiting for one in processes) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        for one in processes:
            await one.end()

    @property
    def status(self) -> dict[str, Any]:
        """What the operator sees."""
        process = self._process
        if process is None:
            return {"ready": False}
        return {"ready": True, "digest": process.digest, "process": process.process.pid}

    def ask(
        self,
        request_id: str,
        image: int,
        stored: NDArray[np.uint8],
        rule: InputRule,
        file: bytes | bytearray,
    ) -> None:
        """Shows the challenger the `image`th image of a request, which was answered.

        `stored` are its pixels as `rule` stores them, `file` its bytes, for a challenger with another rule.
        """
        process = self._process
        if process is None or not process.has_room:
            self._count("dropped")
            return
        same = process.rule == rule
        data = centre(stored, rule.size).tobytes() if same else file
        process.ask(PIXELS if same else FILE, data, (request_id, image))

    def _count(self, outcome: str) -> None:
        self._metrics.shadow.labels(outcome).inc()

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self) -> None:
        """Starts the process again where it has ended, and another one where the model has changed."""
        watched = self._settings.reload or PREFIX in self._source
        stamps: Any = None
        tried = -RETRY_SECONDS
        while True:
            now = await asyncio.to_thread(self._stamps) if watched or stamps is None else stamps
            if self._process is not None:
                self._process.drop_late()
                if self._process.ended:
                    self._process = None
            again = self._process is None and time.monotonic() - tried > RETRY_SECONDS
            if now is not None and (now != stamps or again):
                stamps, tried = now, time.monotonic()
                await self._replace()
            await asyncio.sleep(WATCH_SECONDS)

    def _stamps(self) -> Any:
        """What tells a changed model; None while it cannot be found."""
        with contextlib.suppress(SeeWhyError, OSError):
            return stamps_of(self._source)
        return None

    async def _replace(self) -> None:
        """Starts a process; the one before answers what it was asked, and ends."""
        try:
            new = await _Process.start(self._source, self._settings, self._count, self._record)
        except (SeeWhyError, OSError, EOFError, TimeoutError) as error:
            reason = visible(str(error)) or type(error).__name__
            logger.error("the challenger cannot be used", extra={"reason": reason})
            return
        old, self._process = self._process, new
        self.classes = new.classes
        logger.info("challenger ready", extra={"digest": new.digest})
        if old is not None:
            self._retiring.add(old)
            self._task(self._retire(old))

    async def _retire(self, process: "_Process") -> None:
        """Ends a process when it has answered what it was asked."""
        until = time.monotonic() + LATE_SECONDS
        while process.waiting and time.monotonic() < until:
            await asyncio.sleep(0.05)
        await process.end()
        self._retiring.remove(process)


@dataclass(frozen=True)
class _Waiting:
    """An image without an answer: since when, the bytes that were sent of it, and of what request it is."""

    since: float
    size: int
    key: tuple[str, int]


@dataclass(eq=False)
class _Process:
    """A process with a model."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    digest: str
    rule: InputRule
    classes: tuple[str, ...]
    count: Callable[[str], None]
    record: Record
    asked: int = 0
    size: int = 0  # bytes that wait
    answered: float = field(default_factory=time.monotonic)  # when it last was
    waiting: dict[int, _Waiting] = field(default_factory=dict)
    late: dict[int, int] = field(default_factory=dict)  # given up: the bytes, which still wait
    reading: asyncio.Task[None] | None = None

    @staticmethod
    async def start(
        source: str, settings: ServeSettings, count: Callable[[str], None], record: Record
    ) -> "_Process":
        """Starts one. Raises `SeeWhyError` for a model that cannot be used."""
        files = await asyncio.to_thread(find_models, source)
        process, reader, writer = await start_child(
            "seewhy.serving.shadow",
            settings.model_dump_json(include=SETTINGS),
            "+".join(map(str, files)),
            variables=CACHE_VARIABLES,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                _, about = await _answer(reader)
            if "error" in about:
                raise ModelFileError(about["error"])
        except BaseException:
            writer.close()
            with contextlib.suppress(TimeoutError):  # in which it ends an export that it has begun
                await asyncio.wait_for(process.wait(), END_SECONDS)
            kill(process)
            await process.wait()
            raise
        rule = InputRule.model_validate(about["rule"])
        facts = (about["digest"], rule, tuple(about["classes"]))
        one = _Process(process, reader, writer, *facts, count, record)
        one.reading = asyncio.create_task(one._read())
        return one

    @property
    def ended(self) -> bool:
        """Whether it answers no more."""
        return self.reading is None or self.reading.done()

    @property
    def has_room(self) -> bool:
        """Whether another image may wait for it."""
        waiting = len(self.waiting) + len(self.late)
        return not self.ended and waiting < QUEUE and self.size < QUEUE_BYTES

    def ask(self, kind: int, data: bytes | bytearray, key: tuple[str, int]) -> None:
        """Shows it an image; `key` is the request and the number of the image in it."""
        self.asked += 1
        if not self.waiting:
            self.answered = time.monotonic()
        self.waiting[self.asked] = _Waiting(time.monotonic(), len(data), key)
        self.size += len(data)
        self.writer.writelines((REQUEST.pack(kind, self.asked, len(data)), data))

    def drop_late(self) -> None:
        """Gives up the images that have waited too long, and a process that does not move."""
        now = time.monotonic()
        for number, one in list(self.waiting.items()):
            if now - one.since < LATE_SECONDS:
                break
            self.late[number] = one.size
            self._finish(number, "dropped")
        if self.late and now - self.answered > HUNG_SECONDS:
            kill(self.process)

    def _finish(self, number: int, outcome: str) -> tuple[str, int]:
        one = self.waiting.pop(number)
        self.size -= 0 if number in self.late else one.size
        self.count(outcome)
        return one.key

    async def _read(self) -> None:
        """Hands on what it answers, until it ends; what it was asked and has not answered has failed."""
        try:
            while True:
                number, said = await _answer(self.reader)
                self.answered = time.monotonic()
                if number in self.late:
                    self.size -= self.late.pop(number)
                elif said:
                    key = self._finish(number, "answered")
                    self.record(ShadowAnswer(*key, self.digest, *said))
                else:
                    self._finish(number, "failed")
        except (EOFError, OSError):
            logger.warning("the challenger has ended", extra={"pid": self.process.pid})
        finally:
            for number in list(self.waiting):
                self._finish(number, "failed")

    async def end(self) -> None:
        """Ends it now."""
        if self.reading is not None:
            self.reading.cancel()
            await asyncio.gather(self.reading, return_exceptions=True)
        kill(self.process)
        self.writer.close()
        await self.process.wait()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    """The next answer of a process, and its number. Raises `EOFError` where it has ended."""
    number, size = ANSWER.unpack(await reader.readexactly(ANSWER.size))
    return number, json.loads(await reader.readexactly(size))
