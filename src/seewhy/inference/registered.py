"""Models of a registry: where it is, and the file of `registry:NAME@VERSION_OR_ALIAS`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from seewhy.data.cache_root import cache_root
from seewhy.errors import UsageError

if TYPE_CHECKING:
    from seewhy.registry.feedback import Feedback
    from seewhy.registry.records import Version
    from seewhy.registry.registry import Registry

VARIABLE = "SEEWHY_REGISTRY"


def open_registry(place: str | Path | None = None, *, make: bool = False) -> "Registry":
    """The registry at a path or address [`$SEEWHY_REGISTRY`, else beside the cache].

    With `make` it is made where there is none. Raises `RegistryError` if it cannot be used, and `UsageError`
    without the extra `registry`.
    """
    with _needs_an_extra():
        from seewhy.registry.registry import Registry
    return Registry(place or _default_place(), make=make)


def open_feedback(place: str | Path | None = None, *, make: bool = False) -> "Feedback":
    """The answers and labels in a registry, which is named, made and refused as by `open_registry`."""
    with _needs_an_extra():
        from seewhy.registry.feedback import Feedback
    return Feedback(place or _default_place(), make=make)


def registered_version(reference: str) -> "Version":
    """The version that `registry:NAME@VERSION_OR_ALIAS` stands for now."""
    with _asked() as registry:
        return registry.find(reference)


def registered_file(reference: str) -> Path:
    """The file that `registry:NAME@VERSION_OR_ALIAS` stands for now, in the cache."""
    with _asked() as registry:
        return file_of(registry, registry.find(reference))


def file_of(registry: "Registry", version: "Version") -> Path:
    """The file of a version, kept in the cache by its digest. Raises `RegistryError` if it is damaged."""
    return registry.fetch(version, cache_root() / "registered")


@contextmanager
def _asked() -> Iterator["Registry"]:
    """The default registry. Of Postgres, which is asked again and again, the connections stay open."""
    place = str(_default_place())
    if "://" in place:
        yield _kept(place)
    else:  # a file may be replaced
        with open_registry(place) as registry:
            yield registry


@cache
def _kept(place: str) -> "Registry":
    return open_registry(place)


@contextmanager
def _needs_an_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "sqlalchemy":
            raise
        raise UsageError("a registry needs SQLAlchemy: pip install 'seewhy[registry]'") from None


def _default_place() -> str | Path:
    """Beside the cache, not inside: what is there can be made again, and may be removed."""
    home = cache_root()
    return os.environ.get(VARIABLE) or home.with_name(f"{home.name}-registry")
