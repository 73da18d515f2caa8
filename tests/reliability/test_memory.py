"""Too little memory is a line of advice and exit 4: no traceback, no hang, and nothing is lost."""

import errno
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from unittest.mock import ANY

import pytest
from helpers import QUICK, same_weights
from PIL import Image
from torch import nn

import seewhy
import seewhy.cli
from reliability import processes
from seewhy.config.training import TrainConfig
from seewhy.data.images.decode import read_file
from seewhy.training.checkpoint import save_checkpoint
from seewhy.training.loop import TrainState

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps RLIMIT_AS")

SECONDS = 30  # that a process may take to say so
# Megabytes above what a process has once all is imported.
SIZES = (2, 10, 16, 25, 40, 60, 100, 160, 250, 400, 640)
FLAGS = [f"--{name}={value}" for name, value in QUICK.items()]
TRAIN = ["train", "--recipe=regularized-cnn", *FLAGS]


@pytest.fixture(scope="session")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return seewhy.train(photos, "regularized-cnn", out=out, overrides=QUICK)


@pytest.fixture(scope="session")
def large(tmp_path_factory):
    """Two classes of images that take 48 MB each when they are decoded."""
    root = tmp_path_factory.mktemp("large")
    for label in range(2):
        (root / str(label)).mkdir()
        for number in range(4):
            picture = Image.new("RGB", (4000 + number, 4000), (200 * label, 40 * number, 0))
            picture.save(root / str(label) / f"{number}.jpg")
    return root


def limit_memory(megabytes):
    """Limits a process to so much more address space than it has."""
    seewhy.cli.ROOM = 1  # to come as far as it lasts, not to be refused at the door
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + megabytes * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def is_advice(text):
    """Whether the last line is advice; nothing before it may look like a fault."""
    *before, last = text.splitlines()
    assert not any(sign in text for sign in ("Traceback", "Exception", "panicked", "core dumped"))
    assert not any(line.startswith("seewhy:") for line in before)
    return last.startswith("seewhy: no memory left")


@pytest.mark.parametrize("job", ["large batch", "large pictures", "predict", "evaluate"])
@pytest.mark.parametrize("count", [1, pytest.param(len(SIZES), marks=pytest.mark.long)])
def test_little_memory_is_advice(photos, large, run, tmp_path, monkeypatch, rng, job, count):
    for size in rng.sample(SIZES, count):
        monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / f"cache-{size}"))
        arguments = {
            "large batch": [*TRAIN, "--train.batch_size=20000", "--epochs=20", "--data", photos],
            "large pictures": [*TRAIN, "--on-bad=skip", "--max-bad=1", "--data", large],
            "predict": ["predict", run.path, large],
            "evaluate": ["evaluate", run.path, "--data", photos],
        }[job]
        if arguments[0] == "train":
            arguments = [*arguments, "--out", tmp_path / f"run-{size}"]
        code, said = processes.seewhy(arguments, partial(limit_memory, size), SECONDS)
        print(f"{size} MB: exit {code}\n{said}")
        assert code == 0 or (code == 4 and is_advice(said))
        assert code == 4 or size > min(SIZES)


@pytest.mark.parametrize("megabytes", [100, 200, 300, 400, 450, 500, 600, 800, 1000, 1400])
def test_too_little_to_begin_is_said_before_anything_is_loaded(megabytes):
    """Between 380 and 500 MB, PyTorch and OpenBLAS would end the process while they are imported."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    command = [sys.executable, "-m", "seewhy", "train"]
    done = subprocess.run(
        command, preexec_fn=limit, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 4 and is_advice(done.stderr)
    assert "address space" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.fixture
def full(monkeypatch):
    """Fails every mapping of memory."""

    def mmap(*arguments):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("mmap.mmap", mmap)


def called(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        seewhy.cli.main(list(map(str, arguments)))
    return ended.value.code or 0, capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["recipes"], ["info"]])
def test_what_needs_no_torch_is_never_refused(full, run, capsys, monkeypatch, arguments):
    monkeypatch.setattr("resource.getrlimit", lambda which: (1 << 30, 1 << 30))
    assert called(capsys, "models") == (4, ANY)
    assert called(capsys, *arguments, *([run.path] if arguments == ["info"] else []))[0] == 0


def test_nothing_is_refused_where_memory_is_not_limited(full, capsys):
    assert called(capsys, "models")[0] == 0


def test_a_training_that_ran_out_goes_on_to_the_same_bits(photos, run, tmp_path):
    arguments = [*TRAIN, f"--data={photos}", f"--out={tmp_path / 'run'}", "--resume"]
    assert processes.seewhy(arguments, partial(limit_memory, 8))[0] == 4
    assert processes.seewhy(arguments)[0] == 0
    assert processes.run(train_whole, photos, tmp_path / "whole") == 0
    assert same_weights(
        tmp_path / "run" / "model.safetensors", tmp_path / "whole" / "model.safetensors"
    )


def train_whole(data, out):
    seewhy.train(data, "regularized-cnn", out=out, overrides=QUICK)


def save_large(directory):
    state = TrainState.start(nn.Linear(4000, 5000), TrainConfig())  # 80 MB
    limit_memory(120)
    with pytest.raises(MemoryError):
        save_checkpoint(state, directory)


def test_a_checkpoint_too_large_for_the_memory_is_a_plain_memory_error(tmp_path):
    """Its writer in Rust would panic, which prints a stack and is no `Exception`."""
    assert processes.run(save_large, tmp_path) == 0
    assert not list(tmp_path.iterdir())


def read_small(path):
    limit_memory(50)
    assert len(read_file(path)) == path.stat().st_size


def test_a_small_image_takes_little_memory_to_read(photos):
    """Whatever the limit on a file's size is, it is not made room for."""
    assert processes.run(read_small, next(photos.rglob("*.png"))) == 0


def test_memory_that_runs_out_unnamed_would_be_a_traceback(photos, tmp_path):
    """The defence switched off: what the command line makes of it then."""
    arguments = [*TRAIN, f"--data={photos}", f"--out={tmp_path / 'run'}"]
    code, said = processes.seewhy(arguments, limit_and_look_away)
    assert code == 1 and "Traceback" in said


def limit_and_look_away():
    import seewhy.errors
    from seewhy.training import guards, micro_batches

    for module in (seewhy.errors, guards, micro_batches):
        module.out_of_memory = lambda error: False
    limit_memory(10)
