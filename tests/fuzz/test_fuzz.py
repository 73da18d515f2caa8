"""Runs the fuzz targets (R3), for a minute each in the long tests, where `atheris` is installed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TARGETS = ("decode", "bundle", "csv")
SECONDS = [pytest.param("2", id="short"), pytest.param("60", id="long", marks=pytest.mark.long)]


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("name", TARGETS)
def test_fuzzing_finds_nothing(name: str, seconds: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="pip install atheris")
    command = [sys.executable, str(Path(__file__).with_name(f"fuzz_{name}.py")), seconds]
    # A shell starts it: the peak memory of a direct child counts from that of the test process.
    command = ["sh", "-c", '"$@" || exit', "sh", *command]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    runs = int(re.findall(r"Done (\d+) runs", done.stderr)[0])
    assert runs > 100 and list(tmp_path.iterdir()) == []
