"""`seewhy predict`."""

import glob
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from seewhy.cli.output import refuse_existing
from seewhy.cli.progress import ReadingBar, say
from seewhy.data.sources.folders import scan
from seewhy.errors import UsageError
from seewhy.evaluation.decision.answers import decides
from seewhy.evaluation.predictions import Predictions
from seewhy.files import atomic_file
from seewhy.inference.classifier import Classifier
from seewhy.inference.locate import load
from seewhy.text import csv_text

SKIPPED = {"not_a_file"}


@click.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="FILE.csv or FILE.jsonl [CSV to stdout]"
)
@click.option(
    "--top-k", default=3, show_default=True, help="labels a picture, best first (1 to 100)"
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
def command(model: str, paths: tuple[str, ...], out: Path | None, top_k: int, device: str) -> None:
    """Label pictures with MODEL: files, folders, globs, or - for a list on standard input.

    One row an input, in order, also for bad ones. Exits 1 when any row is not ok. A model from
    `seewhy calibrate` has a last column, answer: its class, "not sure" or "out of scope".
    """
    if not 1 <= top_k <= 100:
        raise UsageError(f"--top-k {top_k}: expected 1 to 100")
    classifier = load(model, device=device)
    count = min(top_k, len(classifier.classes))
    named = list(_expand(paths))
    if not named:
        raise UsageError(
            f"no pictures in {', '.join(paths)}: name files, or folders that hold some"
        )
    bar, done, bad = ReadingBar("predicting"), 0, 0
    with _opened(out) as file:
        as_lines = out is not None and out.suffix == ".jsonl"
        if not as_lines:
            file.write(csv_text([columns(count, decides(classifier.bundle.decision))]))
        for chunk in classifier.predict_chunks(named, on_error="row"):
            rows = list(_rows(chunk, classifier, count))
            file.write(_jsonl(rows) if as_lines else csv_text(row.values() for row in rows))
            file.flush()
            done, bad = done + len(rows), bad + len(chunk.errors)
            bar(done, len(named))
    if bad:
        say(f"{bad:,} of {done:,} pictures could not be read: see the rows whose status is not ok")
    sys.exit(1 if bad else 0)


def columns(count: int, answers: bool = False) -> list[str]:
    """The columns of a prediction row with `count` labels; a calibrated model's have an answer too."""
    ranks = [f"{name}{rank}" for rank in _ranks(count) for name in ("label", "confidence")]
    return ["path", "status", *ranks, "model_digest", "code", "error", *["answer"] * answers]


def _rows(chunk: Predictions, classifier: Classifier, count: int) -> Iterator[dict[str, Any]]:
    probabilities = chunk.probabilities()
    order = (-chunk.logits).argsort(axis=1, kind="stable")[:, :count]
    answers = classifier.answers(chunk) if decides(classifier.bundle.decision) else None
    for number, path in enumerate(chunk.ids):
        row: dict[str, Any] = dict.fromkeys(columns(count, answers is not None), "")
        if answers is not None:
            row["answer"] = answers[number]
        row |= {"path": path, "status": "ok", "model_digest": classifier.digest}
        if number in chunk.errors:
            code, message = chunk.errors[number]
            row |= {
                "status": "skipped" if code in SKIPPED else "error",
                "code": code,
                "error": message,
            }
        else:
            for rank, label in zip(_ranks(count), order[number], strict=True):
                row[f"label{rank}"] = classifier.classes[label]
                row[f"confidence{rank}"] = round(float(probabilities[number, label]), 6)
        yield row


def _ranks(count: int) -> list[str]:
    return ["", *(f"_{rank}" for rank in range(2, count + 1))]


def _jsonl(rows: Sequence[dict[str, Any]]) -> str:
    lines = ({k: None if v == "" else v for k, v in row.items()} for row in rows)
    return "".join(json.dumps(line) + "\n" for line in lines)


@contextmanager
def _opened(out: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that is there only once it is whole."""
    if out is None:
        yield click.open_file("-", "w", errors="backslashreplace")
        return
    if out.suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--out {out}: expected a name that ends in .csv or .jsonl")
    refuse_existing(out)
    with atomic_file(out) as file:
        text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
        yield text
        text.detach()


def _expand(paths: Iterable[str]) -> Iterator[str]:
    """The pictures that the arguments name: every named file, and what a folder or a glob holds."""
    for path in paths:
        if path == "-":
            yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
        elif Path(path).is_dir():
            found = scan(Path(path))
            yield from (str(Path(path, picture)) for picture in found.pictures)
            yield from (str(Path(path, file.path)) for file in found.skipped)
            if found.others:
                say(f"{path}: {found.others:,} other files passed over")
        elif glob.has_magic(path) and not Path(path).exists():
            yield from sorted(p for p in glob.glob(path, recursive=True) if not Path(p).is_dir())
        else:
            yield path
