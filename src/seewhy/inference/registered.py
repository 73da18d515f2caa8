"""Models of a registry: where it is, and the file of `registry:NAME@VERSION_OR_ALIAS`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from seewhy.data.cache_root import cache_root
from seewhy.errors import UsageError

if TYPE_CHECKING:
    from seewhy.registry.records import Version
    from seewhy.registry.registry import Registry

VARIABLE = "SEEWHY_REGISTRY"


def open_registry(place: str | Path | None = None, *, make: bool = False) -> "Registry":
    """The registry at a path or address [`$SEEWHY_REGISTRY`, else beside the cache].

    With `make` it is made where there is none. Raises `RegistryError` if it cannot be used, and `UsageError`
    without the extra `registry`.
    """
    try:
        from seewhy.registry.registry import Registry
    except ModuleNotFoundError as error:
        if error.name != "sqlalchemy":
            raise
        raise UsageError("a registry needs SQLAlchemy: pip install 'seewhy[registry]'") from None
    return Registry(place or os.environ.get(VARIABLE) or _beside_the_cache(), make=make)


def registered_version(reference: str) -> "Version":
    """The version that `registry:NAME@VERSION_OR_ALIAS` stands for now."""
    with open_registry() as registry:
        return registry.find(reference)


def registered_file(reference: str) -> Path:
    """The file of a version, kept in the cache by its digest."""
    with open_registry() as registry:
        return registry.fetch(registry.find(reference), cache_root() / "registered")


def _beside_the_cache() -> Path:
    """Not inside, since what is there can be made again, and may be removed."""
    cache = cache_root()
    return cache.with_name(f"{cache.name}-registry")
