"""What is logged: one line a record, whatever the names in it; silent unless someone listens."""

import json
import logging
import resource
import subprocess
import sys

import numpy as np
import pytest

import seewhy
from seewhy.errors import DiskFullError, UnwritableError, UsageError
from seewhy.logs import job

HOSTILE = ["a\nb", "\x1b[31mred", "\u202egnp", "\udce9", 'x" level="error', "\u2028", "a\0b"]
LOGGER = logging.getLogger("seewhy.test")


def lines(path):
    return path.read_text("utf-8").split("\n")[:-1]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_record_is_one_line_whatever_its_names(tmp_path, as_json):
    with seewhy.log_to(tmp_path / "log", as_json=as_json):
        for name in HOSTILE:
            LOGGER.warning("bad image", extra={"path": name, "code": "undecodable"})
            LOGGER.info(name)
    written = lines(tmp_path / "log")
    assert len(written) == 2 * len(HOSTILE)
    assert all(line.isprintable() for line in written)
    if as_json:
        records = [json.loads(line) for line in written]
        assert [record["path"] for record in records[::2]] == HOSTILE
        assert {tuple(record) for record in records[::2]} == {
            ("time", "level", "logger", "event", "path", "code")
        }
    else:
        assert all(line.split()[1:3] == ["WARNING", "seewhy.test"] for line in written[::2])


def test_numbers_and_records_are_valid_json(tmp_path):
    with seewhy.log_to(tmp_path / "log", as_json=True):
        values = {"rate": float("nan"), "count": np.int64(3), "sizes": np.arange(2)}
        LOGGER.info("numbers", extra=values)
    (line,) = lines(tmp_path / "log")
    record = json.loads(line)
    assert (record["rate"], record["count"], record["sizes"]) == (None, 3, [0, 1])


def test_work_is_logged_from_start_to_end_or_to_its_error(tmp_path):
    with seewhy.log_to(tmp_path / "log", as_json=True):
        with job("test", model="m") as results:
            results["images"] = 2
        with pytest.raises(UsageError), job("test"):
            raise UsageError("no\nway")
        with pytest.raises(KeyboardInterrupt), job("test"):
            raise KeyboardInterrupt
        try:
            raise ValueError("a bug")
        except ValueError:
            LOGGER.exception("request failed")
    records = [json.loads(line) for line in lines(tmp_path / "log")]
    events = [record["event"] for record in records]
    assert events == [
        *("start", "end", "start", "failed", "start", "interrupted"),
        "request failed",
    ]
    assert records[1]["images"] == 2 and records[1]["seconds"] >= 0
    assert (records[3]["code"], records[3]["error"], records[3]["exit_code"]) == (
        *("UsageError", "no\nway"),
        2,
    )
    assert "a bug" in records[6]["traceback"]


def test_a_log_is_continued_and_ends_with_its_block(tmp_path):
    for number in range(2):
        with seewhy.log_to(tmp_path / "logs" / "log"):
            LOGGER.info("one", extra={"number": number})
        LOGGER.error("nobody listens")
    assert len(lines(tmp_path / "logs" / "log")) == 2
    with pytest.raises(UnwritableError), seewhy.log_to(tmp_path):
        pass


def test_without_a_log_nothing_is_shown():
    code = "from seewhy import logs; import logging; logging.getLogger('seewhy.x').error('bad')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("required", [True, False])
def test_a_full_disk_stops_the_work_where_the_log_is_required(tmp_path, required):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with seewhy.log_to(tmp_path / "log", required=required):
            if required:
                with pytest.raises(DiskFullError, match="log"):
                    LOGGER.info("x" * 200)
            else:
                LOGGER.info("x" * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
