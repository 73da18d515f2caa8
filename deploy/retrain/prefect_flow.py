"""A Prefect flow that retrains a model of the registry: `python prefect_flow.py photos /srv/seewhy/photos`.

It runs `seewhy` as a process of its own environment, which $SEEWHY names. `retrain.serve(name="nightly",
cron="30 2 * * *", parameters={"name": "photos", "data": "/srv/seewhy/photos"})` does so every night.
"""

import json
import os
import subprocess
import sys
from typing import Any

from prefect import flow, task


@task(retries=2, retry_delay_seconds=600)
def run(name: str, data: str) -> dict[str, Any]:
    """Retrains; what fails, such as a database that is away, is tried again, and goes on where it was."""
    command = [os.environ.get("SEEWHY", "seewhy"), "retrain", name, "--data", data]
    done = subprocess.run([*command, "--promote", "gate", "--json"], stdout=subprocess.PIPE)
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(f"{' '.join(command)} has ended with {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@flow(log_prints=True)
def retrain(name: str, data: str) -> dict[str, Any]:
    """Retrains, and fails if the new model is rejected."""
    result = run(name, data)
    print(f"{result['outcome']}: " + "; ".join(result["reasons"]))
    if result["outcome"] == "rejected" and not result["repeated"]:
        raise RuntimeError(f"{name}@{result['version']} is rejected")
    return result


if __name__ == "__main__":
    retrain(*sys.argv[1:])
