"""A crash of the machine at any moment leaves a checkpoint that loads: the one before, or the new one."""

import pytest
import torch
from torch import nn

from reliability.crashes import Done, Recorder, Sync, crashes, write_out
from seewhy.config.training import TrainConfig
from seewhy.files import write_atomic
from seewhy.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from seewhy.training.loop import TrainState

MOST_STATES = 500
# Step and epoch of each save: a step that ends an epoch is saved again once the epoch is validated.
SAVES = [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (4, 3)]


def state_at(step, epoch):
    state = TrainState.start(nn.Linear(2, 2), TrainConfig())
    for weight in state.network.parameters():
        nn.init.constant_(weight, step)
    state.progress.step, state.progress.best_epoch = step, epoch
    return state


def save_state(root, number):
    save_checkpoint(state_at(*SAVES[number]), root / "checkpoints")


def loaded(root):
    """Step and epoch of the checkpoint that a next start would go on with."""
    latest = latest_checkpoint(root / "checkpoints")
    if latest is None:
        return None
    state = state_at(0, 0)
    load_checkpoint(state, latest)
    assert torch.all(state.network.weight == state.progress.step)
    return state.progress.step, state.progress.best_epoch


def save_file(root, number):
    write_atomic(root / "history.csv", b"%d" % number * 1000)


def read_file(root):
    path = root / "history.csv"
    return path.read_bytes() if path.exists() else None


def recorded(root, save, saves, monkeypatch):
    """What so many calls of `save(root, number)` told the file system."""
    root.mkdir()
    recorder = Recorder(root)
    with monkeypatch.context() as patch:
        recorder.install(patch)
        for number in range(saves):
            save(root, number)
            recorder.changes.append(Done(number + 1))
    return recorder.changes


def broken(changes, read, versions, home, rng):
    """How many crashes leave neither the last version that was saved nor the one under way."""
    home.mkdir()
    states = crashes(changes)
    found = 0
    for number, (saves, tree) in enumerate(rng.sample(states, min(len(states), MOST_STATES))):
        write_out(tree, home / str(number))
        found += read(home / str(number)) not in [None, *versions][saves : saves + 2]
    print(f"{found} of {len(states)} crashes break it")
    return found


@pytest.mark.parametrize(
    ("save", "read", "versions"),
    [
        (save_state, loaded, SAVES),
        (save_file, read_file, [b"%d" % number * 1000 for number in range(4)]),
    ],
    ids=["checkpoint", "file"],
)
def test_a_crash_leaves_the_version_before_or_the_new_one(
    tmp_path, rng, monkeypatch, save, read, versions
):
    changes = recorded(tmp_path / "run", save, len(versions), monkeypatch)
    assert broken(changes, read, versions, tmp_path / "crashed", rng) == 0
    unsynced = [change for change in changes if not isinstance(change, Sync)]
    first_two = unsynced[: unsynced.index(Done(2)) + 1]
    assert broken(first_two, read, versions, tmp_path / "unsynced", rng) > 0


def test_replacing_a_directory_in_place_would_lose_it(tmp_path, rng, monkeypatch):
    """Why a step that is saved twice has only its record replaced."""

    def save_over(root, number):
        monkeypatch.setattr("seewhy.training.checkpoint._holds", lambda path, digest: False)
        save_state(root, number)

    changes = recorded(tmp_path / "run", save_over, 2, monkeypatch)
    assert broken(changes, loaded, SAVES, tmp_path / "crashed", rng) > 0
