"""Versions, aliases and history, the same on SQLite and on Postgres."""

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, text, update

from seewhy.errors import RegistryError, UsageError
from seewhy.registry import registry as registries
from seewhy.registry.postgres import postgres_engine
from seewhy.registry.registry import Registry
from seewhy.registry.schema import SCHEMA, about, blobs, models

CHANGER = Path(__file__).with_name("changer.py")


def add(registry, file, name="photos"):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return registry.add(name, file, digest=digest, kind="bundle", facts={"size": 32})


@pytest.fixture
def registry(place, model_file):
    """A registry with three versions of `photos`."""
    with Registry(place, make=True) as opened:
        for number in range(3):
            add(opened, model_file(number))
        yield opened


def refusal(code):
    class Refused:
        def __enter__(self):
            self.raises = pytest.raises(RegistryError)
            self.error = self.raises.__enter__()
            return self.error

        def __exit__(self, *error):
            caught = self.raises.__exit__(*error)
            assert self.error.value.code == code
            return caught

    return Refused()


def test_a_file_of_sqlite_is_for_its_user_alone(tmp_path):
    with Registry(tmp_path / "registry.db", make=True):
        modes = [file.stat().st_mode & 0o777 for file in tmp_path.glob("registry.db*")]
    assert modes == [0o600] * 3  # with its log, and the index of that


def test_versions_are_numbered_and_have_their_bytes(registry, model_file, tmp_path):
    assert [one.version for one in registry.versions("photos")] == [3, 2, 1]
    file = model_file(7)
    version = add(registry, file)
    assert (version.version, version.bytes, version.facts) == (4, 18, {"size": 32})
    path = registry.fetch(registry.find("photos@4"), tmp_path / "cache")
    assert path.read_bytes() == file.read_bytes()
    assert path.name == f"{version.sha256}.safetensors"


def test_a_model_that_is_there_keeps_its_version(registry, model_file):
    file = model_file(9)
    first = add(registry, file)
    events = len(registry.history("photos"))
    assert add(registry, file) == first
    assert len(registry.history("photos")) == events
    assert add(registry, file, "others").version == 1  # names have versions of their own


def test_an_alias_moves_and_goes_back_step_by_step(registry):
    for version in (1, 2, 3):
        registry.promote("photos", version, why=f"test of {version}", evidence={"p": 0.01})
    assert registry.find("photos").version == 3
    assert registry.find("registry:photos@champion").aliases == ("champion",)
    assert registry.rollback("photos", why="worse at night").version == 2
    assert registry.rollback("photos").version == 1
    with refusal("no_earlier_version"):
        registry.rollback("photos")
    registry.promote("photos", 3)
    assert registry.rollback("photos").version == 1
    moves = [one for one in registry.history("photos") if one.alias]
    assert [(one.kind, one.previous, one.version) for one in moves] == [
        *(("promote", None, 1), ("promote", 1, 2), ("promote", 2, 3)),
        *(("rollback", 3, 2), ("rollback", 2, 1), ("promote", 1, 3), ("rollback", 3, 1)),
    ]
    assert (moves[1].why, moves[1].evidence) == ("test of 2", {"p": 0.01})
    assert moves[3].why == "worse at night" and "@" in moves[3].who
    numbers = [one.number for one in registry.history("photos")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_reason_may_name_a_path_that_is_no_utf_8(registry):
    assert registry.promote("photos", 1, why="trained on caf\udce9").why == "trained on caf\\udce9"
    assert registry.history("photos")[-1].why == "trained on caf\\udce9"


def test_what_is_promoted_already_stays(registry):
    event = registry.promote("photos", 2)
    assert registry.promote("photos", 2) == event


def test_aliases_do_not_touch_each_other(registry):
    registry.promote("photos", 1)
    registry.promote("photos", 3, "challenger")
    registry.promote("photos", 2, "challenger")
    assert registry.find("photos@challenger").version == 2
    assert registry.rollback("photos", "challenger").version == 3
    assert registry.find("photos@champion").version == 1


def test_an_alias_that_was_moved_meanwhile_is_left_and_who_moved_it_is_said(registry):
    registry.promote("photos", 1, expected=None)
    registry.promote("photos", 2, expected=1)
    before = registry.history("photos")
    for expected in (1, None):
        with refusal("alias_moved") as error:
            registry.promote("photos", 3, expected=expected)
        assert "points at version 2" in str(error.value) and before[-1].who in str(error.value)
    assert registry.history("photos") == before


def test_what_is_not_there_is_said_with_what_there_is(registry):
    for code, reference, words in [
        ("unknown_model", "photo@1", "did you mean photos?"),
        ("unknown_version", "photos@4", "3 versions"),
        ("unknown_alias", "photos@champion", "seewhy registry promote photos"),
    ]:
        with refusal(code) as error:
            registry.find(reference)
        assert words in str(error.value)
    for change in (registry.rollback, lambda name: registry.promote(name, 1)):
        with refusal("unknown_model"):
            change("others")
    assert registry.names() == ["photos"]  # asking makes nothing


@pytest.mark.parametrize(
    "name", ["", "../photos", "a b", "-a", "x" * 129, "a\n", "a@b@c", "caf\udce9"]
)
def test_names_are_plain(registry, model_file, name):
    with pytest.raises(UsageError, match="expected"):
        add(registry, model_file(1), name)
    with pytest.raises(UsageError, match="expected"):
        registry.promote("photos", 1, name)
    for change in (registry.rollback, lambda name: registry.promote(name, 1)):
        with pytest.raises(UsageError, match="is no name of a model"):
            change(name)


def test_collect_keeps_what_is_new_pointed_at_or_may_come_back(registry, model_file, tmp_path):
    for number in range(4, 7):
        add(registry, model_file(number))
    registry.promote("photos", 1)
    registry.promote("photos", 3)
    removed = registry.collect(keep=1)
    assert [one.version for one in removed] == [2, 4, 5]
    assert registry.collect(keep=1) == []
    assert registry.rollback("photos").version == 1
    with refusal("collected"):
        registry.fetch(registry.find("photos@2"), tmp_path)
    with refusal("collected"):
        registry.promote("photos", 4)
    assert [one.kind for one in registry.history("photos")].count("collect") == 3


def test_bytes_that_are_collected_can_be_added_again(registry, model_file, tmp_path):
    file = model_file(9)
    version = add(registry, file)
    add(registry, model_file(10))
    registry.collect(keep=1)
    assert add(registry, file).version == version.version
    assert registry.fetch(version, tmp_path / "cache").read_bytes() == file.read_bytes()


def test_bytes_are_not_collected_while_another_model_takes_them(
    registry, place, model_file, tmp_path, monkeypatch
):
    file = model_file(9)
    add(registry, file)
    add(registry, model_file(10))
    found = threading.Event()
    store = registries._store

    def slow(*given):
        size = store(*given)
        found.set()
        time.sleep(0.3)  # in which a collector that does not wait removes them
        return size

    monkeypatch.setattr(registries, "_store", slow)
    with ThreadPoolExecutor(1) as threads:
        adding = threads.submit(add, registry, file, name="another")
        assert found.wait(10)
        registry.collect(keep=1)
        version = adding.result()
    assert registry.fetch(version, tmp_path / "cache").read_bytes() == file.read_bytes()


def test_bytes_that_differ_from_their_digest_are_refused(registry, place, tmp_path):
    version, cache = registry.find("photos@1"), tmp_path / "cache"
    path = registry.fetch(version, cache)
    path.write_bytes(b"another")  # in the cache: read again
    assert registry.fetch(version, cache).read_bytes() != b"another"
    path.unlink()
    with tables_of(place) as connection:
        connection.execute(
            update(blobs).where(blobs.c.sha256 == version.sha256).values(bytes=b"another")
        )
    with refusal("damaged"):
        registry.fetch(version, cache)
    assert not list(cache.iterdir())


@contextmanager
def tables_of(place):
    """A connection that writes past the registry."""
    engine = create_engine(place if "://" in place else f"sqlite:///{place}")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_a_newer_schema_is_refused(registry, place):
    with tables_of(place) as connection:
        connection.execute(update(about).values(schema=SCHEMA + 1))
    with refusal("newer_schema") as error:
        Registry(place)
    assert "pip install --upgrade seewhy" in str(error.value)


def test_a_change_that_fails_leaves_nothing(registry, place, model_file):
    """An event that breaks off in the middle: neither alias nor event is there."""
    before = registry.history("photos")
    with tables_of(place) as connection:
        connection.execute(update(models).values(events=0))  # so that its number is taken
    with pytest.raises(RegistryError):
        registry.promote("photos", 2)
    with tables_of(place) as connection:
        connection.execute(update(models).values(events=len(before)))
    assert registry.history("photos") == before
    with refusal("unknown_alias"):
        registry.find("photos@champion")


@pytest.mark.parametrize(
    ("address", "checked"),
    [
        ("postgresql://me@/names", False),
        ("postgresql://me@localhost:5432/names", False),
        ("postgresql://me@[::1]/names", False),
        ("postgresql://me@/names?host=/run/postgresql", False),
        ("postgresql://me@/names?host=127.0.0.1:5432&host=localhost:5433", False),
        ("postgresql://me@db.example/names", True),
        ("postgresql://me@127.db.example/names", True),
        ("postgresql://me@/names?host=db.example", True),
        ("postgresql://me@/names?host=localhost&host=db.example", True),
        ("postgresql://me@localhost/names?hostaddr=192.0.2.1", True),
    ],
)
def test_the_certificate_of_another_machine_is_checked(address, checked, monkeypatch):
    pytest.importorskip("psycopg")

    def mode(address):
        return postgres_engine(address).url.query.get("sslmode")

    assert mode(address) == ("verify-full" if checked else None)
    assert mode(f"{address}{'&' if '?' in address else '?'}sslmode=require") == "require"
    monkeypatch.setenv("PGHOST", "db.example")  # counts where the address names none
    elsewhere = checked or address == "postgresql://me@/names"
    assert mode(address) == ("verify-full" if elsewhere else None)


def test_what_is_no_database_is_named(tmp_path):
    (tmp_path / "text").write_text("this is no database, but some text of a user" * 30)
    for place in (tmp_path / "text", "mysql://host/x", "postgresql://u:secret@127.0.0.1:1/x"):
        with refusal("unreachable") as error:
            Registry(place, make=True)
        assert "secret" not in str(error.value) and error.value.exit_code == 8
    assert (tmp_path / "text").read_text().startswith("this is")


def test_only_an_addition_makes_a_registry(place, tmp_path):
    with refusal("unknown_model") as error:
        Registry(place)
    assert "no registry" in str(error.value) and not list(tmp_path.iterdir())
    Registry(place, make=True).close()
    with Registry(place) as registry:
        assert registry.names() == []


def test_two_that_make_one_registry_at_once(place):
    script = f"from seewhy.registry.registry import Registry; Registry({place!r}, make=True)"
    started = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [one.wait() for one in started] == [0] * 4


def test_two_that_add_one_model_at_once_add_one_version(place, model_file):
    """The other has made the model and stored its bytes, and has not ended yet."""
    file = model_file(1)
    stored = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "part": 0}
    with Registry(place, make=True) as registry, ThreadPoolExecutor(1) as thread:
        with registry._database.writing() as connection:
            connection.execute(insert(models).values(name="photos", events=0))
            connection.execute(insert(blobs).values(**stored, bytes=file.read_bytes()))
            added = thread.submit(add, registry, file)
            time.sleep(0.3)
        assert (added.result().version, added.result().kept) == (1, True)
        assert len(registry.history("photos")) == 1


def test_a_file_that_another_is_making_is_waited_for(tmp_path):
    other = sqlite3.connect(tmp_path / "registry.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    ends = threading.Timer(0.5, other.rollback)
    ends.start()
    with Registry(tmp_path / "registry.db", make=True) as registry:
        assert registry.names() == []
    ends.join()
    other.close()


def changed_with_kills(place, model_file, processes, operations, pause):
    """Processes that promote and roll back at once, each killed in the midst and replaced by another."""
    with Registry(place, make=True) as registry:
        for number in range(4):
            add(registry, model_file(number))
        registry.promote("photos", 1)

    def start(seed):
        return subprocess.Popen(
            [sys.executable, str(CHANGER), place, str(operations), str(seed)],
            stdout=subprocess.PIPE,
            text=True,
        )

    running, killed = [start(seed) for seed in range(processes)], 0
    for number in range(processes):
        victim = running.pop(0)
        assert victim.stdout.readline() == "begun\n"
        time.sleep(pause)
        victim.kill()
        victim.communicate()
        killed += victim.returncode == -signal.SIGKILL
        running.append(start(100 + number))
    done = [json.loads(one.communicate(timeout=500)[0].splitlines()[-1]) for one in running]
    return done, killed


def require_one_unbroken_history(place):
    """Every move starts where the one before it ended, and aliases are where the last ones left them."""
    with Registry(place) as registry:
        history = registry.history("photos")
        assert [one.number for one in history] == list(range(1, len(history) + 1))
        points = {}
        for event in history:
            if event.alias:
                assert event.previous == points.get(event.alias)
                points[event.alias] = event.version
        for alias, version in points.items():
            assert registry.find(f"photos@{alias}").version == version
        return history


def test_processes_that_are_killed_leave_one_unbroken_history(place, model_file):
    done, killed = changed_with_kills(place, model_file, 2, 60, 0.02)
    history = require_one_unbroken_history(place)
    assert killed
    assert len(history) >= sum(one["moved"] for one in done) + 5


@pytest.mark.long
def test_r36_eight_processes_with_kills(place, model_file):
    done, killed = changed_with_kills(place, model_file, 8, 500, 1.0)
    history = require_one_unbroken_history(place)
    seconds = sorted(second for one in done for second in one["seconds"])
    median = seconds[len(seconds) // 2]
    print(
        f"{killed} killed, {len(history):,} events, {Counter(one.kind for one in history)}; "
        f"an operation of one of eight {1000 * median:.1f} ms (median)"
    )
    assert len(history) >= sum(one["moved"] for one in done) + 5


@pytest.mark.long
def test_an_operation_takes_at_most_20_ms_on_sqlite(tmp_path, model_file):
    with Registry(tmp_path / "r.db", make=True) as registry:
        for number in range(2):
            add(registry, model_file(number))
        start = time.perf_counter()
        for turn in range(200):
            registry.promote("photos", 1 + turn % 2)
        assert (time.perf_counter() - start) / 200 <= 0.020


def test_a_stranger_cannot_name_a_file_by_its_row(registry, place, tmp_path):
    """A row with a digest that is a path: what is fetched has another digest, and nothing is written."""
    with tables_of(place) as connection:
        connection.execute(text("UPDATE versions SET sha256 = '../../evil' WHERE version = 1"))
        connection.execute(insert(blobs).values(sha256="../../evil", part=0, bytes=b"x"))
    folder = tmp_path / "a" / "b" / "c"
    with refusal("damaged"):
        registry.fetch(registry.find("photos@1"), folder)
    assert not list(tmp_path.rglob("evil*"))
