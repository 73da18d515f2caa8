"""What all tests share: fixed seeds, a cache of their own, and the data beside the repository."""

import fcntl
import gc
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from rendering import render_nothing

# Examples have no time limit: on a busy machine any takes long.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def shared_by_workers(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of xdist see, and nobody else."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Has the first worker make a folder that none changes; the others wait for it."""
    folder = shared_by_workers(factory) / name
    with open(folder.with_name(f"{name}.lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock.fileno()).st_size == 0:
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
            folder.mkdir()
            make(folder)
            lock.write("made")
    return folder


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Starts every test from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_collection_finish() -> None:
    """Frees the collector from looking through thousands of tests, again and again while they run."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keeps the tests out of the user's cache and data; each worker of xdist has a cache."""
    cache = tmp_path_factory.getbasetemp() / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEWHY_CACHE", str(cache))
        for name in ("SEEWHY_DATA", "SEEWHY_REGISTRY"):
            patch.delenv(name, raising=False)
        yield cache


@pytest.fixture(autouse=True, scope="module")
def few_sets(own_cache: Path) -> Iterator[None]:
    """Forgets the images of a module's tests: who adds to a cache looks through all that it holds."""
    yield
    for name in ("features", "pixels", "sets"):
        shutil.rmtree(own_cache / name, ignore_errors=True)


@pytest.fixture(autouse=True, scope="session")
def unsynced() -> Iterator[None]:
    """Has no file waited for until it is on the disk: what a machine loses is simulated, not tried."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def unrendered() -> Iterator[pytest.MonkeyPatch]:
    """Has no figure rendered, save where a test asks for `rendered`."""
    with pytest.MonkeyPatch.context() as patch:
        render_nothing(patch)
        yield patch


@pytest.fixture
def rendered(unrendered: pytest.MonkeyPatch) -> Iterator[None]:
    """Has figures rendered as a user sees them."""
    unrendered.undo()
    yield
    render_nothing(unrendered)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of each of three classes, to be read only."""
    from helpers import write_folder  # here, since it loads torch

    def make(folder: Path) -> None:
        write_folder(folder / "photos", count=12)

    return made_once(tmp_path_factory, "with-photos", make) / "photos"


@pytest.fixture(scope="session")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run on `photos`, to be read only."""
    from helpers import QUICK

    import seewhy

    def make(folder: Path) -> None:
        seewhy.train(photos, "regularized-cnn", out=folder / "run", overrides=QUICK)

    return made_once(tmp_path_factory, "with-run", make) / "run"


@pytest.fixture(scope="session")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's model as an ONNX file, to be read only."""
    pytest.importorskip("onnxscript")
    import seewhy

    def make(folder: Path) -> None:
        seewhy.export(trained, folder / "model.onnx")

    return trusted(made_once(tmp_path_factory, "with-export", make) / "model.onnx")


def trusted(file: Path) -> Path:
    """An ONNX file that another worker may have made, as if this one had."""
    from seewhy.inference import onnx, onnx_file

    onnx.remember(onnx_file.read(file).digest)
    return file


@pytest.fixture(scope="session")
def enlarging(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another ONNX file of that model, which enlarges an image and takes its centre; to be read only.

    What the other calls a cow it calls a wasp.
    """
    import onnx

    from seewhy.exporters.onnx import with_properties
    from seewhy.inference import golden, onnx_file

    def make(folder: Path) -> None:
        file = onnx_file.read(exported)
        rule = file.about.model.rule.model_copy(update={"store": 24})
        stored = {"rule": rule, "stored": golden.stored_digest(rule)}
        stored["classes"] = ("ant", "bee", "wasp")
        about = file.about.model_copy(update={"model": file.about.model.model_copy(update=stored)})
        data = with_properties(onnx.load(exported), about, file.golden)
        (folder / "model.onnx").write_bytes(data)

    return trusted(made_once(tmp_path_factory, "with-another-export", make) / "model.onnx")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as a site, built without a warning."""
    for name in ("material", "mkdocstrings"):
        pytest.importorskip(name, reason="the site is not built: pip install 'seewhy[docs]'")

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
        root = Path(__file__).parents[1]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "site", make)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with `cifar10` and `hymenoptera`; tests that need it are skipped without it."""
    beside = Path(__file__).parents[2] / "shared"
    data = Path(os.environ.get("SEEWHY_SHARED", beside)) / "data"
    if not data.is_dir():
        pytest.skip("no shared data: set SEEWHY_SHARED to the folder that holds data/")
    return data


@pytest.fixture(scope="session")
def some_cifar10(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 2,000 images of `train` and 1,000 of `test` of CIFAR-10, in the layout of the whole."""
    import pyarrow.parquet as pq

    root = tmp_path_factory.mktemp("cifar10")
    for name, count in (("train", 2000), ("test", 1000)):
        table = pq.read_table(shared_data / "cifar10" / f"{name}.parquet")
        pq.write_table(table.slice(0, count), root / f"{name}.parquet")
    return root


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. While it is open, this thread has a running event loop."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=quiet)
        yield opened
        opened.close()
