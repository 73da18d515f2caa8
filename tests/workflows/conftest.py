"""A database of MLflow's own, for what speaks to it."""

import pytest


@pytest.fixture(scope="session")
def mlflow_folder(tmp_path_factory):
    """Where its database and its files are; it takes seconds to make."""
    pytest.importorskip("mlflow")
    pytest.importorskip("alembic")
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="session")
def mlflow_uri(mlflow_folder):
    return f"sqlite:///{mlflow_folder}/mlflow.db"


@pytest.fixture(scope="session")
def mlflow_there(mlflow_folder, mlflow_uri):
    """MLflow's own client, whose experiment for SeeWhy keeps its files in the folder."""
    from seewhy.workflows.tracking.mlflow import EXPERIMENT, mlflow_client

    client = mlflow_client(mlflow_uri)
    client.create_experiment(EXPERIMENT, artifact_location=(mlflow_folder / "files").as_uri())
    return client
