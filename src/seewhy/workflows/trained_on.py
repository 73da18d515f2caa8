"""Which images a registered model was trained on: 8 bytes of each content hash, sorted."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seewhy.inference.container import read_header
from seewhy.inference.metadata import Metadata
from seewhy.run import Run
from seewhy.workflows.fine_tuning import training_images

if TYPE_CHECKING:
    from seewhy.registry.registry import Registry

Keys = NDArray[np.uint64]

_DIGITS = 16  # hex digits of a content hash that are kept: two images share them by chance never


def keys_of(hashes: "np.ndarray | set[bytes]") -> Keys:
    """The keys (N,) of content hashes, in their order."""
    listed = hashes.tolist() if isinstance(hashes, np.ndarray) else hashes
    return np.fromiter((int(one[:_DIGITS], 16) for one in listed), np.uint64, len(listed))


def packed(keys: Keys) -> bytes:
    """Keys as a registry keeps them."""
    return np.unique(keys).astype("<u8").tobytes()


def known_keys(registry: "Registry", digest: str) -> Keys | None:
    """The keys of the training images of a model in a registry, and of its parents'; None if unknown."""
    stored = registry.trained_on(digest)
    return None if stored is None else np.frombuffer(stored, "<u8").astype(np.uint64)


def keys_of_model(registry: "Registry", file: Path, about: Metadata) -> Keys | None:
    """The same of a model that lies in the directory of its run; its parents must be in the registry."""
    own = training_images(file, about.fingerprint)
    if own is None:
        return None
    run = Run(file.parent)
    itself = (
        read_header(run.model).digest if run.finished else ""
    )  # the parent of a calibrated copy
    parts = [keys_of(own)]
    for parent in about.parents:
        if parent != itself:
            inherited = known_keys(registry, parent)
            if inherited is None:
                return None
            parts.append(inherited)
    return np.unique(np.concatenate(parts))


def models_trained_on(registry: "Registry", keys: Keys) -> list[str]:
    """The versions of all models, "NAME@VERSION", among whose training images, or their parents', is one."""
    return [
        f"{name}@{version.version}"
        for name in registry.names()
        for version in reversed(registry.versions(name))
        if (known := known_keys(registry, version.digest)) is not None
        and np.isin(keys, known).any()
    ]
