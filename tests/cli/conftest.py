"""What the tests of the command line share."""

import shutil

import pytest
from cli.terminals import TerminalStream


@pytest.fixture
def run(trained, tmp_path):
    """A copy of `trained`, to be written to."""
    return shutil.copytree(trained, tmp_path / "copy" / "run")


@pytest.fixture
def terminal_stream(monkeypatch):
    """Makes streams of a terminal of so many columns."""

    def made(columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm-256color")
        return TerminalStream()

    return made
