"""Mirrors runs to TensorBoard: a folder in each run with its parameters and metrics."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from seewhy.errors import UsageError
from seewhy.run import Run
from seewhy.text import command_line, escape_markdown
from seewhy.workflows.tracking.stored import epochs, measured, parameters

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

NAME = "tensorboard"  # of the folder


class TensorBoardTracker:
    """A `Tracker` that writes `tensorboard/` in each run, anew from its history when a run is continued."""

    def __init__(self) -> None:
        if find_spec("tensorboardX") is None:
            raise UsageError(
                "--track tensorboard needs tensorboardX: pip install 'seewhy[tensorboard]'"
            )
        self._writers: dict[Path, SummaryWriter] = {}
        self._epochs: dict[Path, int] = {}  # written so far

    def place(self, run: Run) -> str:
        """The command that shows it."""
        return command_line("--logdir", run.path).replace("seewhy", NAME, 1)

    def mirror(self, run: Run, last: bool) -> None:
        """Writes the epochs that are new, and at the end the final metrics."""
        writer = self._writers.get(run.path) or self._begin(run)
        start = (run.path / "config.yaml").stat().st_mtime
        for epoch, seconds, metrics in epochs(run):
            if epoch > self._epochs.get(run.path, 0):
                for name, value in metrics.items():
                    writer.add_scalar(name, value, epoch, walltime=start + seconds)
                self._epochs[run.path] = epoch
        if last and run.finished:
            self._end(run, writer)
        writer.flush()
        if last:
            self._writers.pop(run.path).close()

    def _begin(self, run: Run) -> "SummaryWriter":
        from tensorboardX import SummaryWriter

        folder = run.path / NAME
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        writer = self._writers[run.path] = SummaryWriter(str(folder))
        writer.add_text("recipe", _table(parameters(run)))
        return writer

    def _end(self, run: Run, writer: "SummaryWriter") -> None:
        """The final metrics with their bounds, as a table and beside the parameters."""
        from tensorboardX.summary import hparams

        final = measured(run)
        last = epochs(run)[-1][0]
        writer.add_text("metrics", _table({name: f"{value:.4f}" for name, value in final.items()}))
        for part in hparams(parameters(run), final):
            writer.file_writer.add_summary(part)
        for name, value in final.items():
            writer.add_scalar(name, value, last)


def _table(rows: dict[str, str]) -> str:
    lines = (
        f"| {escape_markdown(name)} | {escape_markdown(text)} |" for name, text in rows.items()
    )
    return "\n".join(["| | |", "|-|-|", *lines])
