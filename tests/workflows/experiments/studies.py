"""A small tuning in a process of its own, which can be killed and raced."""

import os

from helpers import QUICK

from seewhy.workflows.experiments import study, tuning
from seewhy.workflows.experiments.tuning import tune

RECIPE = """
extends: regularized-cnn
search:
  train.lr: {low: 0.0001, high: 0.01, log: true}
  model.dropout: {low: 0.1, high: 0.5}
  train.batch_size: {choices: [8, 16]}
"""


def begin(folder):
    """Writes the recipe, and gives its path."""
    path = folder / "small.yaml"
    path.write_text(RECIPE)
    return path


def tuned(photos, recipe, out, trials, cache=None, silence=None, **options):
    if cache is not None:  # in a process of its own
        os.environ["SEEWHY_CACHE"] = str(cache)
        tuning.REPEATS = 1
    if silence is not None:
        study.HEARTBEAT, study.SILENCE = 1, silence
    return tune(photos, recipe, trials, out=out, overrides=QUICK, **options)


def tuned_in(photos, recipe, out, trials, cache, silence, storage):
    tuned(photos, recipe, out, trials, cache, silence, storage=storage)


def killed_in(photos, recipe, out, trials, cache, silence, name, storage=None):
    """As `tuned`, but killed at the second epoch of the trial of that name."""

    def show(event):
        if type(event).__name__ == "RunStarted":
            seen.append(event.name.split(":")[0])
        if type(event).__name__ == "Step" and event.epoch == 2 and seen[-1] == name:
            os._exit(9)

    seen: list[str] = []
    tuned(photos, recipe, out, trials, cache, silence, storage=storage, on_event=show)
