"""kill -9 at random moments of `retrain`: one candidate, the same weights, each alias moved once."""

import itertools
import os
import shutil

import pytest
from helpers import QUICK, same_weights, write_folder

import seewhy
from reliability import processes
from reliability.test_kills import duration, times

pytest.importorskip("sqlalchemy")

LIMITS = seewhy.GateLimits(margin=40, class_limit=90, robust_margin=90)
OVERRIDES = QUICK | {"train.epochs": 3, "train.checkpoint_seconds": 1e-6}


def retrain(home, data):
    os.environ["SEEWHY_CACHE"] = str(home / "cache")
    place, out = home / "registry.db", home / "out"
    seewhy.retrain(
        "photos",
        data,
        registry=place,
        out=out,
        overrides=OVERRIDES,
        limits=LIMITS,
        promote="gate",
    )


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A registry whose champion was trained on other images, and new ones."""
    home = tmp_path_factory.mktemp("start")
    old = write_folder(home / "old", count=12, seed=1)
    run = seewhy.train(old, "regularized-cnn", out=home / "run", overrides=QUICK)
    seewhy.register(run, "photos", registry=home / "registry.db")
    with seewhy.open_registry(home / "registry.db") as opened:
        opened.promote("photos", 1)
    write_folder(home / "new", count=24, seed=2)
    return home


def begun(start, home):
    home.mkdir()
    shutil.copy(start / "registry.db", home)
    return home


def result(home):
    """What a retraining left, without times; and the file of its candidate."""
    with seewhy.open_registry(home / "registry.db") as opened:
        events = [
            (one.kind, one.version, one.alias, one.previous, one.why)
            for one in opened.history("photos")
        ]
        gates = [one.evidence["gate"] for one in opened.history("photos")[2:]]
        file = opened.fetch(opened.find("photos@champion"), home)
    assert not list((home / "out").rglob("*.tmp"))
    return (events, gates), file


@times(2, 20)
def test_a_retraining_killed_at_any_moment_ends_with_the_same_result(start, tmp_path, rng, kills):
    home = begun(start, tmp_path / "whole")
    lasts = duration(retrain, home, start / "new")
    whole, model = result(home)
    assert [one[:3] for one in whole[0]][2:] == [
        ("add", 2, None),
        ("promote", 2, "challenger"),
        ("promote", 2, "champion"),
    ]
    done, numbers = 0, itertools.count()
    while done < kills:
        home = begun(start, tmp_path / f"killed-{next(numbers)}")
        while True:
            process = processes.start(retrain, home, start / "new")
            process.join(rng.uniform(0, lasts) if done < kills else None)
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            done += 1
        assert process.exitcode == 0
        same, own = result(home)
        assert same == whole and same_weights(own, model)


def test_two_at_once_train_once(start, tmp_path):
    home = begun(start, tmp_path / "two")
    both = [processes.start(retrain, home, start / "new") for _ in range(2)]
    for process in both:
        process.join(120)
    codes = sorted(process.exitcode for process in both)
    assert codes in ([0, 0], [0, 1])  # the second came late, or was told who works here
    events, _ = result(home)[0]
    assert [one[0] for one in events] == ["add", "promote", "add", "promote", "promote"]
    assert len(list((home / "out").glob("*/run"))) == 1
