"""One run directory has one writer; a lock holds nobody up once its holder is dead."""

import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import time

import pytest
from helpers import QUICK

import seewhy
from reliability import processes
from seewhy.errors import LockedError
from seewhy.run import Run, resumable_run, writing

SECONDS = 1  # within which the second of two writers knows


def compete(lock, path, barrier, parent):
    """Claims the run and holds it until told; says whether it did, and how long it took to know."""
    barrier.wait()
    start = time.monotonic()
    try:
        with lock(path):
            parent.send((True, time.monotonic() - start))
            parent.recv()
    except LockedError as error:
        parent.send((False, time.monotonic() - start))
        raise SystemExit(error.exit_code) from None


def claim(path):
    return writing(resumable_run(path, "digits"))


@contextlib.contextmanager
def claim_by_looking(path):
    """A lock as one writes it first: a file with the pid, if there is none yet."""
    path.mkdir(exist_ok=True)
    lock = path / "pid"
    if lock.exists():
        raise LockedError(path, "another")
    time.sleep(0.01)
    lock.write_text(str(os.getpid()))
    yield


def race(lock, path, winner_dies):
    """Two processes that want one directory at once: who won, seconds to know, and exit codes."""
    barrier = processes.CONTEXT.Barrier(2)
    pipes = [processes.CONTEXT.Pipe() for _ in range(2)]
    pair = [processes.start(compete, lock, path, barrier, theirs) for _, theirs in pipes]
    answers = [ours.poll(60) and ours.recv() for ours, _ in pipes]
    for process, (ours, _), (won, _) in zip(pair, pipes, answers, strict=True):
        if not won:
            process.join()
        elif winner_dies:
            process.kill()
        else:
            ours.send("end")
    for process in pair:
        process.join()
    return [(won, seconds, p.exitcode) for (won, seconds), p in zip(answers, pair, strict=True)]


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.parametrize("winner_dies", [False, True], ids=["ends", "killed"])
def test_of_two_processes_exactly_one_writes(tmp_path, rounds, winner_dies):
    """Half the rounds are in a new directory, half in one that the round before has left."""
    for number in range(rounds):
        path = tmp_path / f"run-{number // 2}"
        loser, winner = sorted(race(claim, path, winner_dies))
        assert loser[0] is False and loser[1] < SECONDS and loser[2] == LockedError.exit_code
        assert winner[0] is True and winner[2] == (-signal.SIGKILL if winner_dies else 0)


def test_a_lock_that_only_looks_lets_two_write(tmp_path):
    for number in range(50):
        if all(won for won, _, _ in race(claim_by_looking, tmp_path / str(number), False)):
            return
    raise AssertionError("no race was lost: the processes do not start at once")


@pytest.mark.parametrize("holder", ["dead", "reused", "elsewhere"])
def test_a_stale_lock_is_taken_over(tmp_path, holder):
    process = processes.start(time.sleep, 0)
    process.join()
    pid = {"dead": process.pid, "reused": os.getppid(), "elsewhere": 1}[holder]
    host = "another-host" if holder == "elsewhere" else socket.gethostname()
    (tmp_path / "run.lock").write_text(json.dumps({"pid": pid, "host": host}))
    with writing(Run(tmp_path)):
        mine = json.loads((tmp_path / "run.lock").read_text())
        assert mine == {"pid": os.getpid(), "host": socket.gethostname()}


def test_where_there_are_no_locks_it_warns(tmp_path, monkeypatch):
    def without(handle, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    with pytest.warns(UserWarning, match="file system without locks"), writing(Run(tmp_path)):
        pass


LONG = QUICK | {"train.epochs": 100_000}


def train_for_long(data, out):
    seewhy.train(data, "regularized-cnn", out=out, overrides=LONG, resume=True)


def steps(run):
    return {path.name for path in run.checkpoints.glob("step-*[0-9]")}


def wait_for_another_step(run, process):
    before = steps(run)
    while steps(run) <= before:
        assert process.is_alive()
        time.sleep(0.01)


def test_a_second_training_is_refused_and_a_killed_one_taken_over(photos, tmp_path):
    run = Run(tmp_path / "run")
    first = processes.start(train_for_long, photos, run.path)
    wait_for_another_step(run, first)
    flags = [f"--{name}={value}" for name, value in LONG.items()]
    again = ["train", "--recipe=regularized-cnn", "--resume", *flags]
    code, said = processes.seewhy([*again, "--data", photos, "--out", run.path])
    assert code == 6 and f"is being written by process {first.pid} on" in said
    first.kill()
    first.join()
    second = processes.start(train_for_long, photos, run.path)
    wait_for_another_step(run, second)
    second.terminate()
    second.join()
    assert second.exitcode == 128 + signal.SIGTERM
