"""The same recipe several times: the summary over seeds, or over folds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seewhy.evaluation.metrics import Metrics
from seewhy.evaluation.stats.summary import Spread, Summary
from seewhy.run import Run

OUT_OF_FOLD = "predictions-oof.parquet"


@dataclass(frozen=True)
class Seeds:
    """Runs that differ in their seed alone; `figures` are the metrics on validation, by metric."""

    path: Path
    runs: tuple[Run, ...]
    seeds: tuple[int, ...]
    figures: Mapping[str, Summary]


@dataclass(frozen=True)
class Folds:
    """Runs of which each held another part of train and val out.

    `figures` are of the parts, by metric. Their spread tells how much the images matter; they share
    most of their training images, so the mean has no interval from it (Bengio and Grandvalet 2004).
    `whole` are the metrics of all images together, each predicted by the run that had not seen it.
    """

    path: Path
    runs: tuple[Run, ...]
    figures: Mapping[str, Spread]
    whole: Metrics

    @property
    def predictions(self) -> Path:
        """The out-of-fold predictions; `fold-*/splits.csv` have the content hash of each id."""
        return self.path / OUT_OF_FOLD
