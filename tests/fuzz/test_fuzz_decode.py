"""Runs the fuzz target for a minute where `atheris` is installed (R3)."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
def test_a_minute_of_fuzzing_finds_nothing(tmp_path):
    pytest.importorskip("atheris", reason="pip install atheris")
    command = [sys.executable, str(Path(__file__).with_name("fuzz_decode.py")), "60"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    runs = int(re.findall(r"Done (\d+) runs", done.stderr)[0])
    assert runs > 1000 and list(tmp_path.iterdir()) == []
