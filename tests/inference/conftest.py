from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attacks.targets import Own, bundle

from seewhy.inference.bundle import save


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    save(bundle(facts={"epochs": 3}, fingerprint="a" * 64, parents=("b" * 64,)), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is such a place: thousands of files are written over here."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("tiny") / "model.safetensors"
    save(bundle(Own(), facts={"epochs": 3}, fingerprint="a" * 64), path)
    return path.read_bytes()
