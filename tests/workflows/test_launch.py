"""What is said of processes that share work, when the first one is killed."""

import sys

import pytest

import seewhy
from seewhy.errors import RankError


@pytest.mark.parametrize(("together", "again"), [(True, "with --resume"), (False, "again")])
def test_after_a_kill_a_command_is_named_that_there_is(monkeypatch, tmp_path, together, again):
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killed))
    with pytest.raises(RankError, match=f"0 was killed by SIGKILL: run the same command {again}$"):
        seewhy.in_processes(["tune"], 2, together=together)
