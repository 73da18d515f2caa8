"""A small training in a process of its own, and whether two runs came to the same bits."""

import itertools
import json
import os
from dataclasses import asdict

from helpers import QUICK, same_weights
from rendering import unrendered

import seewhy
from seewhy.events import Note, RunFinished, RunStarted
from seewhy.training.checkpoint import latest_checkpoint

OVERRIDES = QUICK | {"train.optimizer": "adam", "train.ema": 0.9, "train.epochs": 3}
OVERRIDES |= {"augment.flip": 0.5, "train.checkpoint_seconds": 1e-6}
ARGUMENTS = ["train", "--resume", "--recipe=regularized-cnn"]
ARGUMENTS += [f"--{name}={value}" for name, value in OVERRIDES.items()]


def train(data, out, cache):
    os.environ["SEEWHY_CACHE"] = str(cache)
    seewhy.train(data, "regularized-cnn", out=out, overrides=OVERRIDES, resume=True)


def execute_train(data, out, cache):
    """The same by the command line in a fresh interpreter, which can be killed while it imports."""
    os.environ["SEEWHY_CACHE"] = str(cache)
    command = unrendered(*ARGUMENTS, f"--data={data}", f"--out={out}")
    os.execv(command[0], command)


def at_sync(number, act):
    """Has `act()` called before the so-manieth call of fsync: files are written, but not in place."""
    calls, sync = itertools.count(1), os.fsync

    def acting(handle):
        if next(calls) == number:
            act()
        sync(handle)

    os.fsync = acting


def without_times(rows):
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "elapsed", "events_length")}
        for row in rows
    ]


def noticed(run):
    """The events of a run but the notes, which say where it was resumed."""
    return [event for event in run.events if not isinstance(event, Note | RunStarted | RunFinished)]


def result(run):
    """All that a finished run says but its times, with the bits of its last checkpoint."""
    latest = latest_checkpoint(run.checkpoints)
    progress = json.loads((latest / "state.json").read_text())["progress"]
    progress["history"] = without_times(progress["history"])
    model = seewhy.load(run.path)
    return {
        "history": without_times(run.history),
        "events": without_times(map(asdict, noticed(run))),
        "progress": without_times([progress]),
        "checkpoints": sorted(path.name for path in run.checkpoints.iterdir()),
        "tensors": (latest / "state.safetensors").read_bytes(),
        "metrics": run.metrics,
        "temperature": model.decision.temperature,
        "predictions": seewhy.Predictions.from_parquet(run.predictions("val")).logits.tobytes(),
        "splits": (run.path / "splits.csv").read_bytes(),
        "config": run.config,
    }


def require_same(run, cache, whole):
    assert result(run) == result(whole)
    assert same_weights(run.model, whole.model)
    assert not [*run.path.rglob("*.tmp"), *cache.rglob("store-*.tmp")]
