"""Several processes that train one model: to the bits of one process, and none left behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

import seewhy
from reliability import processes
from reliability.test_kills import times
from reliability.trainings import OVERRIDES, require_same
from seewhy.errors import RankError
from seewhy.run import Run

SHARDED = OVERRIDES | {"train.shards": 2}
TECHNIQUES = {
    "adam and ema": {},
    "mixing, a policy and clipping": {
        "augment.mixup": 0.5,
        "augment.policy": "trivial",
        "train.clip": 0.1,
        "train.gradient_norms": 1,
    },
    "muon, swa and accumulation": {
        "train.optimizer": "muon",
        "train.ema": None,
        "train.swa": 0.6,
        "train.accumulate": 4,
    },
    "plateau and uneven shards": {
        "train.schedule": "plateau",
        "train.plateau_patience": 1,
        "train.shards": 3,
        "train.label_smoothing": 0.1,
    },
}


def arguments(data, out, fields):
    options = [f"--{name}={'none' if v is None else v}" for name, v in fields.items()]
    return ["train", "--recipe=regularized-cnn", f"--data={data}", f"--out={out}", *options]


def run_rank(number, world, port, cache, log, command):
    """One of `world` processes that run the same command."""
    from seewhy.cli import main

    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ.update(address, RANK=str(number), WORLD_SIZE=str(world), SEEWHY_CACHE=str(cache))
    for handle in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), handle)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", 1, closefd=False) for n in (1, 2))
    main(command)


def start(commands, tmp_path):
    """Processes that train together, each by its command."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    return [
        processes.start(
            run_rank, number, len(commands), port, tmp_path / "cache", tmp_path / "log", command
        )
        for number, command in enumerate(commands)
    ]


def codes(group, timeout=120):
    for process in group:
        process.join(timeout)
        assert process.exitcode is not None, "a process still runs"
    return [process.exitcode for process in group]


def train_alone(data, out, cache, fields, resume):
    os.environ["SEEWHY_CACHE"] = str(cache)
    seewhy.train(data, "regularized-cnn", out=out, overrides=fields, resume=resume)


def alone(data, run, fields, tmp_path, resume=False):
    """The same training in one process."""
    cache = tmp_path / "cache"
    assert processes.run(train_alone, data, run.path, cache, fields, resume) == 0


def wait_for(condition, group):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end and all(p.is_alive() for p in group), "it ended early"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(fields, id=name, marks=[pytest.mark.long] if number else [])
        for number, (name, fields) in enumerate(TECHNIQUES.items())
    ],
)
def test_two_processes_train_to_the_bits_of_one(photos, tmp_path, fields):
    whole, run = Run(tmp_path / "whole"), Run(tmp_path / "run")
    fields = SHARDED | fields
    alone(photos, whole, fields, tmp_path)
    elsewhere = tmp_path / "elsewhere"  # as on another machine
    shutil.copytree(photos, elsewhere / "photos")
    commands = [
        arguments(photos, run.path, fields),
        arguments(elsewhere / "photos", elsewhere / "run", fields),
    ]
    assert codes(start(commands, tmp_path)) == [0, 0], (tmp_path / "log").read_text()
    require_same(run, tmp_path / "cache", whole)
    assert not (elsewhere / "run").exists()


@times(2, 10)
def test_a_killed_rank_ends_all_and_one_process_resumes_to_the_same_bits(
    photos, tmp_path, rng, kills
):
    whole, fields = Run(tmp_path / "whole"), SHARDED | {"train.epochs": 10}
    alone(photos, whole, fields, tmp_path)
    for number in range(kills):
        run, place, killed = Run(tmp_path / f"run-{number}"), tmp_path / str(number), number % 2
        place.mkdir()
        group = start([arguments(photos, run.path, fields)] * 2, place)
        moment = rng.randrange(whole.saved_step // 2)
        wait_for(lambda run=run, moment=moment: (run.saved_step or -1) >= moment, group)
        group[1 - killed].kill()
        since = time.monotonic()
        expected = [RankError.exit_code, -signal.SIGKILL]
        assert codes(group) == (expected if not killed else expected[::-1])
        assert time.monotonic() - since < 10  # 1 s where nothing else runs
        said = (place / "log").read_text()
        assert (
            f"another process of this training is gone: continue with `{run.resume_command}" in said
        )
        alone(photos, run, fields, place, resume=True)
        require_same(run, place / "cache", whole)


@pytest.mark.long
@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stopped_rank_is_noticed(photos, tmp_path, stopped):
    run = Run(tmp_path / "run")
    group = start([arguments(photos, run.path, SHARDED | {"train.epochs": 2000})] * 2, tmp_path)
    wait_for(lambda: run.saved_step, group)
    os.kill(group[stopped].pid, signal.SIGSTOP)
    since = time.monotonic()
    group[1 - stopped].join()
    assert group[1 - stopped].exitcode == RankError.exit_code
    assert time.monotonic() - since < 15
    group[stopped].join(1)
    assert group[stopped].exitcode == -signal.SIGKILL  # by the other one


def test_a_signal_to_one_rank_stops_all_at_one_step(photos, tmp_path):
    run = Run(tmp_path / "run")
    group = start([arguments(photos, run.path, SHARDED | {"train.epochs": 2000})] * 2, tmp_path)
    wait_for(lambda: run.saved_step, group)
    os.kill(group[1].pid, signal.SIGTERM)
    assert codes(group) == [128 + signal.SIGTERM] * 2
    assert f"interrupted, and saved at step {run.saved_step:,}" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("differs", ["settings", "data", "order"])
def test_ranks_that_differ_are_refused(photos, tmp_path, differs):
    first = arguments(photos, tmp_path / "run", SHARDED)
    for number, file in enumerate(sorted(photos.rglob("*.png"), reverse=True)):
        copy = tmp_path / "renamed" / file.parent.name / f"{number}.png"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    other = {
        "settings": arguments(photos, tmp_path / "run", SHARDED | {"train.epochs": 7}),
        "data": arguments("digits", tmp_path / "run", SHARDED),
        "order": arguments(tmp_path / "renamed", tmp_path / "run", SHARDED),
    }
    assert codes(start([first, other[differs]], tmp_path)) == [RankError.exit_code] * 2
    said = (tmp_path / "log").read_text()
    assert said.count("seewhy: ") == 1  # the first rank speaks for all
    assert f"has other {'settings' if differs == 'settings' else 'data'} than rank 0" in said


def test_more_processes_than_shards_are_refused(photos, tmp_path):
    command = arguments(photos, tmp_path / "run", OVERRIDES)
    assert codes(start([command] * 2, tmp_path))[0] == 2
    assert "set --train.shards to 2 or more" in (tmp_path / "log").read_text()
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.long
def test_torchrun_restarts_a_killed_rank_to_the_same_bits(photos, tmp_path, rng):
    whole, fields = Run(tmp_path / "whole"), SHARDED | {"train.epochs": 60}
    alone(photos, whole, fields, tmp_path)
    environment = {**os.environ, "SEEWHY_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    launcher += ["--max-restarts=3", "-m", "seewhy"]
    for number in range(10):
        run, moment = Run(tmp_path / f"run-{number}"), rng.randrange(whole.saved_step // 2)
        with subprocess.Popen(
            [*launcher, *arguments(photos, run.path, fields)], env=environment
        ) as agent:
            while (run.saved_step or -1) < moment:
                assert agent.poll() is None
                time.sleep(0.01)
            os.kill(children(agent.pid)[number % 2], signal.SIGKILL)
            assert agent.wait(120) == 0
        require_same(run, tmp_path / "cache", whole)


def children(pid):
    """The processes that a process started, in the order of their numbers."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return sorted(map(int, file.read().split()))


@pytest.mark.long
def test_processes_end_with_the_one_that_started_them(photos, tmp_path):
    run = Run(tmp_path / "run")
    environment = {**os.environ, "SEEWHY_CACHE": str(tmp_path / "cache")}
    command = [*arguments(photos, run.path, SHARDED | {"train.epochs": 2000}), "--processes=2"]
    with subprocess.Popen([sys.executable, "-m", "seewhy", *command], env=environment) as parent:
        while run.saved_step is None:
            assert parent.poll() is None
            time.sleep(0.05)
        started = children(parent.pid)
        parent.kill()
        end = time.monotonic() + 5
        while any(os.path.exists(f"/proc/{pid}") for pid in started):
            assert time.monotonic() < end, "a process is left behind"
            time.sleep(0.05)


@pytest.mark.long
def test_processes_that_the_command_starts_train_to_the_bits_of_one(photos, tmp_path):
    whole, run = Run(tmp_path / "whole"), Run(tmp_path / "run")
    alone(photos, whole, SHARDED, tmp_path)
    environment = {**os.environ, "SEEWHY_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [*arguments(photos, run.path, SHARDED), "--processes", "2"]
    subprocess.run([sys.executable, "-m", "seewhy", *command], env=environment, check=True)
    require_same(run, tmp_path / "cache", whole)
