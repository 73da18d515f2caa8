"""Connections to Postgres that give up on a server that is silent, as one behind a broken network is."""

import os
import re
import time
from collections.abc import Generator
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from seewhy.errors import RegistryError
from seewhy.text import without_password

SILENCE = 3  # seconds without a byte from the server, when connecting and reading
PATIENCE = 30  # when writing, where others may hold a lock
# Hosts of this machine, and directories of sockets.
HERE = re.compile(r"(/.*|localhost|127(\.\d+){3}|::1)(:\d+)?")


def postgres_engine(place: str) -> Engine:
    """The engine for an address; the server's certificate is checked beyond this machine."""
    try:
        url = make_url(place)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() != "postgresql":
        raise RegistryError(
            "unreachable",
            f"{without_password(place)} is no registry: expected a path, or postgresql://USER@HOST/DATABASE",
        )
    if not _is_here(url) and "sslmode" not in url.query:
        url = url.update_query_dict({"sslmode": "verify-full"})
    try:
        engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": SILENCE})
        connection_class = _connection_class()
    except ModuleNotFoundError:
        raise RegistryError(
            "unreachable", "a registry on Postgres needs psycopg: pip install 'seewhy[registry]'"
        ) from None

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        return connection_class.connect(*arguments, **options)

    @event.listens_for(engine, "begin")
    def _begins(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        driver: Any = connection.connection.driver_connection
        driver.silence = PATIENCE if writes else SILENCE

    return engine


def _is_here(url: URL) -> bool:
    """Whether its server is one of this machine, wherever the address or the environment names the host."""
    named = [url.host, url.query.get("host")]
    if not any(named):
        named = [os.environ.get("PGHOST")]
    named.append(url.query.get("hostaddr") or os.environ.get("PGHOSTADDR"))
    hosts = [one.split(",") if isinstance(one, str) else one for one in named if one]
    return all(HERE.fullmatch(host) for several in hosts for host in several)


def _connection_class() -> Any:
    import psycopg  # here, since a registry on SQLite does not need it

    class BoundedConnection(psycopg.Connection[Any]):
        """Closes itself, with an error, after `silence` seconds without a byte."""

        silence: float = SILENCE

        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            try:
                return super().wait(_bounded(gen, self.silence), *arguments, **options)
            except TimeoutError:
                self.close()
                raise psycopg.OperationalError(f"no answer in {self.silence:g} s") from None

    return BoundedConnection


def _bounded(steps: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
    """The steps of an operation of psycopg, which is told now and then that nothing has come."""
    deadline = time.monotonic() + seconds
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if ready:
                deadline = time.monotonic() + seconds
            elif time.monotonic() > deadline:
                steps.close()
                raise TimeoutError
            wanted = steps.send(ready)
    except StopIteration as end:
        return end.value
