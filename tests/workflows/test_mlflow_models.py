"""Models that go to MLflow's registry come back the same, and nothing else does."""

import json
from importlib.util import find_spec

import pytest
from helpers import call

import seewhy
from seewhy.errors import RegistryError, UsageError
from seewhy.workflows.tracking.mlflow import experiment_of

pytestmark = [
    pytest.mark.skipif(find_spec("mlflow") is None, reason="MLflow is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def place(tmp_path, monkeypatch, trained):
    """A registry of `photos`, whose version is the champion."""
    monkeypatch.setenv("SEEWHY_REGISTRY", str(tmp_path / "registry.db"))
    seewhy.register(trained, "photos")
    with seewhy.open_registry() as registry:
        registry.promote("photos", 1)
    return tmp_path


def test_a_model_is_pushed_once_and_pulled_the_same(place, mlflow_there, mlflow_uri, monkeypatch):
    where = f"mlflow:{mlflow_uri}"
    seewhy.register("fast", "photos")
    pushed = seewhy.push_model("photos@champion", where)
    assert (pushed.version, pushed.alias) == (1, "champion")
    there = mlflow_there.get_model_version_by_alias("photos", "champion")
    assert int(there.version) == pushed.there
    assert seewhy.push_model("photos@champion", where) == pushed
    first = json.loads(call("registry", "push", "photos@2", where, "--json").out)
    assert first["alias"] is None and first["there"] != pushed.there
    monkeypatch.setenv("SEEWHY_REGISTRY", str(place / "other.db"))
    printed = call("registry", "pull", "photos@champion", where).out
    assert "photos@1" in printed and "registry promote photos 1" in printed
    with seewhy.open_registry() as registry, seewhy.open_registry(place / "registry.db") as before:
        pulled = registry.find("photos@1")
        assert (pulled.sha256, pulled.aliases) == (before.find("photos@1").sha256, ())
        assert where in registry.history("photos")[0].why


def test_bytes_that_were_changed_there_are_refused(place, mlflow_there, mlflow_uri, mlflow_folder):
    pushed = seewhy.push_model("photos@1", f"mlflow:{mlflow_uri}")
    version = mlflow_there.get_model_version("photos", str(pushed.there))
    name = version.tags["seewhy.file"]
    (path,) = mlflow_folder.rglob(name)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(RegistryError, match="not those that were pushed") as error:
        seewhy.pull_model(f"photos@{pushed.there}", f"mlflow:{mlflow_uri}")
    assert error.value.code == "damaged"
    path.unlink()  # so that the next push brings it again


def test_what_seewhy_did_not_push_is_not_read(place, mlflow_there, mlflow_uri):
    mlflow_there.create_registered_model("strange")
    run = mlflow_there.create_run(experiment_of(mlflow_there))
    source = f"{run.info.artifact_uri}/model"
    for number, tags in enumerate(({}, {"seewhy.file": "../../evil.safetensors"}), 1):
        mlflow_there.create_model_version("strange", source, run.info.run_id, tags=tags)
        with pytest.raises(RegistryError, match="was not pushed"):
            seewhy.pull_model(f"strange@{number}", f"mlflow:{mlflow_uri}")


@pytest.mark.parametrize(
    ("version", "where", "words"),
    [("nobody", "", "nobody"), ("99", "", "99"), ("1", "http://127.0.0.1:1", "refused")],
)
def test_what_is_not_there_is_said(place, mlflow_there, mlflow_uri, version, where, words):
    name = f"known-{words}"  # of this case alone, whichever others this process runs
    mlflow_there.create_registered_model(name)
    with pytest.raises(RegistryError, match=words):
        seewhy.pull_model(f"{name}@{version}", f"mlflow:{where or mlflow_uri}")


def test_another_place_is_refused(place):
    with pytest.raises(UsageError, match="expected mlflow:URI"):
        seewhy.push_model("photos@1", "s3://bucket")
