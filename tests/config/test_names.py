"""What config names is what is there: neither less nor more, and in the same order."""

import typing

import pytest

from seewhy.attribution.methods import METHODS
from seewhy.config import names, optimisers, schedules
from seewhy.config.training import TrainConfig
from seewhy.evaluation.metrics import METRICS
from seewhy.inference.forward import VIEWS
from seewhy.training.optimisers import OPTIMISERS
from seewhy.training.schedules import SCHEDULES


def test_names_of_flags_are_those_of_the_registries() -> None:
    assert list(names.METRICS) == list(METRICS)
    assert list(names.METHODS) == list(METHODS)
    assert list(typing.get_args(names.View)) == list(VIEWS)
    assert list(optimisers.OPTIMISERS) == list(OPTIMISERS)
    assert list(schedules.SCHEDULES) == list(SCHEDULES)


@pytest.mark.parametrize("metric", names.METRICS)
def test_the_better_direction_is_the_metrics_own_unless_it_is_set(metric: str) -> None:
    expected = "min" if metric in ("loss", "ece") else "max"
    assert TrainConfig(monitor=metric).better == expected
    assert TrainConfig(monitor=metric, monitor_mode="min").better == "min"
