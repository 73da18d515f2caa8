"""A registry on SQLite, and on a Postgres of the tests' own where Debian's is installed."""

import getpass
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """The address of the maintenance database of a Postgres server that listens on a socket only."""
    if not PROGRAMS:
        pytest.skip("needs Postgres: apt-get install postgresql")
    pytest.importorskip("psycopg")
    root = os.geteuid() == 0
    user = {"user": "postgres", "group": "postgres"} if root else {}  # it does not run as root
    # A socket's path has 107 letters at most, so it is not below pytest's directory.
    home = Path(f"/tmp/seewhy-postgres-{uuid.uuid4().hex[:8]}")
    home.mkdir()
    if root:
        shutil.chown(home, "postgres", "postgres")

    def run(*command):
        subprocess.run(command, check=True, capture_output=True, cwd="/", **user)

    run(PROGRAMS[-1] / "initdb", "-D", home / "data", "--auth=trust", "--no-sync")
    options = f"-c listen_addresses='' -k {home} -c max_connections=60"
    server = [PROGRAMS[-1] / "pg_ctl", "-D", home / "data", "-o", options, "-l", home / "log"]
    run(*server, "-w", "start")
    name = "postgres" if root else getpass.getuser()
    yield f"postgresql://{name}@/postgres?host={home}"
    run(*server, "-m", "immediate", "stop")
    shutil.rmtree(home)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    """Where an empty registry is to be made."""
    if request.param == "sqlite":
        return str(tmp_path / "registry.db")
    import psycopg

    address = request.getfixturevalue("postgres")
    database = f"d{uuid.uuid4().hex}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    return address.replace("/postgres?", f"/{database}?")


@pytest.fixture
def model_file(tmp_path):
    """Writes a file that stands for a model; the registry does not look into it."""

    def write(number):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(bytes([number % 256]) * 10 + os.urandom(8))
        return path

    return write
