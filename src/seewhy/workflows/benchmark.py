"""How fast models answer on this machine: latency, throughput, start-up and memory."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from seewhy.errors import UsageError
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import optional_folder, write_json
from seewhy.inference.loading import Runtime, load
from seewhy.inference.locate import find_models
from seewhy.inference.speed import Timed, best_rates, seconds_of_one
from seewhy.plots.benchmark import draw_speeds

ROUNDS, WARM_UP = 200, 5  # images by themselves, for each model
MOST_SECONDS = 60  # for the single images of all models

FIRST_ANSWER = """
import sys
import numpy as np
import seewhy

model = seewhy.load(sys.argv[1], device="cpu", runtime=sys.argv[2])
side = model.rule.size
model.predict(np.zeros((side, side, 3), np.uint8))
try:  # what `getrusage` tells may be the memory of the process that started this one
    status = open("/proc/self/status").read().split()
    print(1024 * int(status[status.index("VmHWM:") + 1]))
except OSError:  # not Linux
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@dataclass(frozen=True)
class InferenceSpeed:
    """One model's speed from prepared arrays, uint8 (N, size, size, 3).

    `p50_ms`, `p99_ms` and `mean_ms` are of one image; `images_per_second` is reached at batches of `batch`;
    `startup_s` is from the start of a new process to its first answer, and `memory_mb` the most memory (RSS,
    10^6 bytes) of that process, with its libraries; `bytes` are those of the files.
    """

    model: str
    runtime: str
    size: int
    parameters: int
    bytes: int
    p50_ms: float
    p99_ms: float
    mean_ms: float
    images_per_second: float
    batch: int
    startup_s: float
    memory_mb: float


@dataclass(frozen=True)
class InferenceBenchmark:
    """The speeds of models that took turns on `threads` threads."""

    threads: int
    rounds: int
    speeds: tuple[InferenceSpeed, ...]


def benchmark_inference(
    models: Sequence[str | PathLike[str]],
    *,
    threads: int | None = None,
    runtimes: Sequence[Runtime] = ("auto",),
    out: str | Path | None = None,
    on_event: OnEvent = ignore,
) -> InferenceBenchmark:
    """Measures how fast models answer on this machine's processor, by turns, so that they share its load.

    `threads` compute one batch in ONNX Runtime and OpenVINO (None: one a core); PyTorch has those of the
    process. Each model is measured by each of the `runtimes`: see `load`.
    `out` is a new folder for benchmark.json and a figure. Raises as `load` does.
    """
    names = [os.fspath(model) for model in models]
    if len(set(names)) < len(names) or len(set(runtimes)) < len(runtimes):
        raise UsageError("a model or a runtime is named twice: name each once")
    pairs = [(name, runtime) for name in names for runtime in runtimes]
    count = threads or os.cpu_count() or 1
    with optional_folder(out) as folder, ExitStack() as stack:
        classifiers = [
            stack.enter_context(load(name, device="cpu", threads=count, runtime=runtime))
            for name, runtime in pairs
        ]
        starts = [_start_up(name, runtime, on_event) for name, runtime in pairs]
        for classifier in classifiers:
            stack.enter_context(classifier.in_full_precision())
        timed = [Timed(c.predictor.outputs, c.rule.size) for c in classifiers]
        singles = seconds_of_one(
            timed, ROUNDS, warm_up=WARM_UP, most_seconds=MOST_SECONDS, on_event=on_event
        )
        rates = best_rates(timed, singles)
        speeds = [
            InferenceSpeed(
                model=name,
                runtime=classifier.predictor.runtime,
                size=classifier.rule.size,
                parameters=classifier.predictor.parameters,
                bytes=sum(file.stat().st_size for file in find_models(name)),
                p50_ms=1000 * float(np.median(one)),
                p99_ms=1000 * float(np.quantile(one, 0.99)),
                mean_ms=1000 * float(np.mean(one)),
                images_per_second=rate,
                batch=batch,
                startup_s=startup,
                memory_mb=memory / 1e6,
            )
            for (name, _), classifier, one, (rate, batch), (startup, memory) in zip(
                pairs, classifiers, singles, rates, starts, strict=True
            )
        ]
        result = InferenceBenchmark(count, len(singles[0]), tuple(speeds))
        if folder is not None:
            write_json(result, folder / "benchmark.json")
            draw_speeds(result.speeds, count, folder)
            on_event(Note(f"metrics and figure: {folder}"))
    return result


def _start_up(name: str, runtime: Runtime, on_event: OnEvent) -> tuple[float, float]:
    """Seconds from the start of a process to its first answer, and the most memory that it took, in bytes."""
    on_event(Note(f"starting {name}"))
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-P", "-c", FIRST_ANSWER, name, runtime],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"code {done.returncode}"]
        raise UsageError(f"a new process cannot load {name}: {said[-1]}")
    return time.perf_counter() - start, float(done.stdout)
