"""What the ranks of a training do together: the first decides and writes, the others compute with it."""

import hashlib
import json
import math
import platform
import socket
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy
import torch

from seewhy.errors import RankError, UsageError
from seewhy.events import Event, OnEvent, RunFinished, ignore
from seewhy.files import to_json
from seewhy.inference.device import pick_amp, place
from seewhy.run import Run
from seewhy.training.checkpoint import packed, unpack
from seewhy.training.guards import as_exception, stopping_signals
from seewhy.training.loop import TrainState
from seewhy.training.loop import train as training_loop
from seewhy.training.ranks import DONE, Ranks
from seewhy.workflows.prepare import Job, prepare
from seewhy.workflows.request import FREE, Request, flat
from seewhy.workflows.steps import batches_of, objective_of


@final
@dataclass(frozen=True)
class LedRun(Run):
    """The run of the first rank, as another one is told of it: the files may be on another machine."""

    told: Mapping[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.told)


def prepare_together(request: Request, on_event: OnEvent, ranks: Ranks) -> Job:
    """The job of this rank: the first decides, the others read their own images by what it decided.

    Raises `RankError` if a rank has other code, settings or data than the first, `UsageError` if there are
    more ranks than shards.
    """
    if ranks.world == 1:
        return prepare(request, on_event)
    _require_equal(ranks, "code", _code())
    _require_equal(ranks, "settings", _asked(request))
    if ranks.rank == 0:
        job = prepare(request, on_event, ranks)
        if job.recipe.train.shards < ranks.world:
            raise UsageError(
                f"{ranks.world} processes compute the shards of each batch, and train.shards is "
                f"{job.recipe.train.shards}: set --train.shards to {ranks.world} or more, the same for every "
                "number of processes"
            )
        ranks.of_first(lambda: {"path": job.run, "config": job.config})
    else:
        told = ranks.of_first(dict)
        led = LedRun(Path(told["path"]), told["config"])
        job = prepare(replace(request, recipe=None, overrides=None), ignore, ranks, led)
    facts = {name: value for name, value in flat(job.config).items() if name not in FREE}
    facts["order"] = hashlib.sha256(job.splits.train.hashes.tobytes()).hexdigest()
    _require_equal(ranks, "data", json.dumps(to_json(facts), allow_nan=False))
    return job


def hand_out(state: TrainState, ranks: Ranks) -> Iterator[Event]:
    """Gives all ranks the state of the first, once it is asked for events; there are none."""
    if ranks.world > 1:
        data, record = packed(state) if ranks.rank == 0 else (b"", {})
        data, record = ranks.bytes_of_first(data), ranks.of_first(lambda: record)
        if ranks.rank > 0:
            unpack(state, data, record)
    yield from ()


def follow(job: Job) -> Generator[Event, None, None]:
    """The training of a rank that is not the first: its shards of each step. Ends when the first ends."""
    config, ranks = job.recipe.train, job.ranks
    place(job.network, job.device)
    state = TrainState.start(job.network, config, job.threads)
    try:
        batches = batches_of(job)
        yield from hand_out(state, ranks)
        steps = training_loop(
            state,
            batches,
            objective_of(job),
            config,
            validate=lambda _: {},
            mode=config.better,
            device=job.device,
            amp=pick_amp(config.amp, job.device),
            ranks=ranks,
        )
        with stopping_signals() as received:
            for _ in steps:
                if ranks.stop_now(received):
                    raise as_exception(received.pop(0))
        ranks.left_by([0], math.inf)
    except RankError as error:
        if error.detail != DONE:
            error.resume = job.run.resume_command  # by the path that it has for the first rank
            raise
    value = math.nan if state.progress.best_value is None else state.progress.best_value
    yield RunFinished(str(job.run.path), config.monitor, value, state.progress.elapsed)


def _require_equal(ranks: Ranks, what: str, own: str) -> None:
    """Raises `RankError` naming a rank whose text is not that of the first."""
    digest = hashlib.sha256(own.encode()).hexdigest()
    hosts = [line.rsplit(" ", 1) for line in ranks.texts(f"{socket.gethostname()} {digest}")]
    for rank, (host, other) in enumerate(hosts):
        if other != hosts[0][1]:
            raise RankError(
                "differs",
                f"rank {rank} (on {host}) has other {what} than rank 0 (on {hosts[0][0]}): {REMEDIES[what]}",
            )


REMEDIES = {
    "code": "install the same versions of seewhy, torch and numpy everywhere",
    "settings": "start all processes with the same recipe and flags",
    "data": "copy the same images, and the models that the recipe names, everywhere",
}


def _code() -> str:
    """All that computes: the sources of this package, and the versions below it."""
    home = Path(__file__).parents[1]
    sources = (hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(home.rglob("*.py")))
    versions = torch.__version__, numpy.__version__, platform.python_version()
    return " ".join([*sources, *versions])


def _asked(request: Request) -> str:
    """The settings that a request names, but for data and directory: these are elsewhere on each machine."""
    recipe = request.recipe
    if recipe is not None and Path(recipe).is_file():
        recipe = Path(recipe).read_text("utf-8", errors="replace")
    overrides = sorted((request.overrides or {}).items())
    return repr(
        (str(recipe), overrides, request.resume, request.init is None, request.model is None)
    )
