import importlib
import re
import runpy
import tomllib
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

import seewhy
from seewhy.errors import UsageError
from seewhy.floors import FLOORS, require

READERS = {
    "PIL": "data/images/formats.py",
    "h11": "serving/server.py",
    "python_multipart": "serving/server.py",
    "safetensors": "models/pretrained.py",
    "starlette": "serving/server.py",
    "torch": "inference/device.py",
}


def library(name: str, version: str) -> ModuleType:
    module = ModuleType(name)
    module.__version__ = version
    return module


def test_a_library_older_than_its_floor_is_refused_with_the_line_to_install():
    for version in ("2.11", "2.11.0+cpu", "2.13.0+cu126", "3.0.0.dev1", "10.0"):
        require(library("torch", version))
    for version in ("2.10.9", "2.9", "1.99.0+cpu"):
        with pytest.raises(UsageError, match=r"pip install 'torch>=2\.11'"):
            require(library("torch", version))


def test_the_floors_are_those_that_pip_keeps():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    lines = chain(project["dependencies"], *project["optional-dependencies"].values())
    matches = (re.match(r"([\w-]+)>=([\d.]+)", line) for line in lines)
    declared = dict(match.groups() for match in matches if match)
    for name, floor in FLOORS.values():
        assert declared[name] == floor


@pytest.mark.parametrize(("name", "reader"), READERS.items())
def test_each_part_asks_for_what_it_reads_with(name, reader, monkeypatch):
    found = pytest.importorskip(name)
    importlib.import_module("PIL.Image")  # which refuses a version that is not its own
    monkeypatch.setattr(found, "__version__", "0.0.1")
    with pytest.raises(UsageError, match=re.escape("0.0.1 has known security holes")):
        runpy.run_path(str(Path(seewhy.__file__).parent / reader))


def test_what_writes_onnx_asks_for_it(monkeypatch):
    onnx = pytest.importorskip("onnx")
    from seewhy.exporters.quantise import to_int8

    assert {*READERS, "onnx"} == FLOORS.keys()
    monkeypatch.setattr(onnx, "__version__", "0.0.1")
    with pytest.raises(UsageError, match=re.escape("onnx 0.0.1")):
        to_int8(None, None)
