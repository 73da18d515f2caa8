"""The same seed and settings are the same bits; other settings are said."""

import os
import signal

import pytest
import torch

from reliability import processes
from reliability.trainings import (
    ARGUMENTS,
    at_sync,
    execute_train,
    require_same,
    result,
    train,
)
from seewhy.run import Run


def test_three_trainings_of_one_seed_have_the_same_bits(photos, whole, tmp_path):
    """One before, one forked and one in an interpreter of its own, each with a cache of its own."""
    for function in (train, execute_train):
        run, cache = Run(tmp_path / function.__name__), tmp_path / f"cache-{function.__name__}"
        assert processes.run(function, photos, run.path, cache) == 0
        require_same(run, cache, whole)


@pytest.mark.long
def test_another_seed_has_other_bits(photos, whole, tmp_path):
    arguments = [*ARGUMENTS, "--seed=1", "--data", photos, "--out", tmp_path / "run"]
    assert processes.seewhy(arguments)[0] == 0
    other, expected = result(Run(tmp_path / "run")), result(whole)
    assert other["splits"] == expected["splits"] and other["tensors"] != expected["tensors"]


def die_half_way():
    at_sync(50, lambda: os.kill(os.getpid(), signal.SIGKILL))


def use_two_threads():
    torch.set_num_threads(2)


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [(None, "resumed at step"), (use_two_threads, "resumed, not bit-exact: threads 1->2")],
)
def test_other_threads_are_said_on_resume(photos, whole, tmp_path, monkeypatch, prepare, expected):
    monkeypatch.setenv("SEEWHY_CACHE", str(whole.path.with_name("cache")))  # already filled
    arguments = [*ARGUMENTS, "--data", photos, "--out", tmp_path / "run"]
    assert processes.seewhy(arguments, die_half_way)[0] == -signal.SIGKILL
    code, said = processes.seewhy(arguments, prepare)
    assert code == 0 and expected in said
