"""Whether a model has collapsed: whether it gives one class to nearly every image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seewhy.events import Diagnostic
from seewhy.text import counted

NEARLY = 0.95  # share of all images, and of those of other classes, that are given the one class
FEWEST = 5  # images of other classes; with fewer, each can be a mistake of its own


def collapse(confusion: NDArray[np.int64], classes: Sequence[str]) -> list[Diagnostic]:
    """A diagnostic if one class is predicted for nearly everything, whatever the true class is.

    `confusion` (K, K) counts images, rows are true classes, columns predicted ones. Images that all belong
    to one class tell nothing: a good model gives them that class.
    """
    table = np.asarray(confusion)
    given = table.sum(0)
    k = int(given.argmax())
    total, others = int(table.sum()), int(table.sum() - table[k].sum())
    wrong = int(given[k] - table[k, k])
    if others < FEWEST or given[k] < NEARLY * total or wrong < NEARLY * others:
        return []
    finding = (
        f"collapsed: {given[k]:,} of {counted(total, 'image', 'are')} predicted as {classes[k]}, also "
        f"{wrong:,} of the "
        f"{others:,} that belong to other classes"
    )
    advice = (
        "its metrics, maps and confidences say nothing of the classes: check the labels (`seewhy data "
        "check`), try a tenth of train.lr (`seewhy find-lr`) and more epochs, and --train.sampling balanced "
        "if the classes are uneven"
    )
    return [Diagnostic("collapsed", finding, advice)]
