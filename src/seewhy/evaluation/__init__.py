"""From a network and a split to honest figures: one pass, one record, pure functions of it.

`predict` (torch) makes a `Predictions` (numpy); `metrics` and `intervals` read it and never see a
network. What is imported from here needs no torch; `predict` is imported from its own module.
"""

from seewhy.evaluation.intervals import Interval, wilson
from seewhy.evaluation.metrics import METRICS, Metrics, metrics, score
from seewhy.evaluation.predictions import Predictions, concat

__all__ = ["METRICS", "Interval", "Metrics", "Predictions", "concat", "metrics", "score", "wilson"]
