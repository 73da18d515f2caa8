import errno
import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from seewhy import files
from seewhy.errors import DiskFullError, LockedError, UnwritableError, UsageError
from seewhy.evaluation.stats.intervals import wilson
from seewhy.files import (
    atomic_directory,
    atomic_file,
    clear_temporaries,
    exclusive,
    from_json,
    holds_something,
    make_directory,
    output_folder,
    require_new,
    require_space,
    require_writable,
    to_json,
    write_atomic,
    write_json,
)
from seewhy.run import Run


def test_a_write_replaces_the_whole_file_and_leaves_no_litter(tmp_path):
    path = tmp_path / "a.json"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two" and os.listdir(tmp_path) == ["a.json"]


def test_a_write_makes_the_directory(tmp_path):
    write_atomic(tmp_path / "new" / "folder" / "a.json", b"one")
    assert (tmp_path / "new" / "folder" / "a.json").read_bytes() == b"one"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomic(path, b"one")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"disk full while writing .*a\.json \(need"):
        write_atomic(path, b"two")
    assert path.read_bytes() == b"one" and os.listdir(tmp_path) == ["a.json"]


def test_another_fault_keeps_its_own_name(tmp_path, monkeypatch):
    def broken(handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files.os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        write_atomic(tmp_path / "a", b"x")


def test_a_directory_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(ValueError), atomic_directory(tmp_path / "step-1") as inside:
        (inside / "part").write_text("x")
        raise ValueError
    assert os.listdir(tmp_path) == []
    with atomic_directory(tmp_path / "step-1") as inside:
        (inside / "part").write_text("x")
        assert not (tmp_path / "step-1").exists()
    assert (tmp_path / "step-1" / "part").read_text() == "x"
    assert os.listdir(tmp_path) == ["step-1"]


def test_a_hidden_directory_takes_the_place_of_a_killed_one_and_leaves_what_is_a_users(tmp_path):
    for name in ("new.tmp", ".new.999999999.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"mine")
    with atomic_directory(tmp_path / "new", hidden=True) as inside:
        (inside / "file").write_bytes(b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "new.tmp"]
    assert (tmp_path / "new.tmp" / "file").read_bytes() == b"mine"


def test_a_hidden_directory_replaces_none_that_was_made_meanwhile(tmp_path):
    with pytest.raises(UsageError, match="already exists"):  # noqa: SIM117 (only the end raises)
        with atomic_directory(tmp_path / "new", hidden=True):
            (tmp_path / "new").mkdir()
            (tmp_path / "new" / "mine").write_bytes(b"mine")
    assert os.listdir(tmp_path) == ["new"] and os.listdir(tmp_path / "new") == ["mine"]


def test_only_names_with_the_number_of_a_dead_process_are_cleared(tmp_path):
    users = (".draft.tmp", "a.999999999.tmp", ".9.tmp", f".a.{os.getpid()}.tmp", ".a.9x.tmp")
    for name in (*users, ".a.999999999.tmp", ".b.csv.999999998.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".file.tmp").touch()
    clear_temporaries(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(users)
    assert len(list(tmp_path.rglob(".file.tmp"))) == len(users)


def test_an_error_leaves_the_lock_of_another_program(tmp_path):
    (tmp_path / "poetry.lock").touch()
    with pytest.raises(ValueError), output_folder(tmp_path):
        (tmp_path / "own").mkdir()
        (tmp_path / "own.lock").touch()
        raise ValueError
    assert os.listdir(tmp_path) == ["poetry.lock"]


def test_space_is_asked_for_before(tmp_path):
    require_space(tmp_path, 1, "this")
    with pytest.raises(DiskFullError, match="training needs"):
        require_space(tmp_path, 2**60, "training")


def test_one_holder_at_a_time_and_the_second_is_told_who(tmp_path):
    lock = tmp_path / "run.lock"
    with exclusive(lock):
        code = (
            "from pathlib import Path; from seewhy.files import exclusive; import sys\n"
            f"with exclusive(Path({str(lock)!r})): pass"
        )
        start = time.monotonic()
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert f"process {os.getpid()}" in second.stderr and "LockedError" in second.stderr
        assert time.monotonic() - start < 30
    with exclusive(lock):
        pass


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", json.dumps({"pid": 1, "host": "elsewhere"}).encode(), b"\xff\xfe"],
)
def test_a_stale_lock_file_holds_nobody_up(tmp_path, content):
    lock = tmp_path / "run.lock"
    lock.write_bytes(content)
    with exclusive(lock):
        pass


def _hold(lock, held, release):
    with exclusive(lock):
        held.set()
        release.wait(30)


def test_a_lock_dies_with_its_process(tmp_path):
    lock = tmp_path / "run.lock"
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(lock, held, release))
    process.start()
    assert held.wait(30)
    with pytest.raises(LockedError), exclusive(lock):
        pass
    process.kill()
    process.join()
    with exclusive(lock):
        pass


def test_a_folder_that_holds_something_is_refused_and_an_empty_one_taken(tmp_path):
    empty = tmp_path / "a" / "b"
    for _ in range(2):
        with output_folder(empty) as folder:
            assert folder == empty and empty.is_dir()
    (empty / "experiment.lock").touch()  # of an experiment that was stopped at its start
    with output_folder(empty):
        pass
    for full in (tmp_path, tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="is not empty"), output_folder(full):
            pass


def test_a_folder_that_another_process_makes_at_this_moment_holds_nothing(tmp_path):
    path, done = tmp_path / "new", threading.Event()

    def make_and_remove():
        while not done.is_set():
            path.mkdir()
            path.rmdir()

    other = threading.Thread(target=make_and_remove)
    other.start()
    try:
        assert not any(holds_something(path) for _ in range(20_000))
    finally:
        done.set()
        other.join()


def test_after_an_error_a_new_folder_is_gone_and_an_empty_one_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "a" / "b", tmp_path / "empty"):
        with pytest.raises(KeyError), output_folder(out) as folder:
            (folder / "part").mkdir()
            (folder / "part" / "file").touch()
            raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]
    with output_folder(tmp_path / "a" / "b") as folder:
        (folder / "file").touch()
    assert (tmp_path / "a" / "b" / "file").exists()


def test_what_is_there_is_never_written_over(tmp_path):
    require_new(tmp_path / "new.csv")
    with pytest.raises(UsageError, match="already exists"):
        require_new(tmp_path)


@dataclass(frozen=True, eq=False)
class Example:
    values: np.ndarray
    inner: object
    names: tuple[str, ...]


def test_records_become_plain_values_and_what_is_undefined_null(tmp_path) -> None:
    example = Example(
        np.array([[1.5, np.nan], [np.inf, 2]]),
        {"rate": wilson(1, 2), 3: np.int64(4), "hash": np.array([b"ab"], "S2")},
        ("a", "b"),
    )
    path = tmp_path / "analysis" / "example.json"
    write_json(example, path)
    found = json.loads(path.read_text())
    assert found == to_json(example)
    assert found["values"] == [[1.5, None], [None, 2.0]] and found["names"] == ["a", "b"]
    assert found["inner"]["rate"]["value"] == 0.5 and found["inner"]["3"] == 4
    assert found["inner"]["hash"] == ["ab"]


def test_a_run_and_a_path_are_written_as_paths() -> None:
    found = to_json({"run": Run(Path("a/b")), "path": Path("c"), "by": MappingProxyType({3: True})})
    assert json.loads(json.dumps(found)) == {"run": "a/b", "path": "c", "by": {"3": True}}


@dataclass(frozen=True)
class Shaped:
    number: float
    rows: tuple[int, ...]

    def json_form(self):
        return {"twice": 2 * self.number, "count": np.int64(len(self.rows))}


def test_a_record_with_a_shape_of_its_own_is_written_in_it_wherever_it_stands() -> None:
    shaped = Shaped(float("nan"), (1, 2))
    assert to_json({"one": shaped, "many": [shaped]}) == {
        "one": {"twice": None, "count": 2},
        "many": [{"twice": None, "count": 2}],
    }


def test_where_nothing_can_be_made_is_an_error_that_names_it_and_makes_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    under_a_file = tmp_path / "file" / "run" / "out.csv"
    too_long = tmp_path / ("n" * 300)
    for out in (under_a_file, too_long):
        for refused in (require_writable, require_new, make_directory):
            with pytest.raises(UnwritableError, match=re.escape(f"cannot write {out} (")):
                refused(out)
        with pytest.raises(UnwritableError, match="allow it, choose another --out"):
            write_atomic(out, b"x")
    for out in (tmp_path / "new" / "folder" / "out.csv", tmp_path, tmp_path / "file"):
        require_writable(out)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is only on Linux")
def test_a_directory_where_even_root_may_not_write_is_named():
    with pytest.raises(UnwritableError, match=r"cannot write /proc/runs \("):
        require_writable(Path("/proc/runs"))


def test_an_error_of_the_block_is_not_taken_for_one_of_the_output(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "out"):
        (tmp_path / "no such input").read_bytes()


def test_after_an_error_no_folder_of_a_file_is_left(tmp_path):
    with pytest.raises(KeyError), atomic_file(tmp_path / "new" / "a" / "file"):
        raise KeyError
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Inner:
    rate: float
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class Outer:
    inner: Inner
    each: dict[str, Inner]
    row: tuple[Inner, ...]
    numbers: np.ndarray[tuple[int], np.dtype[np.float64]]
    none: Inner | None = None
    some: Inner | None = None


def test_a_record_is_read_as_it_was_written():
    inner = Inner(0.5, "so")
    written = Outer(
        inner, {"a": inner}, (inner, Inner(np.nan)), np.array([1.0, np.nan]), some=inner
    )
    stored = json.loads(json.dumps(to_json(written)))
    read = from_json(Outer, {**stored, "of a later version": 1})
    assert (read.inner, read.each, read.row[0], read.none, read.some) == (
        *(inner, {"a": inner}, inner),
        *(None, inner),
    )
    assert np.isnan(read.row[1].rate) and read.row[1].reason is None
    assert read.numbers.dtype == np.float64 and np.array_equal(read.numbers, [1, np.nan], True)
    del stored["inner"]
    with pytest.raises(TypeError):
        from_json(Outer, stored)
