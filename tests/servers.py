"""A real server, started as a user starts it, for tests."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from seewhy.serving.keys import token_file

START_SECONDS = 60


@dataclass(eq=False)
class Running:
    """A server's addresses, its process and its log."""

    url: str
    admin: str
    process: subprocess.Popen
    log: Path
    client: httpx.Client

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.url.rsplit(":")[-1])

    @property
    def operator(self) -> dict[str, str]:
        """The headers of the operator."""
        return {"Authorization": f"Bearer {token_file().read_text()}"}

    def status(self) -> dict:
        return self.client.get(f"{self.admin}/status", headers=self.operator).json()

    def metrics(self) -> str:
        return self.client.get(f"{self.admin}/metrics", headers=self.operator).text

    def records(self) -> list[dict]:
        """The lines of its log that are JSON."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def logged(self, answer: httpx.Response) -> dict:
        """The record of an answered request: the server writes it once the answer has left."""
        asked = answer.headers["x-request-id"]
        deadline = time.monotonic() + 10
        while True:
            for record in self.records():
                if record["event"] == "request" and record["request_id"] == asked:
                    return record
            assert time.monotonic() < deadline, f"no record of request {asked}"
            time.sleep(0.01)

    def predict(self, *images: bytes, **query) -> httpx.Response:
        files = [("file", (f"{n}.png", image)) for n, image in enumerate(images)]
        return self.client.post("/predict", files=files, params=query)

    def process_connections(self) -> list[str]:
        """The sockets that its process has open to clients of the public port."""
        port = f":{self.address[1]:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        owned = set()
        for path in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                owned.add(os.readlink(path))
        return [
            row[2]
            for row in rows
            if row[1].endswith(port) and row[3] == "01" and f"socket:[{row[9]}]" in owned
        ]

    def rss(self) -> int:
        """Bytes of memory of the server's own process."""
        return memory(self.process.pid)

    def raw(self, data: bytes, seconds: float = 10) -> bytes:
        """What it answers to bytes on a connection, until it closes it."""
        with socket.create_connection(self.address, timeout=seconds) as connection:
            with suppress(OSError):  # closed meanwhile; the answer may be there
                connection.sendall(data)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    with suppress(OSError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def memory(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", text)[1])


@contextmanager
def running(
    folder: Path, *models: object, changed: Mapping[str, float] | None = None, **flags: object
) -> Iterator[Running]:
    """A server on free ports; its log is JSON in `folder`. It must end well, unless it has ended before.

    One process decodes unless `decoders` says otherwise; with None as many as by default. `changed` are
    constants of modules of `seewhy`, so that no test waits as long as a user may.
    """
    flags = {"port": 0, "admin-port": 0, "decoders": 1, **flags}
    log = folder / f"serve-{time.monotonic_ns()}.log"
    arguments = [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in flags.items()
        if value is not None
    ]
    command = [sys.executable, *program(changed or {}), "serve", *map(str, models), "--log-json"]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*command, *arguments], stderr=output, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "\nready: " not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        url, admin = re.findall(r"http://[\d.]+:\d+", log.read_text())[:2]
        # Each `httpx.get` would read the certificates of all authorities.
        with httpx.Client(base_url=url, timeout=60, verify=False) as client:
            yield Running(url, admin, process, log, client)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()[-2000:]
    finally:
        process.kill()
        process.wait()


def program(changed: Mapping[str, float]) -> list[str]:
    """The arguments of Python that run `seewhy`, with these constants."""
    if not changed:
        return ["-m", "seewhy"]
    lines = ["import sys, seewhy.cli"]
    for name, value in changed.items():
        module, _, constant = name.rpartition(".")
        lines.append(f"import seewhy.{module} as module; module.{constant} = {value}")
    return ["-c", "\n".join([*lines, "seewhy.cli.main(sys.argv[1:])"])]


def encoded(pixels: np.ndarray, format: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, format, **options)
    return sink.getvalue()


def image(seed: int = 0, size: int = 16, format: str = "PNG") -> bytes:
    """An image of noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return encoded(noise, format)


def until(what, seconds=60):
    """What is asked for again and again until there is any."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def stop_under_load(exported, folder, **flags):
    """SIGTERM while clients send: what each got, and what the server did."""
    statuses: list[int | str] = []
    with running(folder, exported, **flags) as server:
        if "challenger" in flags:
            until(lambda: server.status()["challenger"]["ready"])

        def work():
            with httpx.Client(base_url=server.url, timeout=60, verify=False) as client:
                while True:
                    try:
                        answer = client.post(
                            "/predict", files={"file": image()}, headers={"connection": "close"}
                        )
                    except httpx.ConnectError:
                        return
                    except httpx.HTTPError as error:
                        statuses.append(type(error).__name__)
                        return
                    statuses.append(answer.status_code)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while len(statuses) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert server.client.get("/ready").status_code == 503
        assert server.process.wait(25) == 0
        took = time.monotonic() - start
        for thread in threads:
            thread.join()
        events = [record["event"] for record in server.records()]
    assert took < 20 and events[-1] == "stopped"
    return statuses
