"""Mirrors runs to MLflow: parameters, metrics of each epoch, final ones with intervals, and files."""

import logging
import os
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from seewhy.errors import UsageError
from seewhy.files import write_json
from seewhy.run import Run
from seewhy.text import without_password
from seewhy.workflows.tracking.stored import ARTEFACTS, epochs, measured, parameters

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

EXPERIMENT = "seewhy"  # unless $MLFLOW_EXPERIMENT_NAME names another
FILE = "tracking.json"  # of a run: its number at each tracker
AT_ONCE = {"params": 100, "metrics": 1000}  # that MLflow takes
# What its client reads of the environment, where the user has set nothing: it gives up after seconds, reports
# nothing to its makers, and prints nothing among our lines.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def mlflow_place(written: str) -> str | None:
    """The address in "mlflow:URI"; None for "mlflow", which is what MLflow itself takes where none is named.

    Raises `UsageError` without the extra `mlflow`, and for a password, which others would see.
    """
    _, _, uri = written.partition(":")
    if without_password(uri) != uri:
        raise UsageError(
            "the address of MLflow has a password, which others can see in the list of processes: put it "
            "into $MLFLOW_TRACKING_USERNAME and $MLFLOW_TRACKING_PASSWORD"
        )
    if find_spec("mlflow") is None:
        raise UsageError(f"{written} needs MLflow's client: pip install 'seewhy[mlflow]'")
    return uri or None


def mlflow_client(uri: str | None) -> "MlflowClient":
    """A client of MLflow at an address. It imports MLflow, which takes seconds."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    for noisy in ("mlflow", "urllib3.connectionpool", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def experiment_of(client: "MlflowClient") -> str:
    """The number of the experiment in which runs are kept, made where there is none."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    found = client.get_experiment_by_name(name)
    number: str = found.experiment_id if found else client.create_experiment(name)
    return number


class MlflowTracker:
    """A `Tracker` that has a run of MLflow for each run."""

    def __init__(self, uri: str | None) -> None:
        self._uri = uri
        self._epochs: dict[Path, int] = {}  # mirrored so far
        self._files: dict[Path, tuple[int, int]] = {}  # size and time of those that were sent

    @cached_property
    def _client(self) -> "MlflowClient":
        return mlflow_client(self._uri)

    @property
    def _address(self) -> str:
        return without_password(self._client.tracking_uri)

    def place(self, run: Run) -> str:
        """The address of MLflow, and the run's number there."""
        return f"{self._address}, run {run.record(FILE).get(self._address)}"

    def mirror(self, run: Run, last: bool) -> None:
        """Sends what MLflow has not of a run; a run that is continued is the same one there."""
        there = self._run_of(run)
        key, start = there.info.run_id, there.info.start_time
        past = self._epochs.get(run.path, 0)
        new = [(epoch, seconds, one) for epoch, seconds, one in epochs(run) if epoch > past]
        for epoch, seconds, metrics in new:
            self._log(key, metrics, epoch, start + round(1000 * seconds))
            self._epochs[run.path] = epoch
        if run.finished:
            done = epochs(run)[-1]
            self._log(key, measured(run), done[0], start + round(1000 * done[1]))
            self._send_files(run, key)
        if last:
            self._client.set_terminated(key, "FINISHED" if run.finished else "KILLED")

    def _log(self, key: str, metrics: dict[str, float], step: int, time: int) -> None:
        """Logs metrics; those that are there already stay once, since their time is the same."""
        from mlflow.entities import Metric

        logged = [Metric(name, value, time, step) for name, value in metrics.items()]
        for first in range(0, len(logged), AT_ONCE["metrics"]):
            self._client.log_batch(key, metrics=logged[first : first + AT_ONCE["metrics"]])

    def _send_files(self, run: Run, key: str) -> None:
        for name in ARTEFACTS:
            path = run.path / name
            if not path.is_file():
                continue
            about = path.stat()
            stamp = (about.st_size, about.st_mtime_ns)
            if self._files.get(path) != stamp:
                self._client.log_artifact(key, str(path))
                self._files[path] = stamp

    def _run_of(self, run: Run) -> "MlflowRun":
        """The run of MLflow that mirrors this one: the one that it had, or a new one."""
        known = run.record(FILE)
        if (key := known.get(self._address)) and (there := self._existing(key)):
            if there.info.status != "RUNNING" and not run.finished:
                self._client.update_run(key, status="RUNNING")
            return there
        made = self._client.create_run(
            experiment_of(self._client),
            run_name=run.path.as_posix(),
            tags={"seewhy.run": str(run.path.resolve())},
        )
        self._log_parameters(run, made.info.run_id)
        write_json({**known, self._address: made.info.run_id}, run.path / FILE)
        return made

    def _existing(self, key: str) -> "MlflowRun | None":
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_run(key)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return found if found.info.lifecycle_stage == "active" else None

    def _log_parameters(self, run: Run, key: str) -> None:
        from mlflow.entities import Param

        logged = [Param(name, value[:5000]) for name, value in parameters(run).items()]
        for first in range(0, len(logged), AT_ONCE["params"]):
            self._client.log_batch(key, params=logged[first : first + AT_ONCE["params"]])
