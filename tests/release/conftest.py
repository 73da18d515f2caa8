"""The libraries that are installed here, without SeeWhy: what a new environment finds there offline."""

import sysconfig
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("libraries")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(("seewhy", "__editable__", "_distutils", "distutils", "pip")):
            (folder / path.name).symlink_to(path)
    return folder
