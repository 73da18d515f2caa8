"""Temperature scaling: calibrated confidence."""

from dataclasses import replace

import numpy as np

from seewhy.evaluation.metrics import labelled, log_loss
from seewhy.evaluation.predictions import Predictions
from seewhy.text import counted

LOWEST, HIGHEST = 0.05, 20.0
FEWEST = 30  # images; below, the temperature stays 1
SPREAD = 0.5  # std of the log of a temperature before any image is seen


def fit_temperature(predictions: Predictions) -> float:
    """The temperature in [0.05, 20] that minimises the log loss of logits / temperature; see `unfitted`.

    It changes confidence and never the predicted class (Guo et al. 2017). Fitted on validation images;
    above 1 the network was too sure. So that a few images cannot move it far, its log is drawn towards 0 as
    by a normal law of std 0.5: (log T)^2 / 0.5 is added to the sum of the losses, which counts for less the
    more images there are.
    """
    from scipy.optimize import minimize_scalar

    kept = labelled(predictions)
    if unfitted(kept) is not None:
        return 1.0
    optimum = minimize_scalar(
        lambda log_t: (
            len(kept) * log_loss(replace(kept, temperature=float(np.exp(log_t))))
            + log_t**2 / (2 * SPREAD**2)
        ),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
    )
    return float(np.exp(optimum.x))


def unfitted(predictions: Predictions) -> str | None:
    """Why the temperature stays 1, or None: too few images, or no mistake, which says nothing about it."""
    kept = labelled(predictions)
    if len(kept) < FEWEST:
        return f"{counted(len(kept), 'labelled image', 'are')} too few for it; {FEWEST} are needed"
    if (kept.predicted == kept.labels).all():
        return f"all {counted(len(kept), 'image', 'are')} classified correctly"
    return None
