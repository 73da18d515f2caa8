"""Keeps images for those who label: without metadata, after their answers, where there is time for it."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from seewhy.errors import ImageError
from seewhy.registry.records import KeptImage
from seewhy.serving.decoding import Decoders
from seewhy.serving.metrics import Metrics
from seewhy.serving.recording import Recorder

logger = logging.getLogger("seewhy.serving")

MOST_BYTES = 64 << 20  # of uploads that wait
LAST_SECONDS = 5.0  # in which images are still kept when the server stops


@dataclass(frozen=True)
class _Waiting:
    request_id: str
    image: int
    data: bytearray


class Keeper:
    """Writes images again as their pixels alone, one at a time, to be recorded and kept for some days.

    Lives in the event loop. What does not fit into its memory is dropped and counted.
    """

    def __init__(
        self, decoders: Decoders, recorder: Recorder, metrics: Metrics, days: float
    ) -> None:
        self._decoders, self._recorder, self._metrics = decoders, recorder, metrics
        self._days = days
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    def keep(self, request_id: str, image: int, data: bytearray) -> None:
        """Keeps the file of the `image`th image of a request."""
        if self._bytes + len(data) > MOST_BYTES:
            self._metrics.unrecorded.labels("image").inc()
            return
        self._waiting.append(_Waiting(request_id, image, data))
        self._bytes += len(data)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Keeps what waits, for some seconds at most."""
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, LAST_SECONDS)
        self._metrics.unrecorded.labels("image").inc(len(self._waiting))

    async def _run(self) -> None:
        while self._waiting:
            one = self._waiting[0]
            try:
                plain = await self._decoders.without_metadata(one.data)
            except ImageError as error:
                self._metrics.unrecorded.labels("image").inc()
                logger.warning("image not kept", extra={"reason": error.code})
            else:
                self._recorder.keep(KeptImage(one.request_id, one.image, plain, self._days))
            self._waiting.popleft()
            self._bytes -= len(one.data)
        self._task = None
