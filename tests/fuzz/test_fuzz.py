"""Runs the fuzz targets (R3), for a minute each in the long tests, where `atheris` is installed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

LONG = [
    pytest.param(name, 60, id=f"{name}-long", marks=pytest.mark.long)
    for name in ("decode", "bundle", "csv")
]


# To make Pillow and PyTorch ready takes ten seconds each; mutants of images and bundles are tried elsewhere.
@pytest.mark.parametrize(("name", "seconds"), [pytest.param("csv", 2, id="csv-short"), *LONG])
def test_fuzzing_finds_nothing(name: str, seconds: int, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="pip install atheris")
    command = [sys.executable, str(Path(__file__).with_name(f"fuzz_{name}.py")), str(seconds)]
    # A shell starts it: the peak memory of a direct child counts from that of the test process.
    command = ["sh", "-c", '"$@" || exit', "sh", *command]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    runs = int(re.findall(r"Done (\d+) runs", done.stderr)[0])
    assert runs > 100 and list(tmp_path.iterdir()) == []
