"""What recording costs: CPU time of a request to `seewhy serve fast`, without and with `--feedback`.

    python benchmarks/feedback.py [--runs 6] [--requests 1600]

The servers run at once and are asked in turn, each first as often as the others, one 32x32 PNG a request,
by 8 clients and by one. A third server, plain as the first, shows how far two equal ones differ. CPU time is
that of all processes of a server; figures are medians of the runs, ratios are within a run. The rows that
were recorded are counted. Writes `benchmarks/results/feedback.json`.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from machine import describe
from serving import cpu, image
from sqlalchemy import func, select

import seewhy
from seewhy.registry.schema import answers

RESULT = Path(__file__).parent / "results" / "feedback.json"
CLIENTS = (8, 1)
SERVERS = {"plain": (8441, []), "plain again": (8443, []), "feedback": (8442, ["--feedback"])}
WARM = 304  # requests before the first run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--requests", type=int, default=1600)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SEEWHY_REGISTRY"] = f"{folder}/registry.db"
        with ExitStack() as running:
            pids = {name: running.enter_context(started(name)) for name in SERVERS}
            for name in SERVERS:
                asked(name, 8, WARM)
            taken = {
                clients: rounds(pids, clients, given.runs, given.requests) for clients in CLIENTS
            }
        with seewhy.open_feedback() as opened, opened.database.reading() as connection:
            rows = connection.scalar(select(func.count()).select_from(answers))
    record = {
        "runs": given.runs,
        "requests": given.requests,
        "clients": {str(clients): compared(found) for clients, found in taken.items()},
        "answers": WARM + given.runs * given.requests * len(CLIENTS) + 1,
        "rows": rows,
        "load": os.getloadavg()[
            2
        ],  # of the last 15 minutes: beyond the cores, the ratios mean little
        "machine": describe(),
    }
    RESULT.write_text(json.dumps(record, indent=1))
    print(json.dumps(record, indent=1))


@contextmanager
def started(name: str) -> Iterator[int]:
    """A server that has answered once: its process."""
    port, flags = SERVERS[name]
    command = [sys.executable, "-m", "seewhy", "serve", "fast", f"--port={port}", *flags]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, **quiet)
    try:
        until = time.monotonic() + 300
        while True:
            with suppress(OSError, http.client.HTTPException):
                asked(name, 1, 1)
                break
            assert process.poll() is None and time.monotonic() < until, name
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def asked(name: str, clients: int, requests: int) -> None:
    """Sends so many requests over kept connections."""
    body, faults = image(), []

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", SERVERS[name][0], timeout=60)
        try:
            for _ in range(requests // clients):
                connection.request("POST", "/predict", body, {"Content-Type": "image/png"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise OSError(f"answered {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def rounds(pids: dict[str, int], clients: int, runs: int, requests: int) -> dict[str, list[float]]:
    """CPU milliseconds of a request in each run, by server."""
    found: dict[str, list[float]] = {name: [] for name in pids}
    requests -= requests % clients
    for number in range(runs):
        first = number % len(pids)
        for name in [*pids][first:] + [*pids][:first]:
            before = cpu(pids[name])
            asked(name, clients, requests)
            time.sleep(1)  # in which the last answers are written
            found[name].append(round(1000 * (cpu(pids[name]) - before) / requests, 4))
            print(clients, number, name, found[name][-1], flush=True)
    return found


def compared(found: dict[str, list[float]]) -> dict[str, object]:
    plain = found["plain"]
    ratios = {
        name: round(statistics.median(a / b for a, b in zip(found[name], plain, strict=True)), 3)
        for name in ("plain again", "feedback")
    }
    medians = {name: round(statistics.median(values), 3) for name, values in found.items()}
    return {"cpu_ms": medians, "median_of_ratios": ratios, "runs": found}


if __name__ == "__main__":
    main()
