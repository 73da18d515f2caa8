"""The diagnostics on the histories of real trainings, which `benchmarks/histories.py` has recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

from seewhy.analysis import diagnostics
from seewhy.config.training import TrainConfig

RECORDED = Path(__file__).parents[2] / "benchmarks/results/histories.json"
HISTORIES = json.loads(RECORDED.read_text())
# What a recipe is there to show, and what so few images cause.
EXPECTED = {
    "simple-cnn on CIFAR-10": {"overfitting"},
    # 209 steps until its patience ends it, where its momentum of 0.01 takes 300.
    "advanced-cnn on digits": {"batch norm lags"},
}


def kinds(name: str) -> list[str]:
    """The kinds of diagnostics that the epochs of a training raise, as it goes."""
    recorded = HISTORIES[name]
    counts = np.array(recorded["train_counts"])
    val = np.array([recorded["val_images"]])
    config = TrainConfig(**recorded["config"])
    setting = diagnostics.Setting.of(counts, val, config, recorded["momentum"])
    rows = [{"epoch": n, **row} for n, row in enumerate(recorded["history"], 1)]
    return [
        one.kind
        for epoch in range(1, len(rows) + 1)
        for one in diagnostics.in_history(rows[:epoch], setting)
    ]


@pytest.mark.parametrize("name", [n for n, one in HISTORIES.items() if one["group"] == "shipped"])
def test_a_shipped_recipe_raises_what_is_true_of_it_and_no_more(name: str) -> None:
    assert set(kinds(name)) == EXPECTED.get(name, set())


@pytest.mark.parametrize("name", [n for n, one in HISTORIES.items() if one["group"] == "diverging"])
def test_a_training_that_diverges_is_called_so(name: str) -> None:
    """By its history once, or by the error that ends it; the advice is a tenth of its learning rate."""
    recorded = HISTORIES[name]
    if recorded["error"] is None:
        assert kinds(name) == ["diverging"]
    else:
        assert f"--train.lr {recorded['config']['lr'] / 10:.2g}" in recorded["error"]
