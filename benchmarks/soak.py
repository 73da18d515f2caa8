"""Soak: a server under mixed good and bad traffic; memory, descriptors and threads must not grow.

    python benchmarks/soak.py [--minutes 10]

Eight clients send images, groups with a bad one among them, damaged and huge images, what is no image,
broken forms and requests that end halfway. Every 1,000 requests all pause and the server is looked at. After
the first fifth, which warms it up, its memory may grow by 1 MB in 10,000 requests (the median of the slopes
between all pairs of looks, Sen 1968: a leak is in each, a larger heap after one busy moment is not), its
descriptors and threads not at all, and no answer may be a 5xx. Then the same for two minutes with a server
that keeps every image: this must be noticed. Writes `benchmarks/results/soak.json`.
"""

import argparse
import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
from machine import describe
from PIL import Image
from scipy.stats import theilslopes

import seewhy

CLIENTS, EVERY = 8, 1000
MOST_MB = 1.0  # of growth in 10,000 requests
LEAK_MINUTES = 2.0
LEAKY = """
import sys
from seewhy.cli import main
from seewhy.serving.service import Service
kept, decode = [], Service.decode
async def keep(self, upload, model):
    kept.append(bytearray(upload.data) * 4)
    return await decode(self, upload, model)
Service.decode = keep
main()
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        onnx = seewhy.export("fast", Path(name) / "fast.onnx").file
        leaky = Path(name) / "leaky.py"
        leaky.write_text(LEAKY)
        ours = soak([sys.executable, "-m", "seewhy"], onnx, options.minutes)
        control = soak([sys.executable, str(leaky)], onnx, min(LEAK_MINUTES, options.minutes))
    record = {"server": ours, "server that leaks": control, "machine": describe()}
    (Path(__file__).parent / "results" / "soak.json").write_text(json.dumps(record, indent=1))
    print(json.dumps(record, indent=1))
    sys.exit(0 if ours["passed"] and not control["passed"] else 1)


def soak(program: list[str], model: Path, minutes: float) -> dict[str, object]:
    """A server of `program` under the traffic: what it answered and how it grew."""
    command = [*program, "serve", str(model), "--port=0", "--admin-port=0", "--log-json"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stderr=log)
        try:
            while "\nready: " not in text(log):
                if process.poll() is not None:
                    sys.exit(text(log))
                time.sleep(0.1)
            url = re.findall(r"http://[\d.]+:\d+", text(log))[0]
            statuses, samples = asyncio.run(traffic(url, process.pid, minutes))
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
    return judged(statuses, samples) | {"exit code": code}


def text(log: io.TextIOBase) -> str:
    log.seek(0)
    return log.read()


async def traffic(
    url: str, pid: int, minutes: float
) -> tuple[Counter[int], list[dict[str, float]]]:
    """Statuses by count (0: we ended the request), and a look at the server every `EVERY` requests."""
    statuses: Counter[int] = Counter()
    samples: list[dict[str, float]] = []
    end = time.monotonic() + 60 * minutes
    kinds, host = requests(), httpx.URL(url)
    limits = httpx.Limits(max_keepalive_connections=CLIENTS, keepalive_expiry=600)
    async with httpx.AsyncClient(base_url=url, timeout=60, verify=False, limits=limits) as client:

        async def send(number: int) -> None:
            kind = kinds[number % len(kinds)]
            if kind is None:
                await half_a_request(host.host, host.port)
                statuses[0] += 1
            else:
                statuses[(await client.request(**kind)).status_code] += 1

        number = 0
        while time.monotonic() < end:
            numbers = iter(range(number, number + EVERY))

            async def work(numbers=numbers) -> None:
                for one in numbers:
                    await send(one)

            await asyncio.gather(*(work() for _ in range(CLIENTS)))
            number += EVERY
            await asyncio.sleep(0.2)
            samples.append({"requests": number} | looked_at(pid))
            print(samples[-1], flush=True)
    return statuses, samples


def requests() -> list[dict[str, object] | None]:
    """The traffic in turn: what `httpx` is asked for; None: a request that ends halfway."""
    random = np.random.default_rng(0)

    def image(side: int, kind: str) -> bytes:
        sink = io.BytesIO()
        noise = random.integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(noise).save(sink, kind)
        return sink.getvalue()

    def form(*files: bytes, **query: object) -> dict[str, object]:
        parts = [("file", (f"{number}.png", data)) for number, data in enumerate(files)]
        return {"method": "POST", "url": "/predict", "files": parts, "params": query}

    small = [image(32, "PNG") for _ in range(16)]
    photo = image(600, "JPEG")
    sink = io.BytesIO()
    Image.new("1", (6000, 6000)).save(sink, "PNG")
    huge, boundary = sink.getvalue(), {"content-type": "multipart/form-data; boundary=b"}
    return [
        *(form(one) for one in small),
        form(photo),
        form(*small[:4], photo[: len(photo) // 2], small[5]),
        form(photo[: len(photo) // 2]),
        form(b"no image at all"),
        form(huge),
        form(small[0], model="none"),
        form(small[0], top_k=0),
        {
            "method": "POST",
            "url": "/predict",
            "content": small[1],
            "headers": {"content-type": "image/png"},
        },
        {"method": "POST", "url": "/predict", "content": b"--b\r\nbroken", "headers": boundary},
        {"method": "POST", "url": "/predict", "json": {"url": "http://127.0.0.1"}},
        {"method": "GET", "url": "/models"},
        {"method": "GET", "url": "/"},
        {"method": "GET", "url": "/none"},
        None,
    ]


async def half_a_request(host: str, port: int) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    _, writer = await asyncio.open_connection(host, port)
    writer.write(head + b"Content-Length: 5000\r\n\r\n" + b"x" * 2000)
    await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def looked_at(pid: int) -> dict[str, float]:
    """Memory in MB of a process and, the mean, of those below it; its descriptors and its threads."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {
        "mb": megabytes(pid),
        "mb of a decoder": round(
            sum(megabytes(int(child)) for child in children) / len(children), 2
        ),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
    }


def megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, 2)


def judged(statuses: Counter[int], samples: list[dict[str, float]]) -> dict[str, object]:
    """Growth after the first fifth, and whether it is within the limits."""
    warm = samples[len(samples) // 5 :]
    requests = np.array([one["requests"] for one in warm]) / 10_000
    growth = {
        name: round(float(theilslopes([one[name] for one in warm], requests).slope), 2)
        for name in ("mb", "mb of a decoder")
    }
    more = {name: warm[-1][name] - warm[0][name] for name in ("descriptors", "threads")}
    failed = sum(count for status, count in statuses.items() if status >= 500)
    return {
        "requests": samples[-1]["requests"],
        "statuses": dict(sorted(statuses.items())),
        "MB in 10,000 requests": growth,
        "more": more,
        "first": warm[0],
        "last": warm[-1],
        "passed": max(growth.values()) <= MOST_MB and not any(more.values()) and not failed,
    }


if __name__ == "__main__":
    main()
