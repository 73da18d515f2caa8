"""Adds a model to a registry, once it is verified."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy.files import to_json
from seewhy.inference.loading import load
from seewhy.inference.metadata import CUSTOM
from seewhy.inference.registered import open_registry
from seewhy.registry.records import Version
from seewhy.workflows.info import ModelInfo, info
from seewhy.workflows.trained_on import Keys, keys_of_model, packed

if TYPE_CHECKING:
    from seewhy.registry.registry import Registry


def register(
    model: str | Path, name: str, *, registry: str | Path | None = None, why: str = ""
) -> Version:
    """Adds a bundle or an exported ONNX file as the next version of `name`.

    `model` is a file, a run directory or a shipped model; `registry` a path or address, as for
    `open_registry`. The model is loaded first, with its reference images, unless its architecture is one of
    your own. A model that is there already keeps its version. Of a model in its run directory the registry
    also keeps which images it was trained on, so that none of them judges a later one. Raises
    `ModelFileError` for a file that is damaged or foreign, and `RegistryError` where the registry cannot be
    used.
    """
    about = info(model)
    if about.header.metadata.architecture.name != CUSTOM:
        load(about.file).close()
    with open_registry(registry, make=True) as opened:
        keys = keys_of_model(opened, about.file, about.header.metadata)
        return add_model(opened, name, about, keys, why=why)


def add_model(
    registry: "Registry",
    name: str,
    about: ModelInfo,
    keys: Keys | None,
    *,
    why: str = "",
    evidence: Mapping[str, Any] | None = None,
) -> Version:
    """Adds a verified model, with the keys of its training images where they are known."""
    return registry.add(
        name,
        about.file,
        digest=about.header.digest,
        kind="bundle" if about.exported is None else "onnx",
        facts=_facts(about),
        why=why,
        evidence=evidence,
        trained_on=None if keys is None else packed(keys),
    )


def _facts(about: ModelInfo) -> Mapping[str, Any]:
    """What the registry shows of a model without opening it."""
    metadata = about.header.metadata
    recipe = metadata.facts.get("recipe")
    facts: Mapping[str, Any] = to_json(
        {
            "architecture": metadata.architecture.name,
            "classes": metadata.classes,
            "size": metadata.rule.size,
            "parameters": about.parameters,
            "recipe": recipe.get("name") if isinstance(recipe, Mapping) else None,
            "created_by": metadata.created_by,
            "fingerprint": metadata.fingerprint,
            "parents": metadata.parents,
            "metrics": {split: one.model_dump(mode="json") for split, one in about.metrics.items()},
        }
    )
    return facts
