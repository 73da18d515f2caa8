"""Writes again what a finished run has lost."""

from collections.abc import Callable

from seewhy.data import write_bad_files, write_splits
from seewhy.errors import DataError
from seewhy.training.checkpoint import latest_checkpoint, load_progress
from seewhy.workflows.prepare import Job


def rewritten(job: Job) -> list[str]:
    """Writes again the files of a finished run that are missing or damaged, where there is what they hold."""
    run, splits = job.run, job.splits
    checkpoint = latest_checkpoint(run.checkpoints)
    again = []
    if checkpoint is not None:
        progress = load_progress(checkpoint)
        if not _is_whole(lambda: len(run.history) == len(progress.history)):
            run.write_history(progress.history, progress.gradient_norms)
            again.append("history.csv")
    known = {*splits.hashes.tolist(), *splits.left_out.hashes.tolist()}
    if not _is_whole(lambda: run.image_hashes() == known):
        write_splits(splits, run.path / "splits.csv")
        again.append("splits.csv")
    if not _is_whole(lambda: len(run.rows("bad_files.csv")) == len(splits.bad)):
        write_bad_files(splits.bad, run.path / "bad_files.csv")
        again.append("bad_files.csv")
    return [f"{name} written again" for name in again]


def _is_whole(complete: Callable[[], bool]) -> bool:
    """Whether a file of the run can be read, and is `complete`."""
    try:
        return complete()
    except DataError:
        return False
