"""Processes that share the runs of an experiment: each run is trained once, also where one is killed."""

import json
import os
import time

import pytest
from helpers import QUICK, same_weights

import seewhy
from reliability import processes
from seewhy.run import Run

FIELDS = QUICK | {"train.epochs": 4, "train.checkpoint_seconds": 1e-6}
PLAN = """
recipe: regularized-cnn
seeds: 2
rows:
  smoothed: {with: {train.label_smoothing: 0.1}}
"""


def train_seeds(data, out, cache):
    os.environ["SEEWHY_CACHE"] = str(cache)
    seewhy.seeds(data, "regularized-cnn", 3, out=out, overrides=FIELDS)


def ablate(data, out, cache):
    os.environ["SEEWHY_CACHE"] = str(cache)
    plan = out.with_name("plan.yaml")
    plan.write_text(PLAN)
    seewhy.ablate(data, plan, out=out, overrides=FIELDS)


def starts(out):
    """How often each run was begun or continued, by its directory."""
    logs = sorted(out.rglob("events.jsonl"))
    kinds = {
        log.parent: [json.loads(line)["type"] for line in log.read_text().splitlines()]
        for log in logs
    }
    return {path: kinds[path].count("RunStarted") for path in kinds}


@pytest.mark.parametrize(
    ("work", "result"),
    [(train_seeds, "seeds.json"), pytest.param(ablate, "ablation.json", marks=pytest.mark.long)],
)
def test_two_processes_share_the_runs_and_one_takes_over_from_a_killed_one(
    photos, tmp_path, work, result
):
    out, cache = tmp_path / "shared", tmp_path / "cache"
    both = [processes.start(work, photos, out, cache) for _ in range(2)]
    while not [*out.rglob("step-*/state.json")]:
        assert all(process.is_alive() for process in both)
        time.sleep(0.005)
    both[0].kill()
    both[1].join(120)
    assert both[1].exitcode == 0
    assert len(starts(out)) == (3 if work is train_seeds else 4) and set(starts(out).values()) == {
        1
    }
    assert processes.run(work, photos, tmp_path / "alone", cache) == 0
    for path in starts(out):
        own, alone = Run(path), Run(tmp_path / "alone" / path.relative_to(out))
        assert same_weights(own.model, alone.model)
    one, other = (json.loads((home / result).read_text()) for home in (out, tmp_path / "alone"))
    assert one.keys() == other.keys()


@pytest.mark.long
def test_two_processes_split_the_runs(photos, tmp_path):
    out = tmp_path / "shared"
    both = [processes.start(train_seeds, photos, out, tmp_path / "cache") for _ in range(2)]
    for process in both:
        process.join(120)
        assert process.exitcode == 0
    assert set(starts(out).values()) == {1}
    assert len(json.loads((out / "seeds.json").read_text())["runs"]) == 3
