"""Serving: throughput, CPU time and latency of `seewhy serve` beside plain servers, in turn in one run.

    apt-get install wrk
    python benchmarks/serving.py [--rounds 5] [--seconds 4] [--litserve PYTHON]

One 32x32 PNG a request, as a form, sent by wrk from 1, 8 and 64 connections. Beside ours: FastAPI with
the bundle in PyTorch, one image at a time; FastAPI with the same ONNX file, a session behind a lock; and
with `--litserve`, the Python of an environment that has it, LitServe with two workers of that session.
The plain servers decode in their own process and check nothing. Medians over the rounds; servers are
compared within a round, as other work on the machine slows all alike. Then the time from start to the first
answer. Writes `benchmarks/results/serving.json`.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
from machine import describe
from PIL import Image

import seewhy

CLIENTS = (1, 8, 64)
PORT = 8431
URL = f"http://127.0.0.1:{PORT}"
TORCH = """
import io, sys, threading
import uvicorn
from fastapi import FastAPI, UploadFile
import seewhy, torch
torch.set_num_threads(1)
app, lock, model = FastAPI(), threading.Lock(), seewhy.load(sys.argv[1], device="cpu")
@app.post("/predict")
def predict(file: UploadFile):
    data = file.file.read()
    with lock:
        predictions = model.predict([data])
    label = model.classes[predictions.predicted[0]]
    return {"label": label, "confidence": float(predictions.confidence()[0])}
uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""
SESSION = """
import io, sys, threading
import numpy as np, onnxruntime
from PIL import Image
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
def pixels_of(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
def answer(images):
    return session.run(["probabilities"], {name: images})[0]
"""
LOCK = (
    SESSION
    + """
import uvicorn
from fastapi import FastAPI, UploadFile
app, lock = FastAPI(), threading.Lock()
@app.post("/predict")
def predict(file: UploadFile):
    pixels = pixels_of(file.file.read())
    with lock:
        probabilities = answer(pixels[None])[0]
    best = int(probabilities.argmax())
    return {"label": best, "confidence": float(probabilities[best])}
uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""
)


LITSERVE = (
    SESSION
    + """
import litserve
class Api(litserve.LitAPI):
    def setup(self, device):
        pass
    def decode_request(self, request):
        return pixels_of(request["file"].file.read())
    def predict(self, pixels):
        return answer(pixels[None])[0]
    def encode_response(self, probabilities):
        best = int(probabilities.argmax())
        return {"label": best, "confidence": float(probabilities[best])}
if __name__ == "__main__":
    api = Api(api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2)
    server.run(port=int(sys.argv[2]), num_api_servers=1, generate_client_file=False, log_level="error")
"""
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument(
        "--onnx", type=Path, default=None, help="`fast` as an ONNX file, if it was exported before"
    )
    parser.add_argument(
        "--litserve", type=Path, default=None, help="a Python with litserve, onnxruntime and pillow"
    )
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx = options.onnx or seewhy.export("fast", folder / "fast.onnx").file
        servers = commands(folder, onnx, options.litserve)
        record = {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "servers": measure(servers, folder, options.rounds, options.seconds),
            "start": starts(onnx, folder),
            "machine": describe(),
        }
    record["compared"] = compared(record["servers"])
    for server in record["servers"].values():
        for row in server["clients"].values():
            del row["rounds"]
    (Path(__file__).parent / "results" / "serving.json").write_text(json.dumps(record, indent=1))
    print(json.dumps(record["compared"], indent=1), json.dumps(record["start"], indent=1))


def commands(folder: Path, onnx: Path, litserve: Path | None = None) -> dict[str, list[str]]:
    """How each server is started."""
    plain = {"torch": (TORCH, "fast"), "lock": (LOCK, onnx)}
    if litserve is not None:
        plain["litserve"] = (LITSERVE, onnx)
    made = {"seewhy": serve(onnx)}
    for name, (code, model) in plain.items():
        file = folder / f"{name}_server.py"
        file.write_text(code)
        python = litserve if name == "litserve" else sys.executable
        made[name] = [str(python), str(file), str(model), str(PORT)]
    return made


def serve(model: object) -> list[str]:
    # With room for 64 clients and the one that looks whether it answers.
    return [sys.executable, "-m", "seewhy", "serve", str(model), f"--port={PORT}", "--queue=128"]


@contextmanager
def started(
    command: list[str], **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A server that has answered once, and the seconds that it took."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with httpx.Client(verify=False, timeout=30) as client:
            while True:
                with suppress(httpx.TransportError):
                    if client.post(f"{URL}/predict", files={"file": image()}).status_code == 200:
                        break
                assert process.poll() is None and time.perf_counter() - start < 120, command
                time.sleep(0.01)
        yield process, time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def image() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    with tempfile.SpooledTemporaryFile() as sink:
        Image.fromarray(pixels).save(sink, "PNG")
        sink.seek(0)
        return sink.read()


def measure(
    servers: dict[str, list[str]], folder: Path, rounds: int, seconds: int
) -> dict[str, dict]:
    """Each server under each load, in turn."""
    script = folder / "post.lua"
    script.write_text(lua(image()))
    rows: dict[str, dict[int, list[dict]]] = {name: {n: [] for n in CLIENTS} for name in servers}
    memory: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(rounds):
        for name, command in servers.items():
            with started(command) as (process, _):
                load(script, 8, 1, process.pid)
                for clients in CLIENTS:
                    row = load(script, clients, seconds, process.pid)
                    rows[name][clients].append(row)
                    print(number, name, clients, row, flush=True)
                memory[name].append(megabytes(process.pid))
    return {
        name: {
            "peak_mb": round(statistics.median(memory[name])),
            "clients": {
                str(clients): {
                    key: statistics.median(row[key] for row in taken) for key in taken[0]
                }
                | {"rounds": taken}
                for clients, taken in by_clients.items()
            },
        }
        for name, by_clients in rows.items()
    }


def lua(data: bytes) -> str:
    """A form with one file, as a script of wrk."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    head += b"Content-Type: image/png\r\n\r\n"
    body = "".join(f"\\x{byte:02x}" for byte in head + data + b"\r\n--b--\r\n")
    kind = 'wrk.headers["Content-Type"] = "multipart/form-data; boundary=b"'
    return f'wrk.method = "POST"\nwrk.body = "{body}"\n{kind}\n'


def load(script: Path, clients: int, seconds: int, pid: int) -> dict[str, float]:
    """What wrk measures, and the CPU time of the server's processes for a request."""
    before = cpu(pid)
    done = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{clients}",
            f"-d{seconds}s",
            "--latency",
            "--timeout",
            "30s",
            "-s",
            str(script),
        ]
        + [f"{URL}/predict"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    after = cpu(pid)
    requests = int(re.search(r"(\d+) requests in", done)[1])
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\s", done).groups()
    return {
        "requests_per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]),
        "cpu_ms": round(1000 * (after - before) / requests, 3),
        "p99_ms": round(float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit], 2),
        "refused": int(failed[1]) if failed else 0,
    }


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                pids += tree(int(child))
    return pids


def cpu(pid: int) -> float:
    """Seconds of CPU time of a process and all below it."""
    ticks = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(") ", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float:
    """The peak of a process and all below it; what they share counts for each."""
    texts = [Path(f"/proc/{one}/status").read_text() for one in tree(pid)]
    return sum(int(re.search(r"VmHWM:\s+(\d+)", text)[1]) for text in texts) / 1024


def compared(servers: dict[str, dict]) -> dict[str, dict]:
    """Ours divided by another, by round; and the difference of the p99 at one client in ms."""

    def rounds(name: str, clients: int, key: str) -> list[float]:
        return [row[key] for row in servers[name]["clients"][str(clients)]["rounds"]]

    def ratio(other: str, clients: int, key: str) -> float:
        pairs = zip(rounds("seewhy", clients, key), rounds(other, clients, key), strict=True)
        return round(statistics.median(a / b for a, b in pairs), 3)

    found = {}
    for other in servers.keys() - {"seewhy"}:
        found[other] = {
            f"{key} at {clients}": ratio(other, clients, key)
            for clients in CLIENTS
            for key in ("requests_per_second", "cpu_ms", "p99_ms")
        }
        pairs = zip(rounds("seewhy", 1, "p99_ms"), rounds(other, 1, "p99_ms"), strict=True)
        found[other]["p99 at 1, ms more"] = round(statistics.median(a - b for a, b in pairs), 2)
    return found


def starts(onnx: Path, folder: Path, rounds: int = 3) -> dict[str, float]:
    """Seconds to the first answer: of an ONNX file, a bundle the first time and again; and of the imports."""
    libraries = "import fastapi, onnxruntime, numpy, PIL"
    cache = {"SEEWHY_CACHE": str(folder / "cache")}
    with started(serve("fast"), **cache) as (_, first):
        pass
    taken: dict[str, list[float]] = {"libraries": [], "ONNX file": [], "bundle": []}
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", libraries], check=True)
        taken["libraries"].append(time.perf_counter() - start)
        for name, model in (("ONNX file", onnx), ("bundle", "fast")):
            with started(serve(model), **cache) as (_, seconds):
                taken[name].append(seconds)
    medians = {name: round(statistics.median(seconds), 2) for name, seconds in taken.items()}
    ratios = [a / b for a, b in zip(taken["ONNX file"], taken["libraries"], strict=True)]
    return {
        "bundle, first time": round(first, 2),
        **medians,
        "ONNX file to libraries": round(statistics.median(ratios), 2),
    }


if __name__ == "__main__":
    main()
