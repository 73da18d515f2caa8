"""The figure of a drift names its classes apart, and says if it shows a part of them."""

from types import SimpleNamespace

import pytest
from plots.test_analysis import all_on_the_page
from plots.test_metrics import drawn

from seewhy.evaluation.stats.intervals import exact
from seewhy.plots.drift import MOST, class_shares


@pytest.mark.parametrize("classes", [2, 30])
def test_classes_that_differ_most_are_drawn(classes: int) -> None:
    shares = {
        f"a long name {k} of a class that is like the others": SimpleNamespace(
            reference=exact(0, 9), window=exact(9, 9), p=k / classes, moved=k == 0
        )
        for k in range(classes)
    }
    figure = drawn(class_shares, SimpleNamespace(classes=shares, drifted=True))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert all_on_the_page(figure) and len(set(labels)) == len(labels) == min(classes, MOST)
    part = ": the 20 of 30 classes that differ most" * (classes == 30)
    assert figure.get_suptitle() == f"The window differs{part}"
