"""A full disk is exit 3 and a line that says so; nothing from before is lost, and all goes on after."""

import os
import re
import resource
import shutil
import subprocess
import sys
from functools import partial

import pytest
from torch import nn

from reliability import processes
from reliability.trainings import ARGUMENTS, at_sync, require_same, train
from seewhy import files
from seewhy.config.training import TrainConfig
from seewhy.errors import DiskFullError
from seewhy.run import Run, writing
from seewhy.training.checkpoint import latest_checkpoint, save_checkpoint
from seewhy.training.loop import TrainState

SYNCS = 106  # calls of fsync in the training and its figures
LARGEST = 2_400_000  # bytes of a checkpoint, the largest file
NAMED = re.compile(
    r"seewhy: (disk full while writing .+ \(need [\d.,]+ MB\)|(training|the cache of .+) needs [\d,]+ MB)"
)


def limit_files(number, size):
    """Lets no file grow beyond a size from the so-manieth fsync on."""
    act = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    at_sync(number, act) if number else act()


def fill_disk(ballast, number, size):
    """Leaves so many bytes of the disk of `ballast` from the so-manieth fsync on."""

    def act():
        space = os.statvfs(ballast.parent)
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - size)

    at_sync(number, act) if number else act()


def offsets(rng):
    """A moment and a number of bytes from then on, as many small as large."""
    size = rng.choice([rng.uniform(0, LARGEST), 10 ** rng.uniform(0, 4)])
    return rng.randrange(SYNCS), int(size)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MB of the test's own."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "seewhy-test", str(path)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip(
            "mounting a small tmpfs takes root; the limit on a file's size is tried all the same"
        )
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def times(default, full):
    """A few of the offsets by default, all of them in the long proofs."""
    return pytest.mark.parametrize("count", [default, pytest.param(full, marks=pytest.mark.long)])


def is_full(photos, run, cache, fill):
    """Trains on a disk that fills; whether it did, once that was said and nothing was harmed."""
    arguments = [*ARGUMENTS, "--data", photos, "--out", run.path]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEWHY_CACHE", str(cache))
        code, said = processes.seewhy(arguments, fill)
    print(f"{fill}\n{said}")
    if code == 0:
        return False
    assert code == 3 and is_named(said)
    assert not [*run.path.rglob("*.tmp"), *cache.rglob("*.tmp")]
    saved = sorted(run.checkpoints.glob("step-*"), key=lambda path: int(path.name[5:]))
    assert latest_checkpoint(run.checkpoints) == (saved[-1] if saved else None)
    return True


def is_named(said):
    return bool(NAMED.match(said.splitlines()[-1])) and "Traceback" not in said


@times(3, 100)
def test_training_goes_on_to_the_same_bits_once_there_is_space(photos, whole, tmp_path, rng, count):
    full = 0
    while full < count:
        home = tmp_path / str(full)
        run, cache = Run(home / "run"), home / "cache"
        if is_full(photos, run, cache, partial(limit_files, *offsets(rng))):
            full += 1
            assert processes.run(train, photos, run.path, cache) == 0
            require_same(run, cache, whole)
        shutil.rmtree(home)


@times(2, 50)
def test_the_same_holds_where_the_file_system_has_no_space(photos, whole, small_disk, rng, count):
    full = 0
    run, cache, ballast = Run(small_disk / "run"), small_disk / "cache", small_disk / "ballast"
    while full < count:
        fill = partial(fill_disk, ballast, *offsets(rng))
        if is_full(photos, run, cache, fill):
            full += 1
            ballast.unlink()
            assert processes.run(train, photos, run.path, cache) == 0
            require_same(run, cache, whole)
        for path in small_disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    "verb",
    [
        ["predict", "{model}", "{photos}", "--out=predictions.csv"],
        ["predict", "{model}", "{photos}", "--out=predictions.jsonl"],
        ["evaluate", "{model}", "--data={photos}", "--split=train", "--out=predictions.csv"],
    ],
    ids=["predict-csv", "predict-jsonl", "evaluate-csv"],
)
@times(3, 34)
def test_predictions_are_whole_or_not_there(photos, whole, tmp_path, rng, verb, count):
    arguments = [part.format(model=whole.model, photos=photos) for part in verb]
    out = tmp_path / arguments[-1].partition("=")[2]

    def call(fill=None, *flags):
        return processes.seewhy([*arguments, *flags], partial(prepare, tmp_path, fill))

    assert call()[0] == 0
    expected = out.read_bytes()
    for size in (0, len(expected) - 1, *(rng.randrange(len(expected)) for _ in range(count - 2))):
        out.unlink()
        code, said = call(partial(limit_files, 0, size))
        print(f"{size} bytes: {said}")
        assert code == 3 and is_named(said)
        kept = out.with_name(f"{out.name}.partial")  # where the rows were whole, but not the table
        assert list(tmp_path.iterdir()) in ([], [kept])
        assert ("--resume" in said) == kept.exists()
        assert call(None, *["--resume"] * kept.exists())[0] == 0
        assert out.read_bytes() == expected and not kept.exists()


def prepare(directory, fill):
    os.chdir(directory)
    if fill is not None:
        fill()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_standard_output_is_said_too(photos, whole):
    command = [sys.executable, "-m", "seewhy", "predict", str(whole.model), str(photos)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr.startswith("seewhy: disk full while writing the output")
    assert len(done.stderr.splitlines()) == 1


def test_every_way_to_write_names_what_it_wrote_and_what_it_needs(tmp_path):
    assert processes.run(write_every_way, tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"log.txt", "run.lock", "checkpoints"}


def write_every_way(home):
    state = TrainState.start(nn.Linear(500, 500), TrainConfig())
    limit_files(0, 0)
    run = Run(home)
    for needs, name, write in (
        ("0.1", "log.txt", lambda: run.log("a line")),
        ("0.1", "run.lock", lambda: writing(run).__enter__()),
        ("2.0", "history.csv", lambda: files.write_atomic(home / "history.csv", bytes(2_000_000))),
        ("1.0", "step-0", lambda: save_checkpoint(state, run.checkpoints)),
    ):
        said = rf"^disk full while writing \S+{name} \(need {needs} MB\)"
        with pytest.raises(DiskFullError, match=said):
            write()


def test_a_full_disk_unnamed_would_be_a_traceback(photos, tmp_path):
    """The defence switched off: what the command line makes of it then."""
    arguments = [*ARGUMENTS, "--data", photos, "--out", tmp_path / "run"]
    code, said = processes.seewhy(arguments, look_away)
    assert code == 1 and "Traceback" in said


def look_away():
    files.FULL.clear()
    limit_files(0, 100)
