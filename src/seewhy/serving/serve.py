"""Starts a server: its options and the names of its models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seewhy.config.options import first_fault
from seewhy.errors import UsageError
from seewhy.events import OnEvent, ignore
from seewhy.inference.locate import model_name
from seewhy.serving.settings import ServeSettings


def serve(
    models: str | Path | Sequence[str | Path], *, on_event: OnEvent = ignore, **options: Any
) -> None:
    """Serves models over HTTP until SIGTERM or Ctrl-C.

    `models` are bundles, runs, shipped names or ONNX files; "NAME=MODEL" chooses the name in requests.
    `options` set fields of `seewhy.ServeSettings`. At the first signal the server stops accepting connections
    and finishes the requests that it has; at the second it ends at once. Raises `UsageError` for an option
    that does not fit, and as `seewhy.load` for a model that cannot be used.
    """
    try:
        settings = ServeSettings(**options)
    except ValidationError as error:
        name, reason, value = first_fault(error)
        raise UsageError(f"--{name.replace('_', '-')} {value}: {reason}") from None
    names = named([models] if isinstance(models, str | Path) else models)
    try:
        from seewhy.serving.server import run
    except ImportError as error:
        if not error.name or error.name.startswith("seewhy"):
            raise
        raise UsageError(f"serving needs {error.name}: pip install 'seewhy[serve]'") from None
    run(names, settings, on_event)


def named(models: Sequence[str | Path]) -> dict[str, str]:
    """The names by which models are served, and what each was asked for as.

    A shipped model has its name, a file that of its stem, a run that of its directory, a registered model
    the one before its @; "NAME=MODEL" names one. Raises `UsageError` for two of one name.
    """
    names: dict[str, str] = {}
    for model in map(str, models):
        name, _, source = model.partition("=")
        if not source or Path(model).exists():
            name, source = model_name(model), model
        if not name.isprintable() or not 0 < len(name) <= 100:
            raise UsageError(f"{name!r} is no name for a model: write NAME={source}")
        if name in names:
            raise UsageError(f"two models have the name {name}: write OTHER-NAME={source}")
        names[name] = source
    if not names:
        raise UsageError("no model is named: name a model file, a run directory or a shipped model")
    return names
