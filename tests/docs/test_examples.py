"""Every command and every block of Python on the pages is executed, on a few images and for two epochs.

`NOT_RUN` has what is not, and why; that the command line takes it is tested in `test_pages.py`.
"""

import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.cifar_files import batch, py_files, to_folder
from documents import PAGES, all_commands, blocks, commands
from helpers import call, write_folder
from PIL import Image
from servers import running

import seewhy

pytestmark = pytest.mark.long
# The beginning of a command, and why it is not executed.
NOT_RUN = {
    "train --data photos/ --train.shards 2 --processes": "starts processes: tests/reliability/test_ranks.py",
    "train --resume --out runs/transfer --processes": "starts processes: tests/reliability/test_ranks.py",
    "train --recipe photos --data photos/ --seeds 4 --processes": "starts processes: test_sweeps.py",
    "tune --recipe photos --data photos/ --trials 20 --processes": "starts processes: test_sweeps.py",
    "train --recipe photos --data photos/ --seeds 4 --engine ray": "needs Ray: test_on_ray.py",
    "tune --recipe photos --data photos/ --trials 20 --engine ray": "needs Ray: test_on_ray.py",
    "registry push": "needs a server of MLflow: tests/workflows/test_mlflow_models.py",
    "registry pull": "needs a server of MLflow: tests/workflows/test_mlflow_models.py",
    "train --data photos/ --out runs/tracked": "needs a server of MLflow: tests/workflows/tracking",
    "serve": "does not end: a server is tried in tests/serving, and by the client below",
    "export runs/transfer --format web": "downloads onnxruntime-web: tests/exporters/test_web.py",
    "export runs/transfer --format executorch": "needs 550 MB: tests/exporters/test_executorch.py",
    "feedback ": "needs answers of a server: tests/serving and tests/cli",
    "data apply-review photos/ served/": "needs `feedback export`: tests/workflows/test_served.py",
    "train --data photos-2/ --recipe photos": "needs the line above it",
    "ab status": "needs answers of two models: tests/cli/test_ab.py",
    "registry promote photos 2 --expect 1 --evidence": "needs `ab status`: tests/cli/test_ab.py",
    "predict runs/transfer photos.pack --out labels-ray.parquet": "needs Ray: test_label_blocks.py",
    "benchmark infer photos.onnx --runtime": "needs OpenVINO: tests/inference/test_openvino.py",
}
# Half of the images validate: `calibrate --precision` wants some dozens of answers.
HALVES = {"data.val": 0.5, "data.test": 0.1}
SMALL = {"data.size": 32, "train.epochs": 2, "train.batch_size": 8, "train.amp": "fp32"}
LEARNT = {**SMALL, "train.epochs": 12, "model.name": "simple_cnn", "model.width": None}


def as_flags(fields: Mapping[str, object]) -> list[str]:
    return [part for name, value in fields.items() for part in (f"--{name}", str(value))]


TRAINING = as_flags(SMALL)
# What is added to a verb, so that it takes seconds.
ADDED = {
    "train": TRAINING,
    "ablate": [*TRAINING, "--seeds", "1"],
    "tune": [*TRAINING, "--trials", "1"],
    "find-lr": TRAINING,
    "learning-curve": [*TRAINING, "--shares", "0.5,1"],
    "data labels": [*TRAINING, "--folds", "2"],
    "robustness": ["--n", "4"],
    "compress": ["--methods", "int8"],
    "explain": ["--no-check"],
}
EXIT = {
    "data check": 1,  # images of one colour are near-duplicates
    "explain runs/transfer --data photos/ --split val --only wrong": 2,  # no image is wrong
}
EXAMPLES = [
    page for page in PAGES if {"bash", "python"} & {block.language for block in blocks(page)}
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages take for granted: photographs, other images, CIFAR-10, and trained runs."""
    folder = tmp_path_factory.mktemp("world")
    for name, count in (("photos", 64), ("holdout", 10)):
        write_folder(folder / name, classes=("cats", "dogs"), count=count, size=72, seed=count)
    for path in (folder / "photos").glob("*/*.png"):
        Image.open(path).save(path.with_name(f"{int(path.stem)}.jpg"), quality=95)
        path.unlink()
    images = sorted((folder / "photos").glob("*/*.jpg"))
    (folder / "new-images").mkdir()
    for path, name in zip(
        images, ("image.jpg", "a.jpg", "b.jpg", "new-images/1.jpg"), strict=False
    ):
        shutil.copy(path, folder / name)
    for number, path in enumerate(images[::10]):
        shutil.copy(path, folder / "new-images" / f"{number + 2}.jpg")
    noise = np.random.default_rng(0).integers(0, 256, (60, 72, 72, 3), np.uint8)
    (folder / "other-images").mkdir()
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(folder / "other-images" / f"{number}.png")
    to_folder(
        py_files({"data_batch_1": batch(300), "test_batch": batch(100, 2)}),
        folder / "path/to/cifar10",
    )
    for name, seed in (("transfer", 0), ("transfer-2", 3), ("photos", 1), ("photos-2", 2)):
        overrides = {**LEARNT, **HALVES, "train.seed": seed}
        seewhy.train(folder / "photos", "photos", out=folder / "runs" / name, overrides=overrides)
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the world as working directory."""
    shutil.copytree(world, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEWHY_REGISTRY", str(tmp_path / "registry.db"))
    monkeypatch.setenv("SEEWHY_DATA", str(tmp_path / "path" / "to"))
    (tmp_path / "mine.yaml").write_text(call("recipes", "show", "photos").out)
    rows = (tmp_path / "runs" / "photos" / "splits.csv").read_text().splitlines()
    column = rows[0].split(",").index("hash")
    train = next(row for row in rows if ",train" in row)
    (tmp_path / "review.csv").write_text(
        f"hash,right_label\n{train.split(',')[column]},none of these\n"
    )
    return tmp_path


def run_command(arguments: list[str], given: set[Path]) -> None:
    """Executes a command at a small size; what an earlier one wrote to the same place is removed."""
    line = " ".join(arguments)
    if any(line.startswith(start) for start in NOT_RUN):
        return
    verb = next((verb for verb in ADDED if f"{line} ".startswith(f"{verb} ")), None)
    added = ADDED[verb] if verb else []
    if "--recipe photos" in line and "--train." not in line:
        added = [*added, "--model.name", "simple_cnn", "--model.width", "none"]
    if verb and added[: len(TRAINING)] == TRAINING and "photos/" in line:
        added = [*added, *as_flags(HALVES)]
    if "--init" in arguments or ("--resume" in arguments and verb == "train"):
        added = ["--epochs", "3"] if {"--epochs", "--init"} & set(arguments) else []
    if "--out" in arguments and "--resume" not in arguments:
        out = Path(arguments[arguments.index("--out") + 1])
        if out not in given:
            shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    code = next((code for start, code in EXIT.items() if line.startswith(start)), 0)
    call(*arguments, *added, code=code)


def quickly(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that trains, on small images and, where it is not to keep its weights, a small network."""

    def quick(*arguments: Any, overrides: Mapping[str, Any] = {}, **options: Any) -> Any:
        split = HALVES if arguments[:1] == ("photos/",) else {}
        fields = SMALL if "transfer" in arguments else LEARNT
        small = {} if options.get("resume") else {**overrides, **fields, **split}
        return function(*arguments, overrides=small, **options)

    return quick


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(
    page: Path, here: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {path.relative_to(here) for path in here.rglob("*")}
    for block in blocks(page):
        if block.file:
            Path(block.file).write_text(block.text)
    names: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        for block in blocks(page):
            if block.language == "bash":
                for arguments in commands(block.text):
                    run_command(arguments, given)
            elif block.language == "python":
                text = block.text
                if "127.0.0.1:8000" in text:
                    server = stack.enter_context(running(here, exported))
                    text = text.replace("http://127.0.0.1:8000", server.url)
                with monkeypatch.context() as patched:
                    for name in ("train", "training_events"):
                        patched.setattr(seewhy, name, quickly(getattr(seewhy, name)))
                    exec(compile(text, page.name, "exec"), names)


def test_what_is_not_run_is_on_a_page() -> None:
    lines = [" ".join(arguments) for page in PAGES for arguments in all_commands(page)]
    assert all(any(line.startswith(start) for line in lines) for start in NOT_RUN)
