"""Figures of a comparison are on the page, whatever the models are called."""

from types import SimpleNamespace

import pytest
from plots.test_analysis import all_on_the_page
from plots.test_metrics import drawn

from seewhy.evaluation.stats.intervals import Interval
from seewhy.plots.compare import _in_file_names, class_differences, differences


@pytest.mark.parametrize("classes", [2, 130])
def test_long_names_of_models_fit(classes: int) -> None:
    rate = Interval(0.1, 0.05, 0.15)
    row = SimpleNamespace(recall=rate, real=True)
    pair = SimpleNamespace(
        first="resnet18 of the cats and the dogs",
        second="wide_resnet of the cats and the dogs",
        accuracy=rate,
        real=True,
        per_class={f"class {k}": row for k in range(classes)},
    )
    figure = drawn(class_differences, pair)
    assert all_on_the_page(figure)
    assert ("60 largest of 130" in " ".join(figure.get_suptitle().split())) == (classes == 130)
    assert all_on_the_page(drawn(differences, SimpleNamespace(differences=[pair], n=10_000)))


def test_no_two_models_share_a_file() -> None:
    models = ["a/b", "a b", "A_B", "a_b-2", f"1/{'long' * 20}", f"2/{'long' * 20}"]
    parts = _in_file_names(models)
    assert list(parts) == models and parts["a/b"] == "a_b"
    assert len({part.lower() for part in parts.values()}) == len(models)
