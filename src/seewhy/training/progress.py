"""How far a training is: what it counts, how an epoch is closed, and when it ends."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seewhy.config.schedules import Plateau
from seewhy.config.training import TrainConfig
from seewhy.errors import DivergedError
from seewhy.events import Epoch
from seewhy.text import counted
from seewhy.training.averages import swa_start
from seewhy.training.schedules import lr_factor


@dataclass
class TrainProgress:
    """The state of a run except tensors; stored as JSON in a checkpoint.

    `events_length` is the length of the run's events.jsonl in bytes; None if the run has no such file.
    `micro_batch` is the number of images of a micro-batch since memory ran out; None: as the recipe says.
    `cut_short` tells that the time limit ended the last epoch before its last step: if the training goes on,
    the rest of it belongs to the next epoch, also where the recipe has no more.
    """

    step: int = 0
    elapsed: float = 0.0
    loss_sum: float = 0.0
    correct: float = 0.0
    seen: int = 0
    best_epoch: int = 0
    best_step: int = 0
    best_value: float | None = None
    stale: int = 0
    plateau_factor: float = 1.0
    plateau_stale: int = 0
    out_of_time: bool = False
    stopped: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    gradient_norms: list[dict[str, float]] = field(default_factory=list)
    events_length: int | None = None
    micro_batch: int | None = None
    cut_short: bool = False

    @property
    def epoch(self) -> int:
        """The number of epochs done; that in which the last layer was fitted to frozen features is 0."""
        return int(self.history[-1]["epoch"]) if self.history else 0


def close_epoch(
    progress: TrainProgress,
    number: int,
    config: TrainConfig,
    metrics: Mapping[str, float],
    mode: str,
    seconds: float,
    peak_memory: int | None = None,
) -> Epoch:
    """Adds an epoch that is validated to the history; `seconds` are those since its last step."""
    metrics = {name: math.nan if score is None else score for name, score in metrics.items()}
    value = metrics[config.monitor]
    # The rest of an epoch that was cut short may come after the last.
    done = min(number, config.epochs)
    lr = config.lr * progress.plateau_factor * lr_factor(config, done) if number else 0.0
    require_finite(metrics["loss"], progress.step, lr)
    improved, equal = _compare(value, progress.best_value, mode)
    best = next((row for row in progress.history if row["epoch"] == progress.best_epoch), None)
    is_best = improved or (best is not None and equal and metrics["loss"] < best["val_loss"])
    if is_best:
        progress.best_value, progress.best_epoch, progress.best_step = value, number, progress.step
    if improved:
        progress.stale = progress.plateau_stale = 0
    else:
        progress.stale += 1
        progress.plateau_stale += 1
    schedule = config.schedule_options
    if isinstance(schedule, Plateau) and progress.plateau_stale >= schedule.plateau_patience:
        progress.plateau_factor *= schedule.plateau_factor
        progress.plateau_stale = 0
    progress.elapsed += seconds
    epoch = Epoch(
        epoch=number,
        lr=lr,
        train_loss=progress.loss_sum / max(progress.seen, 1),
        train_accuracy=progress.correct / max(progress.seen, 1),
        validation=metrics,
        best=is_best,
        seconds=progress.elapsed,
        peak_memory=peak_memory,
    )
    progress.history.append(epoch.row())
    progress.loss_sum, progress.correct, progress.seen = 0.0, 0.0, 0
    progress.stopped = reason_to_stop(progress, config)
    return epoch


def reason_to_stop(progress: TrainProgress, config: TrainConfig) -> str | None:
    """Why a training ends after its last epoch, by the rules of its recipe; None if it goes on."""
    if progress.seen:  # in the middle of an epoch
        return None
    if out_of_time(progress, config):
        return f"time limit of {config.time_limit:g} s reached"
    if config.unfreeze is None and progress.history:
        return "the last layer is fitted; the others stay frozen"
    if progress.epoch >= config.epochs and not progress.cut_short:
        return "all epochs done"
    if config.patience is not None and progress.stale >= config.patience:
        return f"no better {config.monitor} for {counted(config.patience, 'epoch')}"
    return None


def notes_on_swa(progress: TrainProgress, config: TrainConfig, total_steps: int) -> list[str]:
    """A line where the weights that a finished training keeps are not those that `swa` averages."""
    if config.swa is None or config.unfreeze is None:  # then no step is made
        return []
    start = swa_start(config.swa, total_steps)
    begins = f"averaging begins after step {start:,} of {total_steps:,}"
    if progress.step <= start:
        ended = f"the training ended after step {progress.step:,}"
        return [f"swa: no weights were averaged, since {begins} and {ended}: raise --train.swa"]
    if config.keep == "best" and progress.best_step <= start:
        best = f"the best epoch, {progress.best_epoch}, ended at step {progress.best_step:,}"
        return [
            f"swa: the weights kept are no mean, since {begins} and {best}: --train.keep last keeps it"
        ]
    return []


def out_of_time(progress: TrainProgress, config: TrainConfig) -> bool:
    return progress.elapsed > (config.time_limit or math.inf)


def _compare(value: float, best: float | None, mode: str) -> tuple[bool, bool]:
    """Whether a metric is better than the best so far, and whether it is equal but for rounding."""
    if best is None or math.isnan(best):
        return True, False
    if math.isclose(value, best, rel_tol=1e-9, abs_tol=1e-12):
        return False, True
    return (value > best if mode == "max" else value < best), False


def require_finite(loss: float, step: int, lr: float) -> None:
    if not math.isfinite(loss):
        raise DivergedError(f"the loss became {loss}", step, lr)
