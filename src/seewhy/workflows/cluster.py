"""Work of `--engine ray`: a Ray cluster, and jobs that its workers do."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from seewhy.errors import RankError, SeeWhyError, UsageError, first_line
from seewhy.events import Event, Note, OnEvent, Progress, Step
from seewhy.text import counted

Engine = Literal["local", "ray"]

AGAIN = 3  # times that a job is done again whose worker was lost: it may need too much memory
PATIENCE = 5.0  # seconds for a cluster to answer
GRACE = 20.0  # seconds in which jobs that are stopped save what they have

T = TypeVar("T")
Job = Callable[[OnEvent], T]


def load_ray() -> Any:
    """The library. Raises `UsageError` saying how to install it."""
    try:
        import ray
    except ImportError:
        raise UsageError("--engine ray needs Ray: pip install 'seewhy[ray]'") from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
    return ray


@contextmanager
def connected(ray: Any) -> Iterator[None]:
    """Connects to the cluster of `$RAY_ADDRESS`, else to one of this machine, within the block.

    A cluster to which this process is connected already is used, and stays connected. Raises `UsageError` if
    there is none at the address, or it does not let this process in.
    """
    if started := not ray.is_initialized():
        _connect(ray, os.environ.get("RAY_ADDRESS", ""))
    try:
        yield
    finally:
        if started:
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if host and port.isdecimal():  # since Ray itself tries for minutes
            socket.create_connection((host, int(port)), PATIENCE).close()
        ray.init(log_to_driver=False, logging_level="error", include_dashboard=False)
    except (OSError, RuntimeError, ValueError) as error:
        where = f"the Ray cluster of RAY_ADDRESS={address}" if address else "a Ray cluster here"
        token = "; one that wants a token needs RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        raise UsageError(
            f"cannot use {where} ({first_line(error)}): see `ray status`{token if address else ''}"
        ) from None
    ray._private.worker._worker_logs_enabled = False  # else it prints among our results


def enter(folder: str) -> None:
    """Makes the folder of the user's process that of a worker, so that paths lead to the same files.

    Raises `UsageError` if this machine has no such folder.
    """
    try:
        os.chdir(folder)
    except OSError:
        raise UsageError(
            f"{socket.gethostname()} has no folder {folder}: let all machines share a folder, and work in it"
        ) from None


def on_cluster(jobs: Sequence[Job[T]], device: str, on_event: OnEvent) -> list[T]:
    """Has the workers of a cluster do jobs that compute on `device`; returns their results, in order.

    Jobs and results are pickled. The events of a job arrive when it ends. One whose worker was lost is done
    again by another. Raises what a job raises, and `RankError` if a job lost one worker after the other.
    """
    ray = load_ray()
    results: dict[int, T] = {}
    with connected(ray):
        workers, needs = _shares(ray, len(jobs), device)
        each = " and ".join(
            [counted(needs["num_cpus"], "core"), *(["a GPU"] if needs["num_gpus"] else [])]
        )
        on_event(
            Note(f"Ray: {workers:,} of {counted(len(jobs), 'job')} at a time, each with {each}")
        )
        there = ray.remote(max_retries=AGAIN, **needs)(_there)
        waiting = [there.remote(os.getcwd(), job) for job in jobs]
        numbers = {task: number for number, task in enumerate(waiting)}
        try:
            while waiting:
                (done,), waiting = ray.wait(waiting)
                events, result, error = _received(ray, done)
                for event in events:
                    on_event(event)
                if error is not None:
                    raise error
                results[numbers[done]] = result
        finally:
            _stop(ray, waiting)
    return [results[number] for number in range(len(jobs))]


def _shares(ray: Any, jobs: int, device: str) -> tuple[int, dict[str, Any]]:
    """How many jobs are done at a time, and what each needs, as Ray takes it.

    Where the cluster has GPUs that may be used, a job has one. It has as many cores as let no job wait for
    another that could run beside it, or as many as OMP_NUM_THREADS says; and the settings of this process.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    with_gpu = [] if device in ("cpu", "mps") else [one for one in machines if one.get("GPU")]
    cores = [int(one.get("CPU", 0)) for one in with_gpu or machines]
    most = [int(one["GPU"]) for one in with_gpu] or cores  # jobs on each machine

    def at_a_time(threads: int) -> int:
        return sum(min(own // threads, jobs) for own, jobs in zip(cores, most, strict=True))

    wanted, largest = os.environ.get("OMP_NUM_THREADS", ""), max([1, *cores])
    if wanted.isdecimal():
        threads = min(max(1, int(wanted)), largest)
    else:
        together = min(jobs, at_a_time(1))
        threads = max(n for n in range(1, largest + 1) if at_a_time(n) >= together)
    settings = {name: value for name, value in os.environ.items() if name.startswith("SEEWHY_")}
    return max(1, min(jobs, at_a_time(threads))), {
        "num_cpus": threads,
        "num_gpus": 1 if with_gpu else 0,
        "runtime_env": {"env_vars": {**settings, "OMP_NUM_THREADS": str(threads)}},
    }


def _there(folder: str, job: Job[T]) -> tuple[list[Event], T | None, SeeWhyError | None]:
    """Does a job in a worker: its events, its result, or its error, which keeps its type as a value."""
    events: list[Event] = []

    def keep(event: Event) -> None:
        if not isinstance(event, Step | Progress):  # which are for a person who looks on
            events.append(event)

    try:
        enter(folder)
        return events, job(keep), None
    except SeeWhyError as error:
        return events, None, error


def _received(ray: Any, task: Any) -> tuple[list[Event], Any, SeeWhyError | None]:
    try:
        received: tuple[list[Event], Any, SeeWhyError | None] = ray.get(task)
        return received
    except ray.exceptions.RayTaskError:  # of the code, with its traceback
        raise
    except ray.exceptions.RayError as error:
        reason = str(error).partition("\n")[0]
        raise RankError(
            "lost",
            f"a worker of the cluster was lost, and {counted(AGAIN, 'other')} that took over its job "
            f"({reason}): run the same command again to continue",
        ) from None


def _stop(ray: Any, tasks: Sequence[Any]) -> None:
    """Stops jobs that nobody waits for any more, as Ctrl-C would."""
    for task in tasks:
        ray.cancel(task)
    if tasks:
        ray.wait(tasks, num_returns=len(tasks), timeout=GRACE)
