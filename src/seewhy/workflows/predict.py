"""Labels images (files, folders, globs, arrays or bytes), as predictions or as rows of a table."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np

from seewhy.data.images.decode import ImageLike
from seewhy.data.shape import shape_notes
from seewhy.errors import UsageError
from seewhy.evaluation.decision.answers import decides
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note, OnEvent, Progress, ignore
from seewhy.files import holds_something, named_path, require_new, require_writable
from seewhy.inference.classifier import Classifier, OnError, Pass
from seewhy.inference.ensemble import members_decide
from seewhy.inference.loading import Runtime, load
from seewhy.logs import job
from seewhy.text import counted, csv_text
from seewhy.workflows.class_folders import ClassFolders, require_outside
from seewhy.workflows.cluster import Engine
from seewhy.workflows.contained import Inputs
from seewhy.workflows.journal import Journal, journal
from seewhy.workflows.label_blocks import Blocks, Job, blocks_here, blocks_on_ray
from seewhy.workflows.label_tables import Row, columns_of, write_table, writer_of
from seewhy.workflows.label_tally import Labelled, Tally, Times

OnRows = Callable[[Sequence[str], Sequence[Row]], None]

MOST_LABELS, MOST_MAPS = 100, 1000
MANY = 1000  # images, from which on it is said which part took the time
NO_ANSWER = "an ensemble has no answer column: its models' thresholds do not hold for it"
LOG_SECONDS = 10.0  # between two records of progress

_logger = logging.getLogger("seewhy.predict")


def predict(
    model: str | PathLike[str] | Sequence[str | PathLike[str]],
    images: ImageLike | Iterable[ImageLike],
    *,
    on_error: OnError = "raise",
    device: str = "auto",
    runtime: Runtime = "auto",
) -> Predictions:
    """Predicts one image or many, in all forms that `train` takes: see `Classifier.predict`.

    A bad image raises `ImageError`, or with `on_error="row"` becomes a row of NaN logits that is listed in
    `Predictions.errors`. To predict more than once, load the model once: `seewhy.load(model).predict(...)`.
    """
    with load(model, device=device, runtime=runtime) as classifier, classifier.in_full_precision():
        return classifier.predict(images, on_error=on_error)


def label_images(
    model: str | Path,
    paths: str | Path | Sequence[str | Path],
    out: str | Path | IO[str] | OnRows,
    *,
    top_k: int = 3,
    device: str = "auto",
    runtime: Runtime = "auto",
    follow_links: bool = False,
    engine: Engine = "local",
    resume: bool = False,
    copy_to: str | Path | None = None,
    explain: str | Path | None = None,
    explain_most: int = 50,
    on_event: OnEvent = ignore,
) -> Labelled:
    """Labels files, folders, globs and lists: one row per image, in order, including unreadable ones.

    A list is a .txt file with a path per line, from the working directory or from the list's folder. Of
    packs, parquet files, tars and zips the images inside are labelled, read one by one.

    `out` is a new .csv, .jsonl or .parquet file, written atomically; or a text stream, to which CSV is
    written row by row; or a function, called with the columns and some hundred rows at a time. A row has
    path, status ("ok", "error", "skipped"), `top_k` (1 to 100) labels with their confidences, best first, the
    model's digest, an error's code and text, and for a calibrated model its answer. `follow_links` labels
    images behind links that lead out of a folder, too. `engine="ray"` has the images labelled by a Ray
    cluster, whose machines reach model and images by the same paths; the rows are the same.

    Until `out` is there, `out`.partial keeps the rows; `resume` continues it after a kill, by the same model
    and images. `copy_to` is a folder for copies, one folder a class, with what the model is not sure of in
    "not sure". `explain` is a new folder for attribution maps of those images, or of the least sure ones
    where the model always answers: at most `explain_most` (1 to 1000), the least sure first. Raises
    `UsageError` if there are no images, or `resume` does not fit.
    """
    paths = [paths] if isinstance(paths, str | Path) else paths
    wanted = _Wanted(
        out=named_path(out) if isinstance(out, str) else out,
        top_k=top_k,
        resume=resume,
        copy_to=None if copy_to is None else named_path(copy_to),
        explain=None if explain is None else named_path(explain),
        explain_most=explain_most,
    )
    _check(wanted, paths)
    source = Job(str(model), tuple(map(str, paths)), device, runtime, follow_links, os.getcwd())
    with job("predict", model=str(model), paths=len(paths), out=wanted.file, resume=resume) as log:
        with source.load() as classifier, classifier.in_full_precision():
            _logger.info("model", extra={"digest": classifier.digest})
            if members_decide(classifier.predictor):
                on_event(Note(NO_ANSWER))
            images = source.images(on_event)
            _check_inside(wanted, images)
            _logger.info("images", extra={"images": len(images)})
            columns = columns_of(min(top_k, len(classifier.classes)), decides(classifier.decision))
            begin = blocks_on_ray if engine == "ray" else blocks_here
            blocks = begin(source, classifier, images, columns)
            labelling = _Labelling(classifier, images, wanted, columns, blocks)
            result = labelling.run(source.model, on_event)
        log |= vars(result)
    return result


@dataclass(frozen=True)
class _Wanted:
    """What `label_images` is asked for."""

    out: Path | IO[str] | OnRows
    top_k: int
    resume: bool
    copy_to: Path | None
    explain: Path | None
    explain_most: int

    @property
    def file(self) -> Path | None:
        return self.out if isinstance(self.out, Path) else None


def _check(wanted: _Wanted, paths: Sequence[str | Path]) -> None:
    """Raises what would otherwise be raised when the work is done."""
    if not 1 <= wanted.top_k <= MOST_LABELS:
        raise UsageError(f"--top-k {wanted.top_k}: expected 1 to {MOST_LABELS}")
    if not 1 <= wanted.explain_most <= MOST_MAPS:
        raise UsageError(f"--explain-most {wanted.explain_most}: expected 1 to {MOST_MAPS}")
    if wanted.file is not None:
        writer_of(wanted.file)
        require_new(wanted.file)
    elif wanted.resume:
        raise UsageError("--resume needs --out FILE: only a file can be continued")
    if wanted.copy_to is not None:
        require_outside(wanted.copy_to, paths)
        require_writable(wanted.copy_to)
    if wanted.explain is not None:
        if holds_something(wanted.explain):
            raise UsageError(f"{wanted.explain} is not empty: choose another folder for --explain")
        require_writable(wanted.explain)


def _check_inside(wanted: _Wanted, images: Inputs) -> None:
    """Raises `UsageError` for what needs files, where images are inside of one."""
    for flag, value in (("--copy-to", wanted.copy_to), ("--explain", wanted.explain)):
        if value is not None and images.inside:
            raise UsageError(
                f"{flag} needs images that are files, and some are inside a pack, a parquet file or an "
                "archive: extract them, or leave it out"
            )


class _Stream:
    """Rows that are handed on, to a text stream as CSV, and kept nowhere."""

    count = 0

    def __init__(self, stream: IO[str] | OnRows, columns: Sequence[str]) -> None:
        self._stream, self._columns = stream, columns
        if not callable(stream):
            stream.write(csv_text([columns]))

    def append(self, rows: Sequence[Row]) -> None:
        if callable(self._stream):
            self._stream(self._columns, rows)
        else:
            self._stream.write(csv_text(rows))
            self._stream.flush()


@dataclass(frozen=True)
class _Labelling:
    """Images that are being labelled, copied and explained by a loaded model."""

    classifier: Classifier
    images: Inputs
    wanted: _Wanted
    columns: Sequence[str]
    blocks: Blocks

    def run(self, model: str, on_event: OnEvent) -> Labelled:
        classifier, wanted, columns = self.classifier, self.wanted, self.columns
        copies = None
        if wanted.copy_to is not None:
            copies = ClassFolders(wanted.copy_to, classifier.classes, self.images.files)
        tally = Tally(columns, copies, wanted.explain_most)
        if isinstance(wanted.out, Path):
            with journal(wanted.out, self._about, resume=wanted.resume) as kept:
                tally.add(kept.rows())
                times = self._label(kept, tally, on_event)
                require_new(wanted.out)
                write_table(wanted.out, columns, kept.rows())
        else:
            times = self._label(_Stream(wanted.out, columns), tally, on_event)
        explained = 0
        if wanted.explain is not None:
            explained = _explain(classifier, model, tally.least_sure, wanted.explain, on_event)
        return tally.result(classifier.digest, wanted.file, times, explained)

    @property
    def _about(self) -> dict[str, Any]:
        """What must be the same for work to be continued."""
        return {
            "model": self.classifier.digest,
            "columns": self.columns,
            "images": len(self.images),
            "inputs": self.images.digest,
        }

    def _label(self, kept: Journal | _Stream, tally: Tally, on_event: OnEvent) -> Times:
        """Labels the images whose rows are not kept yet."""
        first, total, noticed = kept.count, len(self.images), Pass()
        if first:
            on_event(Note(f"{first:,} of {counted(total, 'row')} are there: continuing"))
        on_event(Progress("predicting", first, total))
        done, start = first, time.monotonic()
        logged, code = start, self.columns.index("code")
        for rows in self.blocks(first, noticed):
            for row in rows:
                if row[1] != "ok":
                    bad = {"path": row[0], "code": row[code], "error": row[code + 1]}
                    _logger.warning("bad image", extra=bad)
            tally.add(rows)
            kept.append(rows)
            done += len(rows)
            on_event(Progress("predicting", done, total))
            if time.monotonic() - logged > LOG_SECONDS or done == total:
                logged = time.monotonic()
                rate = round((done - first) / (logged - start), 1)
                progress = {"done": done, "total": total, "images_per_second": rate}
                _logger.info("progress", extra=progress)
        seconds = time.monotonic() - start
        times = Times(first, total - first, seconds, noticed.reading, noticed.network)
        if times.images >= MANY:
            on_event(Note(times.text))
        if self.classifier.rule.fit == "crop" and noticed.sizes:
            for note in shape_notes(np.concatenate(noticed.sizes), "crop"):
                on_event(Note(note))
        return times


def _explain(
    classifier: Classifier, model: str, names: Sequence[str], folder: Path, on_event: OnEvent
) -> int:
    """Explains the images that the model is least sure of, and counts them."""
    if not names:
        on_event(Note("the model is sure of all images that could be read: none is explained"))
        return 0
    from seewhy.workflows.explain import explain_named  # here, since it loads torch

    explained = explain_named(classifier, names, folder, model=model, on_event=on_event)
    return len(explained.explanations)
