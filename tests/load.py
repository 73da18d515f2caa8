"""Load at a fixed rate, whatever the answers: `python tests/load.py HOST PORT RATE SECONDS < REQUEST`.

A process of its own that does little for a request: it sends the bytes of one from standard input, by
connections that are used again. RATE 0 keeps 64 connections busy instead: the capacity. Prints JSON: the
seconds of each answer by status, of which 0 is no answer.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict

CLIENTS, TIMEOUT = 64, 20.0


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self) -> None:
        self.received = b""
        self.answer: asyncio.Future[int] | None = None
        self.usable = True

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        head = head.lower()
        if len(body) < int(head.split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        status = int(head.split(b" ", 2)[1])
        self.usable = b"connection: close" not in head
        if status == 429 and b"retry-after: 1" not in head:
            status = 0
        self.received = b""
        self.answer.set_result(status)

    def connection_lost(self, error):
        self.usable = False
        if self.answer and not self.answer.done():
            self.answer.set_result(0)


async def main(host: str, port: int, rate: float, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    request = sys.stdin.buffer.read()
    idle: list[Connection] = []
    times: defaultdict[int, list[float]] = defaultdict(list)

    async def one() -> None:
        start = time.perf_counter()
        status = 0
        try:
            async with asyncio.timeout(TIMEOUT):
                connection = idle.pop() if idle else None
                if connection is None or not connection.usable:
                    _, connection = await loop.create_connection(Connection, host, port)
                connection.answer = loop.create_future()
                connection.transport.write(request)
                status = await connection.answer
                idle.append(connection)
        except (OSError, TimeoutError):
            pass
        times[status].append(round(time.perf_counter() - start, 5))

    async def client(end: float) -> None:
        while time.perf_counter() < end:
            await one()

    start = time.perf_counter()
    if rate:
        tasks = set()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
            tasks.add(asyncio.create_task(one()))
        await asyncio.gather(*tasks)
    else:
        await asyncio.gather(*(client(start + seconds) for _ in range(CLIENTS)))
    print(json.dumps({"seconds": time.perf_counter() - start, "times": times}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
