"""Labels images (files, folders, globs, arrays or bytes), as predictions or as rows of a table."""

import glob
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from seewhy.data.images.decode import ImageLike, read_file
from seewhy.data.shape import cropped_note
from seewhy.data.sources.folders import LITTER, scan
from seewhy.errors import UsageError
from seewhy.evaluation.decision.answers import decides
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note, OnEvent, Progress, ignore
from seewhy.files import atomic_file, named_path, require_new, to_json
from seewhy.inference.classifier import Classifier
from seewhy.inference.ensemble import members_decide
from seewhy.inference.loading import Runtime, load
from seewhy.text import counted, csv_text, listed, shortened

SKIPPED = {"not_a_file"}
MOST_LABELS = 100
_ESCAPED = re.compile(r"\\(udc[89a-f][0-9a-f])")


def predict(
    model: str | PathLike[str] | Sequence[str | PathLike[str]],
    images: ImageLike | Iterable[ImageLike],
    *,
    on_error: Literal["raise", "row"] = "raise",
    device: str = "auto",
    runtime: Runtime = "auto",
) -> Predictions:
    """Predicts one image or many, in all forms that `train` takes: see `Classifier.predict`.

    A bad image raises `ImageError`, or with `on_error="row"` becomes a row of NaN logits that is listed in
    `Predictions.errors`. To predict more than once, load the model once: `seewhy.load(model).predict(...)`.
    """
    with load(model, device=device, runtime=runtime) as classifier, classifier.in_full_precision():
        return classifier.predict(images, on_error=on_error)


@dataclass(frozen=True)
class Labelled:
    """The number of rows, and how many of their images could not be read."""

    images: int
    bad: int


def label_images(
    model: str | Path,
    paths: str | Path | Sequence[str | Path],
    out: str | Path | IO[str],
    *,
    top_k: int = 3,
    device: str = "auto",
    runtime: Runtime = "auto",
    follow_links: bool = False,
    on_event: OnEvent = ignore,
) -> Labelled:
    """Labels files, folders, globs and lists: one row per image, in order, including unreadable ones.

    A list is a .txt file with a path per line, from the working directory or from the list's folder.

    `out` is a new .csv or .jsonl file, written atomically, or a text stream, to which CSV is written
    row by row. A row has path, status ("ok", "error", "skipped"), `top_k` (1 to 100) labels with their
    confidences, best first, the model's digest, an error's code and text, and for a calibrated model its
    answer. `follow_links` labels images behind links that lead out of a folder, too. Raises `UsageError` if
    there are no images.
    """
    if not 1 <= top_k <= MOST_LABELS:
        raise UsageError(f"--top-k {top_k}: expected 1 to {MOST_LABELS}")
    paths = [paths] if isinstance(paths, str | Path) else paths
    with load(model, device=device, runtime=runtime) as classifier, classifier.in_full_precision():
        if members_decide(classifier.predictor):
            on_event(
                Note("an ensemble has no answer column: its models' thresholds do not hold for it")
            )
        images = named_images(paths, follow_links=follow_links, on_event=on_event)
        columns = _columns(min(top_k, len(classifier.classes)), decides(classifier.decision))
        as_lines = isinstance(out, str | Path) and Path(out).suffix == ".jsonl"
        done = bad = 0
        with _opened(out) as file:
            if not as_lines:
                file.write(csv_text([columns]))
            for chunk in classifier.predict_chunks(images, on_error="row"):
                rows = [_row(classifier, chunk, number, columns) for number in range(len(chunk))]
                file.write(_jsonl(rows) if as_lines else csv_text(row.values() for row in rows))
                file.flush()
                done, bad = done + len(rows), bad + len(chunk.errors)
                on_event(Progress("predicting", done, len(images)))
        for note in cropped_note(images, classifier.rule.fit):
            on_event(Note(note))
    return Labelled(done, bad)


def _columns(count: int, answers: bool) -> tuple[str, ...]:
    labels = [f"{name}{rank}" for rank in _ranks(count) for name in ("label", "confidence")]
    return ("path", "status", *labels, "model_digest", "code", "error", *["answer"] * answers)


def _ranks(count: int) -> list[str]:
    return ["", *(f"_{rank}" for rank in range(2, count + 1))]


@contextmanager
def _opened(out: str | Path | IO[str]) -> Iterator[IO[str]]:
    """The stream itself, or a file that is written atomically."""
    if not isinstance(out, str | Path):
        yield out
        return
    path = Path(out)
    if path.suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--out {path}: expected a name that ends in .csv or .jsonl")
    require_new(path)
    with atomic_file(path) as file:
        text = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", newline="")
        yield text
        text.detach()


def _jsonl(rows: Sequence[dict[str, Any]]) -> str:
    lines = ({k: None if v == "" else v for k, v in row.items()} for row in rows)
    return "".join(json.dumps(to_json(line), allow_nan=False) + "\n" for line in lines)


def _row(
    classifier: Classifier, chunk: Predictions, number: int, columns: Sequence[str]
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(columns, "")
    row |= {"path": chunk.ids[number], "status": "ok", "model_digest": classifier.digest}
    if number in chunk.errors:
        code, message = chunk.errors[number]
        status = "skipped" if code in SKIPPED else "error"
        return row | {"status": status, "code": code, "error": message}
    one = chunk.take(np.array([number]))
    probabilities = one.probabilities()[0]
    order = (-one.logits[0]).argsort(kind="stable")
    for rank, label in zip(_ranks(len(order)), order, strict=True):
        if f"label{rank}" in row:
            row[f"label{rank}"] = classifier.classes[label]
            row[f"confidence{rank}"] = round(float(probabilities[label]), 6)
    if "answer" in row:
        row["answer"] = classifier.answers(one)[0]
    return row


def named_images(
    paths: Sequence[str | Path], *, follow_links: bool = False, on_event: OnEvent = ignore
) -> list[str]:
    """The images in files, folders, globs and lists, in order; raises `UsageError` if there are none."""
    images = list(_expand(paths, follow_links, on_event))
    if not images:
        named = ", ".join(map(str, paths))
        raise UsageError(f"no images in {named}: give files, or folders with images")
    return images


def _expand(paths: Iterable[str | Path], follow_links: bool, on_event: OnEvent) -> Iterator[str]:
    """The images of the arguments: every named file, and those in folders, globs and lists."""
    for path in map(str, paths):
        if Path(path).suffix.lower() == ".txt" and Path(path).is_file():
            lines = listed(read_file(path))
            if not lines:
                raise UsageError(f"the list {path} is empty: expected a path per line")
            beside = Path(path).parent
            listed_paths = (_found(line, (Path(), beside)) for line in lines)
            yield from _expand(listed_paths, follow_links, on_event)
            continue
        path = _found(path, (Path(),))
        if path.startswith("~"):
            path = str(named_path(path))
        if Path(path).is_dir():
            folder = scan(Path(path), follow_links)
            yield from (str(Path(path, image)) for image in folder.images)
            yield from (str(Path(path, file.path)) for file in folder.skipped)
            if folder.others:
                on_event(Note(f"{path}: {counted(len(folder.others), 'other file')} ignored"))
            if folder.outputs:
                on_event(Note(f"{path}: output of SeeWhy, ignored: {shortened(folder.outputs)}"))
            if links := folder.left_links():
                on_event(Note(f"{path}: {links}"))
        elif glob.has_magic(path) and not Path(path).exists():
            matches = _matches(path)
            yield from matches
            if not matches:
                on_event(Note(f"{path}: no file matches"))
        else:
            yield path


def _matches(pattern: str) -> list[str]:
    """The files of a glob, without litter. Brackets in the name of a folder that exists are no pattern."""
    parts = pattern.split("/")
    known = next(n for n in range(len(parts) - 1, -1, -1) if not n or Path(*parts[:n]).exists())
    literal, rest = "/".join(parts[:known]), parts[known:]
    files = glob.glob("/".join([glob.escape(literal), *rest] if known else rest), recursive=True)
    return sorted(
        file
        for file in files
        if not Path(file).is_dir()
        and not any(part.lower() in LITTER for part in file[len(literal) :].split("/"))
    )


def _found(path: str, folders: Sequence[Path]) -> str:
    """The path as it is on disk, where a list writes it from another folder or its bytes in another way.

    Bytes that are not UTF-8 are escaped as in our tables (`\\udce9`), or are a name in Windows-1252.
    """
    forms = [path, _ESCAPED.sub(lambda byte: chr(int(byte[1][1:], 16)), path)]
    with suppress(UnicodeError):
        forms.append(path.encode("utf-8", "surrogateescape").decode("cp1252"))
    places = (str(folder / form) for folder in folders for form in forms)
    return next((place for place in places if os.path.lexists(place)), path)
