"""Temperature scaling: calibrated confidence."""

from dataclasses import replace

import numpy as np

from seewhy.evaluation.metrics import labelled, log_loss
from seewhy.evaluation.predictions import Predictions

LOWEST, HIGHEST = 0.05, 20.0


def fit_temperature(predictions: Predictions) -> float:
    """The temperature in [0.05, 20] that minimises the log loss of logits / temperature.

    It changes confidence and never the predicted class (Guo et al. 2017). Fitted on validation images;
    above 1 the network was too sure. Where every image is right the loss falls without end as the
    temperature does, and says nothing about confidence: then 1.
    """
    from scipy.optimize import minimize_scalar

    kept = labelled(predictions)
    if (kept.predicted == kept.labels).all():
        return 1.0
    optimum = minimize_scalar(
        lambda log_t: log_loss(replace(kept, temperature=float(np.exp(log_t)))),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
    )
    return float(np.exp(optimum.x))
