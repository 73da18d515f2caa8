"""Brings models of a registry to the model registry of MLflow, and back."""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seewhy.errors import RegistryError, UsageError
from seewhy.inference.loading import trust_onnx
from seewhy.inference.registered import file_of, open_registry
from seewhy.registry.records import Reference, Version
from seewhy.workflows.register import register
from seewhy.workflows.tracking.mlflow import experiment_of, mlflow_client, mlflow_place
from seewhy.workflows.tracking.stored import reason_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

FOLDER = "model"  # of the artefacts of a run of MLflow
TAG = "seewhy.file"  # of a version in MLflow: the name of its file, which is its sha256
_FILE = re.compile(r"([0-9a-f]{64})\.(safetensors|onnx)")


@dataclass(frozen=True)
class PushedModel:
    """Where a version of a registry is in MLflow: its number there, and the alias that was moved, if any."""

    name: str
    version: int
    there: int
    alias: str | None
    address: str


def push_model(reference: str, where: str, *, registry: str | Path | None = None) -> PushedModel:
    """Brings NAME@VERSION_OR_ALIAS to MLflow ("mlflow:URI"), with its alias where one is named.

    A model that is there, by its digest, keeps its version. MLflow moves an alias without comparing what it
    pointed at: of two who push at once, the last one wins. Raises `RegistryError`.
    """
    named, place = Reference.parse(reference), _place(where)
    with open_registry(registry) as opened:
        version = opened.find(named)
        file = file_of(opened, version)
    with _named(where):
        client = mlflow_client(place)
        there = _existing(client, version.name, file.name) or _add(client, version, file)
        if named.alias is not None:
            client.set_registered_model_alias(version.name, named.alias, there)
        return PushedModel(
            version.name, version.version, int(there), named.alias, client.tracking_uri
        )


def pull_model(
    reference: str, where: str, *, registry: str | Path | None = None, trust: bool = False
) -> Version:
    """Adds NAME@VERSION_OR_ALIAS of MLflow, as it was pushed, as the next version of NAME.

    Version and alias are those of MLflow; no alias is moved here. Its bytes are compared with their digest,
    and the model is verified as by `register`, by which no code of others runs; `trust` is for ONNX files
    that another machine exported. Raises `RegistryError`, and `ModelFileError` for a file that is no model.
    """
    named, place = Reference.parse(reference), _place(where)
    with tempfile.TemporaryDirectory() as folder:
        with _named(where):
            client = mlflow_client(place)
            version = (
                client.get_model_version(named.name, str(named.version))
                if named.alias is None
                else client.get_model_version_by_alias(named.name, named.alias)
            )
            file = _download(client, version, Path(folder))
        if trust:
            trust_onnx(file)
        why = f"from {where}, version {version.version} there"
        return register(file, named.name, registry=registry, why=why)


def _place(where: str) -> str | None:
    if where.partition(":")[0] != "mlflow":
        raise UsageError(f"{where!r} is no place for models: expected mlflow:URI")
    return mlflow_place(where)


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Turns errors of MLflow into a `RegistryError` that names it."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        missing = error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
        code = "unknown_version" if missing else "unreachable"
        raise RegistryError(code, f"{where}: {reason_of(error)}") from None


def _existing(client: "MlflowClient", name: str, file: str) -> str | None:
    found = client.search_model_versions(f"name='{name}' and tag.`{TAG}`='{file}'")
    return str(found[0].version) if found else None


def _add(client: "MlflowClient", version: Version, file: Path) -> str:
    """A version of MLflow, whose file is an artefact of a run of its own."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(version.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    title = f"{version.name}@{version.version}"
    run = client.create_run(experiment_of(client), run_name=title)
    client.log_artifact(run.info.run_id, str(file), FOLDER)
    client.set_terminated(run.info.run_id)
    made = client.create_model_version(
        version.name,
        source=f"{run.info.artifact_uri}/{FOLDER}",
        run_id=run.info.run_id,
        tags={TAG: file.name, "seewhy.digest": version.digest, "seewhy.version": title},
    )
    return str(made.version)


def _download(client: "MlflowClient", version: "ModelVersion", folder: Path) -> Path:
    """The file of a version, whose bytes have the digest that it was pushed with."""
    name = f"{version.name}, version {version.version} of MLflow"
    named = _FILE.fullmatch(version.tags.get(TAG, ""))
    if named is None or not version.run_id:
        raise RegistryError(
            "unknown_version",
            f"{name} was not pushed by `seewhy registry push`: nothing else is read",
        )
    path = Path(client.download_artifacts(version.run_id, f"{FOLDER}/{named[0]}", str(folder)))
    with open(path, "rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != named[1]:
            raise RegistryError(
                "damaged", f"{name}: its bytes are not those that were pushed: push the model again"
            )
    return path
