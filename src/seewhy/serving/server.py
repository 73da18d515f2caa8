"""Runs a server until it is told to stop."""

import asyncio
import contextlib
import functools
import logging
import signal
import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import h11
import python_multipart
import starlette
import uvicorn

from seewhy.errors import SeeWhyError, UsageError
from seewhy.events import Note, OnEvent
from seewhy.floors import require
from seewhy.serving.keys import admin_token, read_secret, token_file
from seewhy.serving.protocol import DeadlineProtocol
from seewhy.serving.service import Service
from seewhy.serving.settings import ServeSettings, is_loopback

if TYPE_CHECKING:
    from fastapi import FastAPI

require(h11, python_multipart, starlette)

logger = logging.getLogger("seewhy.serving")

ADMIN_OFFSET = 1000  # from the port to the operator's port
SEND_BYTES = 1 << 18  # that the system holds for a client which does not read; else 4 MB and more
WATCH_SECONDS = 1.0
SETTLE_SECONDS = 0.3  # in which clients learn that the server is not ready any more


def run(names: dict[str, str], settings: ServeSettings, on_event: OnEvent) -> None:
    """Serves models, by name, until a signal. Raises as `seewhy.serve`."""
    key = None if settings.api_key_file is None else read_secret(settings.api_key_file)
    if key is None and not is_loopback(settings.host):
        raise UsageError(
            f"anyone who reaches {settings.host} could use the server: give --api-key-file, or listen on "
            "127.0.0.1"
        )
    asyncio.run(_serve(names, settings, key, on_event))


async def _serve(
    names: dict[str, str], settings: ServeSettings, key: str | None, on_event: OnEvent
) -> None:
    service = Service(names, settings)
    public, admin = _listen(settings)
    starting = asyncio.create_task(service.start())
    stop, servers = asyncio.Event(), list[_Server]()
    try:
        with _stopped_by_signals(stop, servers):
            # FastAPI takes as long to import as decoders and models to start.
            apps = await asyncio.to_thread(_apps, service, key)
            servers += [_Server(app, service) for app in apps]
            running = [
                asyncio.create_task(server.serve([listener]))
                for server, listener in zip(servers, (public, admin), strict=True)
            ]
            address, operator = map(_address, (public, admin))
            on_event(Note(f"{address}  operator: {operator}, token in {token_file()}"))
            try:
                await _run(service, starting, stop, on_event)
            finally:
                for server in servers:
                    server.should_exit = True
                await asyncio.gather(*running)
    finally:
        starting.cancel()
        await service.close()
    logger.info("stopped")
    if service.broken.is_set():
        raise SeeWhyError("the processes that decode images end as soon as they start: see the log")


def _apps(service: Service, key: str | None) -> "tuple[FastAPI, FastAPI]":
    """The application, and that of the operator."""
    from seewhy.serving.admin import create_admin_app
    from seewhy.serving.app import create_app

    return create_app(service, key), create_admin_app(service, admin_token())


async def _run(
    service: Service, starting: asyncio.Task[None], stop: asyncio.Event, on_event: OnEvent
) -> None:
    """Answers until the signal to stop. Raises what starting raises."""
    if await _first(starting, stop):
        logger.info("ready", extra={"models": service.models.digests})
        on_event(Note(f"ready: {', '.join(service.models.digests)}"))
        watched = service.settings.reload or service.models.changing
        watching = [asyncio.create_task(_watch(service))] if watched else []
        await _first(service.broken.wait(), stop)
        for task in watching:
            task.cancel()
    service.draining = True
    logger.info("stopping", extra={"images": service.room.taken})
    await asyncio.sleep(0 if service.broken.is_set() else SETTLE_SECONDS)


async def _first(work: Any, stop: asyncio.Event) -> bool:
    """Waits for work or for the signal to stop; says whether the work is done. Raises what it raises."""
    task, stopping = asyncio.ensure_future(work), asyncio.create_task(stop.wait())
    await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not task.done():
        task.cancel()
        return False
    task.result()
    return True


async def _watch(service: Service) -> None:
    """Loads models again when their files change, or an alias of a registry is moved."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        await asyncio.to_thread(service.models.reload_changed)


class _Server(uvicorn.Server):
    """uvicorn with our protocol; signals are ours."""

    def __init__(self, app: "FastAPI", service: Service) -> None:
        settings = service.settings
        config = uvicorn.Config(
            app,
            http=functools.partial(DeadlineProtocol, service=service),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_keep_alive=settings.idle_seconds,
            timeout_graceful_shutdown=settings.drain_seconds,
            h11_max_incomplete_event_size=settings.header_bytes,
        )
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops accepting connections, without a reset for those that the system has accepted already."""
        loop = asyncio.get_running_loop()
        for listener in sockets or []:
            loop.remove_reader(listener)
        await asyncio.sleep(0.01)  # in which asyncio takes up those that it has accepted
        waiting = []
        for listener in sockets or []:
            with contextlib.suppress(OSError):
                while True:
                    waiting.append(listener.accept()[0])
        for server in self.servers:
            server.close()
        for connection in waiting:
            connection.setblocking(False)
            await loop.connect_accepted_socket(self._protocol, connection)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        state = self.lifespan.state
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=state
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _stopped_by_signals(stop: asyncio.Event, servers: Sequence[_Server]) -> Iterator[None]:
    """Sets `stop` at the first SIGTERM or Ctrl-C; the second makes the servers end at once."""

    def handle() -> None:
        if stop.is_set():
            for server in servers:
                server.should_exit = server.force_exit = True
        stop.set()

    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _listen(settings: ServeSettings) -> tuple[socket.socket, socket.socket]:
    """The sockets of the server and of its operator, bound. Raises `UsageError`."""
    public = _bound(settings.host, settings.port, "--port")
    port = settings.admin_port
    if port is None:
        port = settings.port and settings.port + ADMIN_OFFSET
        port = port if port <= 65535 else settings.port - ADMIN_OFFSET
    try:
        return public, _bound("127.0.0.1", port, "--admin-port")
    except UsageError:
        public.close()
        raise


def _bound(host: str, port: int, flag: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows that it is TCP, and sends small packets at once: else each waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {host} port {port} ({error}): choose another {flag}"
        ) from None
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
