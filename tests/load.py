"""Load at a fixed rate, whatever the answers.

    python tests/load.py HOST PORT RATE SECONDS CLIENTS < REQUEST

A process of its own that does little for a request: it sends the bytes of one from standard input, by
connections that are used again. RATE 0 keeps CLIENTS connections busy instead: the capacity. Prints JSON: the
seconds of each answer by status, of which 0 is no answer and -429 a 429 that does not say when to come again;
and how many cores this process took, which the server did not have.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict

TIMEOUT = 20.0
RESTED = (
    4.0  # seconds without a request, after which a server may be closing a connection as one comes
)
UNSAID = -429  # a 429 that does not say when to come again


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self) -> None:
        self.received = b""
        self.answer: asyncio.Future[int] | None = None
        self.usable = True
        self.answered = time.perf_counter()

    @property
    def rested(self) -> bool:
        return time.perf_counter() - self.answered > RESTED

    def connection_made(self, transport):
        self.transport = transport

    async def ask(self, request: bytes) -> int:
        """The status of the answer; 0 if the connection is lost before it is complete."""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answer

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
        self.answered = time.perf_counter()
        if status == 429 and b"retry-after: 1" not in head:
            status = UNSAID
        self.received = b""
        self.answer.set_result(status)

    def connection_lost(self, error):
        self.usable = False
        if self.answer and not self.answer.done():
            self.answer.set_result(0)


async def main(host: str, port: int, rate: float, seconds: float, clients: int) -> None:
    loop = asyncio.get_running_loop()
    request = sys.stdin.buffer.read()
    idle: list[Connection] = []
    times: defaultdict[int, list[float]] = defaultdict(list)

    async def connected() -> Connection:
        return (await loop.create_connection(Connection, host, port))[1]

    async def one() -> None:
        start = time.perf_counter()
        status = 0
        try:
            async with asyncio.timeout(TIMEOUT):
                connection = idle.pop() if idle else None
                if connection is None or not connection.usable:
                    connection = await connected()
                rested = connection.rested
                status = await connection.ask(request)
                if not status and rested and not connection.received:
                    connection = await connected()
                    status = await connection.ask(request)
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
        await asyncio.gather(*(client(start + seconds) for _ in range(clients)))
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "cores": time.process_time() / seconds, "times": times}))


if __name__ == "__main__":
    host, port, rate, seconds, clients = sys.argv[1:]
    asyncio.run(main(host, int(port), float(rate), float(seconds), int(clients)))
