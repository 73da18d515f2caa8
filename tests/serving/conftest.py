"""A server that the tests of this folder share."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Running, running


@pytest.fixture(scope="session")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of a small ONNX model, named "small"."""
    folder = tmp_path_factory.mktemp("server")
    with running(folder, f"small={exported}", decoders=None, **{"decode-seconds": 30}) as one:
        while len(one.status()["decoders"]) < len(os.sched_getaffinity(0)):  # the others follow
            time.sleep(0.05)
        yield one
