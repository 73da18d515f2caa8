"""A network that misbehaves: a proxy between a TCP port and a Unix socket, in a thread of its own."""

import asyncio
import socket
import struct
import threading
from contextlib import suppress


class Proxy:
    """Passes bytes on, after `latency` seconds; with `hole` it takes them and passes none."""

    def __init__(self, target: str) -> None:
        self.latency, self.hole, self.refuses = 0.0, False, False
        self.port = 0
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self._server.close()
        self.reset()
        self._call(asyncio.sleep(0.05))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def reset(self):
        """Ends all connections by a reset, in the midst of what they do."""
        self._call(self._reset())

    async def _reset(self):
        for writer in list(self._writers):
            with suppress(OSError):
                end = writer.get_extra_info("socket")
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader, writer):
        try:
            if self.refuses:
                raise ConnectionError
            there, back = await asyncio.open_unix_connection(self._target)
        except OSError:  # also where the database is stopped
            writer.transport.abort()
            return
        both = {writer, back}
        self._writers |= both
        try:
            with suppress(asyncio.CancelledError):
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            self._writers -= both
            for one in both:
                one.close()

    async def _pass(self, source, sink):
        with suppress(OSError):
            while data := await source.read(65536):
                if not self.hole:
                    await asyncio.sleep(self.latency)
                    sink.write(data)
                    await sink.drain()
        sink.close()
