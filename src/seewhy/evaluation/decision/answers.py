"""The answer to each image, by the decision: a class, "not sure" or "out of distribution"."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.decision.ood import ood_scores
from seewhy.evaluation.decision.record import Decision
from seewhy.evaluation.predictions import Predictions

NOT_SURE, OUT_OF_DISTRIBUTION = "not sure", "out of distribution"


def decides(decision: Decision) -> bool:
    """Whether the model may give another answer than the likeliest class."""
    return decision.threshold is not None or decision.scope is not None


def embedding_size(decision: Decision) -> int | None:
    """The numbers in an embedding that the answers need; None where they need none."""
    means = decision.scope.means if decision.scope is not None else ()
    return len(means[0]) if means else None


def answers(decision: Decision, predictions: Predictions) -> NDArray[Any]:
    """What to say of each image, str (N,): its class, "not sure" or "out of distribution".

    The latter two only where `decides`; "" where an image could not be read. `predictions` have the
    decision's temperature, and embeddings (N, D) of `embedding_size` where it is not None.
    """
    texts = np.array([*predictions.classes, ""], dtype=object)[predictions.predicted]
    if decision.threshold is not None:
        texts[predictions.confidence() < decision.threshold] = NOT_SURE
    if decision.scope is not None:
        scope = decision.scope
        means = np.array(scope.means) if scope.means else None
        texts[ood_scores(scope.score, predictions, means) < scope.threshold] = OUT_OF_DISTRIBUTION
    texts[predictions.predicted < 0] = ""
    return texts
