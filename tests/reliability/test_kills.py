"""kill -9 at random moments costs one interval of saving at most, and no bit of the result."""

import itertools
import os
import signal
import time

import pytest
from helpers import same_weights
from torch import nn, optim

from reliability import processes
from reliability.trainings import at_sync, execute_train, require_same, train
from seewhy.config.training import TrainConfig
from seewhy.run import Run, writing
from seewhy.training import checkpoint
from seewhy.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from seewhy.training.loop import TrainState


def times(default, full):
    """A few of the kills by default, all of them in the long proofs."""
    return pytest.mark.parametrize("kills", [default, pytest.param(full, marks=pytest.mark.long)])


# ------------------------------------------------------------------ writing a checkpoint


def filled(step):
    """A training at a step that every one of its 130,000 weights tells."""
    config = TrainConfig(optimizer="adam", ema=0.5)
    state = TrainState.start(nn.Linear(360, 360), config)
    for tensor in (*state.network.parameters(), *state.average.values()):
        nn.init.constant_(tensor, step)
    state.progress.step = step
    return state


def save_on_and_on(directory, saved, save):
    latest = latest_checkpoint(directory)
    first = 0 if latest is None else int(latest.name.removeprefix("step-"))
    for step in itertools.count(first + 1):
        state = filled(step)
        save(state, directory)
        saved.send(step)
        state.progress.best_step = step  # as when its epoch has been validated
        save(state, directory)


def killed_while_saving(directory, save, seconds):
    """Kills a process so long after its first save; gives the last step that it had saved."""
    receive, send = processes.CONTEXT.Pipe(duplex=False)
    process = processes.start(save_on_and_on, directory, send, save)
    send.close()
    last = receive.recv()
    time.sleep(seconds)
    process.kill()
    process.join()
    try:
        while True:
            last = receive.recv()
    except EOFError:
        return last


@times(5, 200)
def test_a_kill_while_saving_loses_no_saved_checkpoint(tmp_path, rng, kills):
    run = Run(tmp_path)
    for _ in range(kills):
        saved = killed_while_saving(run.checkpoints, save_checkpoint, rng.uniform(0, 0.05))
        with writing(run):  # removes what was half written
            latest = latest_checkpoint(run.checkpoints)
        state = filled(0)
        load_checkpoint(state, latest)
        step = state.progress.step
        assert step in (saved, saved + 1)
        assert all(
            (t == step).all() for t in (*state.network.parameters(), *state.average.values())
        )
        assert not list(tmp_path.rglob("*tmp*"))


def save_plainly(state, directory):
    """As a tutorial would: straight over the checkpoint before."""
    directory.joinpath("weights").write_bytes(state.network.weight.detach().numpy().tobytes())
    directory.joinpath("step").write_text(str(state.progress.step))


def test_a_plain_writer_is_caught_half_way(tmp_path, rng):
    for _ in range(200):
        killed_while_saving(tmp_path, save_plainly, rng.uniform(0, 0.05))
        step = (tmp_path / "step").read_text()
        expected = filled(int(step or 0)).network.weight.detach().numpy().tobytes()
        if not step or (tmp_path / "weights").read_bytes() != expected:
            return
    raise AssertionError("200 kills broke no plain writer: they come at the wrong moments")


# ------------------------------------------------------------------ training


def train_until_sync(data, out, cache, number):
    at_sync(number, lambda: os.kill(os.getpid(), signal.SIGKILL))
    train(data, out, cache)


def duration(function, *arguments):
    """How long a function takes in a process of its own that is not killed."""
    start = time.monotonic()
    assert processes.run(function, *arguments) == 0
    return time.monotonic() - start


@times(5, 50)
def test_a_training_killed_at_any_moment_resumes_to_the_same_bits(
    photos, whole, tmp_path, rng, kills
):
    lasts = {train: duration(train, photos, tmp_path / "run", tmp_path / "cache")}
    lasts[execute_train] = 5 * lasts[train]  # it imports everything first
    done = 0
    while done < kills:
        run, cache = Run(tmp_path / f"run-{done}"), tmp_path / f"cache-{done}"
        while True:
            function = execute_train if done % 5 == 4 else train
            process = processes.start(function, photos, run.path, cache)
            process.join(rng.uniform(0, lasts[function]) if done < kills else None)
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            done += 1
        assert process.exitcode == 0
        require_same(run, cache, whole)


@times(2, 80)
def test_a_training_killed_before_a_file_is_in_place_resumes_to_the_same_bits(
    photos, whole, tmp_path, rng, kills
):
    for number in rng.sample(range(1, 81), kills):
        run, cache = Run(tmp_path / f"run-{number}"), tmp_path / f"cache-{number}"
        killed = processes.run(train_until_sync, photos, run.path, cache, number)
        assert killed == -signal.SIGKILL
        assert processes.run(train, photos, run.path, cache) == 0
        require_same(run, cache, whole)


def train_until_last(data, out, cache, epochs):
    """Kills itself when the last epoch is saved and the checkpoint of the best before is still there."""

    def removing(directory, progress):
        if len(progress.history) == epochs:
            os.kill(os.getpid(), signal.SIGKILL)
        remove_older(directory, progress)

    remove_older = checkpoint.remove_older
    checkpoint.remove_older = removing
    train(data, out, cache)


def test_a_killed_training_leaves_no_checkpoint_too_many(photos, whole, tmp_path):
    run, cache = Run(tmp_path / "run"), tmp_path / "cache"
    epochs = len(whole.history)
    assert processes.run(train_until_last, photos, run.path, cache, epochs) == -signal.SIGKILL
    assert len(list(run.checkpoints.iterdir())) > len(list(whole.checkpoints.iterdir()))
    assert processes.run(train, photos, run.path, cache) == 0
    require_same(run, cache, whole)


def train_until_left(data, out, cache, pattern):
    """Kills itself at the first fsync at which a temporary of this pattern lies in the run."""
    sync = os.fsync

    def acting(handle):
        if list(out.rglob(pattern)):
            os.kill(os.getpid(), signal.SIGKILL)
        sync(handle)

    os.fsync = acting
    train(data, out, cache)


@pytest.mark.parametrize("pattern", [".history.csv*.tmp", "step-*.tmp"])
def test_the_next_start_clears_what_a_killed_one_left(photos, tmp_path, pattern):
    run, cache = Run(tmp_path / "run"), tmp_path / "cache"
    processes.run(train_until_left, photos, run.path, cache, pattern)
    assert list(run.path.rglob(pattern))
    assert processes.run(train, photos, run.path, cache) == 0
    assert not list(run.path.rglob("*.tmp"))


def train_without_moments(data, out, cache):
    """A resume that forgets the optimiser's state."""
    optim.Optimizer.load_state_dict = lambda optimizer, state: None
    train(data, out, cache)


def test_a_resume_that_forgets_is_caught(photos, whole, tmp_path):
    run, cache = Run(tmp_path / "run"), tmp_path / "cache"
    processes.run(train_until_left, photos, run.path, cache, "history.csv")
    assert latest_checkpoint(run.checkpoints)
    assert processes.run(train_without_moments, photos, run.path, cache) == 0
    assert not same_weights(run.model, whole.model)
