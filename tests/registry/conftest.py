"""A registry on SQLite, and on a Postgres of the tests' own where Debian's is installed."""

import getpass
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Postgres:
    """A server of the tests' own, which listens on a socket in `home` only."""

    def __init__(self) -> None:
        root = os.geteuid() == 0
        # It does not run as root. A socket's path has 107 letters at most, so it is not below pytest's.
        self._user = {"user": "postgres", "group": "postgres"} if root else {}
        self.home = Path(f"/tmp/seewhy-postgres-{uuid.uuid4().hex[:8]}")
        self.home.mkdir()
        if root:
            shutil.chown(self.home, "postgres", "postgres")
        self._run("initdb", "-D", self.home / "data", "--auth=trust", "--no-sync")
        self.name = "postgres" if root else getpass.getuser()
        self.start()

    @property
    def address(self):
        """Of the maintenance database."""
        return f"postgresql://{self.name}@/postgres?host={self.home}"

    def start(self):
        options = f"-c listen_addresses='' -k {self.home} -c max_connections=60 -c fsync=off"
        self._control("-o", options, "-l", self.home / "log", "-w", "start")

    def stop(self):
        self._control("-m", "immediate", "stop")

    def database(self):
        """The address of a new database."""
        import psycopg

        name = f"d{uuid.uuid4().hex}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.address.replace("/postgres?", f"/{name}?")

    def _control(self, *arguments):
        self._run("pg_ctl", "-D", self.home / "data", *arguments)

    def _run(self, program, *arguments):
        command = [PROGRAMS[-1] / program, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **self._user)


@pytest.fixture(scope="session")
def postgres():
    if not PROGRAMS:
        pytest.skip("needs Postgres: apt-get install postgresql")
    pytest.importorskip("psycopg")
    server = Postgres()
    yield server
    server.stop()
    shutil.rmtree(server.home)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    """Where an empty registry is to be made."""
    if request.param == "sqlite":
        return str(tmp_path / "registry.db")
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def feedback(place):
    """The answers and labels of a new registry."""
    from seewhy.registry.feedback import Feedback

    with Feedback(place, make=True) as opened:
        yield opened


@pytest.fixture
def model_file(tmp_path):
    """Writes a file that stands for a model; the registry does not look into it."""

    def write(number):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(bytes([number % 256]) * 10 + os.urandom(8))
        return path

    return write
