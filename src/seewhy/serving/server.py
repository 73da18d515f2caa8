"""Runs a server until it is told to stop."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import ValidationError

from seewhy.config.options import first_fault
from seewhy.errors import UsageError
from seewhy.events import Note, OnEvent, ignore
from seewhy.serving.app import create_app
from seewhy.serving.models import named
from seewhy.serving.service import Service
from seewhy.serving.settings import ServeSettings


def serve(
    models: str | Path | Sequence[str | Path], *, on_event: OnEvent = ignore, **options: Any
) -> None:
    """Serves models over HTTP until SIGTERM or Ctrl-C.

    `models` are bundles, runs, shipped names or ONNX files; "NAME=MODEL" chooses the name in requests.
    `options` set fields of `ServeSettings`. Raises `UsageError` for an option that does not fit, and as
    `seewhy.load` for a model that cannot be used.
    """
    try:
        settings = ServeSettings(**options)
    except ValidationError as error:
        name, reason, value = first_fault(error)
        raise UsageError(f"{name}: {reason} (got {value!r})") from None
    names = named([models] if isinstance(models, str | Path) else models)
    asyncio.run(_serve(names, settings, on_event))


async def _serve(names: dict[str, str], settings: ServeSettings, on_event: OnEvent) -> None:
    service = Service(names, settings)
    app = create_app(service, None)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            settings.host,
            settings.port,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
        )
    )
    running = asyncio.create_task(server.serve())
    try:
        await service.start()
        on_event(Note(f"serving {', '.join(names)} on http://{settings.host}:{settings.port}"))
        await running
    finally:
        service.close()
