"""Two replicas behind a proxy, each killed (-9) once under load: how many requests fail.

    python benchmarks/replicas.py [MODEL] [--clients 4]

Runs `deploy/haproxy.cfg` and `deploy/nginx.conf` with Debian's HAProxy and nginx (`apt-get install haproxy
nginx`) on free loopback ports. Clients send images one after the other and try nothing again. Replica one is
killed, started again and waited for, then replica two. Arms: images of a few kB, images above HAProxy's
buffer, and HAProxy without its retries, which must fail. Writes `benchmarks/results/replicas.json`.
"""

import argparse
import collections
import http.client
import io
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from machine import describe
from PIL import Image

DEPLOY = Path(__file__).parents[1] / "deploy"
BEFORE, AFTER = 3.0, 2.0  # seconds of load before a kill, and after a replica is ready again
START_SECONDS = 120
Start = Callable[[Path, int, tuple[int, int]], subprocess.Popen[bytes]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default="fast")
    parser.add_argument("--clients", type=int, default=4)
    chosen = parser.parse_args()
    small, large = image(32), image(700)
    arms: dict[str, tuple[Start, bytes]] = {
        "haproxy": (haproxy, small),
        "nginx": (nginx, small),
        "haproxy, large images": (haproxy, large),
        "nginx, large images": (nginx, large),
        "haproxy without retries": (haproxy_without_retries, small),
    }
    found = {
        name: measure(chosen.model, start, data, chosen.clients)
        for name, (start, data) in arms.items()
        if shutil.which(name.split()[0].rstrip(",")) or print(f"{name}: not installed")
    }
    record = {"clients": chosen.clients, "kills": 2, "arms": found, "machine": describe()}
    results = Path(__file__).parent / "results" / "replicas.json"
    results.write_text(json.dumps(record, indent=1))
    for name, row in found.items():
        print(
            f"{name:<24}{row['requests']:>7} requests  {row['failed']:>4} failed {row['failures']}"
        )


def image(side: int) -> bytes:
    """A PNG of noise: 3 kB at 32, 1.5 MB at 700."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def measure(model: str, start: Start, data: bytes, clients: int) -> dict[str, object]:
    """One arm: load, two kills, and what became of the requests."""
    with tempfile.TemporaryDirectory() as name, ended() as processes:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's workers are another user
        one, two, front = free_ports(3)
        replicas = {port: replica(folder, model, port) for port in (one, two)}
        processes.extend(replicas.values())
        for port in replicas:
            wait_ready(port)
        processes.append(start(folder, front, (one, two)))
        wait_ready(front)
        load = Load(front, data)
        threads = [threading.Thread(target=load.run) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for port in (one, two):
            time.sleep(BEFORE)
            replicas[port].kill()
            replicas[port].wait()
            replicas[port] = replica(folder, model, port)
            processes.append(replicas[port])
            wait_ready(port)
            time.sleep(AFTER)
        load.done.set()
        for thread in threads:
            thread.join()
    return load.summary()


@dataclass(eq=False)
class Load:
    """Clients that send an image again and again, and count what comes back."""

    port: int
    data: bytes
    done: threading.Event = field(default_factory=threading.Event)
    seconds: list[float] = field(default_factory=list)
    failures: collections.Counter[str] = field(default_factory=collections.Counter)
    labels: set[str] = field(default_factory=set)

    def run(self) -> None:
        """One client: a connection that is kept, opened again after a failure."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.done.is_set():
            started = time.perf_counter()
            try:
                connection.request("POST", "/predict", self.data, {"Content-Type": "image/png"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    self.labels.add(json.loads(body)["results"][0]["label"])
                    self.seconds.append(time.perf_counter() - started)
                else:
                    self.failures[str(answer.status)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures[type(error).__name__] += 1
                connection.close()

    def summary(self) -> dict[str, object]:
        assert len(self.labels) == 1, f"one image has several answers: {self.labels}"
        cuts = statistics.quantiles(self.seconds, n=100)
        return {
            "image_bytes": len(self.data),
            "requests": len(self.seconds) + self.failures.total(),
            "failed": self.failures.total(),
            "failures": dict(self.failures),
            "p50_ms": round(1000 * cuts[49], 1),
            "p99_ms": round(1000 * cuts[98], 1),
            "longest_ms": round(1000 * max(self.seconds), 1),
        }


def replica(folder: Path, model: str, port: int) -> subprocess.Popen[bytes]:
    flags = [f"--port={port}", "--admin-port=0", "--runners=1", "--decoders=1"]
    with open(folder / f"{port}.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "seewhy", "serve", f"model={model}", *flags],
            stdout=log,
            stderr=log,
        )


def haproxy(folder: Path, port: int, replicas: tuple[int, int]) -> subprocess.Popen[bytes]:
    return _haproxy(folder, port, replicas, (DEPLOY / "haproxy.cfg").read_text())


def haproxy_without_retries(
    folder: Path, port: int, replicas: tuple[int, int]
) -> subprocess.Popen[bytes]:
    text = (DEPLOY / "haproxy.cfg").read_text()
    text, changed = re.subn(r"(?m)^ +(retry-on|option redispatch|retries).*\n", "", text)
    assert changed == 3
    return _haproxy(folder, port, replicas, text.replace("defaults\n", "defaults\n    retries 0\n"))


def _haproxy(
    folder: Path, port: int, replicas: tuple[int, int], text: str
) -> subprocess.Popen[bytes]:
    config = folder / "haproxy.cfg"
    config.write_text(text)
    one, two = (f"127.0.0.1:{replica}" for replica in replicas)
    names = {"SEEWHY_BIND": f"127.0.0.1:{port}", "SEEWHY_1": one, "SEEWHY_2": two}
    with open(folder / "haproxy.log", "ab") as log:
        return subprocess.Popen(
            ["haproxy", "-db", "-f", str(config)], stdout=log, stderr=log, env=os.environ | names
        )


def nginx(folder: Path, port: int, replicas: tuple[int, int]) -> subprocess.Popen[bytes]:
    text = (DEPLOY / "nginx.conf").read_text()
    for before, after in zip(("127.0.0.1:8001", "127.0.0.1:8002"), replicas, strict=True):
        text = text.replace(before, f"127.0.0.1:{after}")
    (folder / "seewhy.conf").write_text(text.replace("listen 80", f"listen 127.0.0.1:{port}"))
    config = folder / "nginx.conf"
    config.write_text(
        f"pid {folder}/pid; error_log {folder}/nginx.log; events {{}} http {{ access_log off; "
        f"client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; "
        f"include {folder}/seewhy.conf; }}"
    )
    return subprocess.Popen(["nginx", "-p", str(folder), "-c", str(config), "-g", "daemon off;"])


def wait_ready(port: int) -> None:
    """Waits until `/ready` is answered with 200."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    sys.exit(f"port {port} was not ready in {START_SECONDS} s")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def ended() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that are ended, the last started first."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        yield processes
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()


if __name__ == "__main__":
    main()
