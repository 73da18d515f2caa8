"""The run directory: everything about a training in readable files."""

import csv
import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml

from seewhy.errors import DataError, UsageError
from seewhy.events import StoredEvent
from seewhy.files import (
    clear_temporaries,
    exclusive,
    from_json,
    from_yaml,
    full_disk_named,
    holds_something,
    make_directory,
    named_path,
    sync_directory,
    to_json,
    write_atomic,
    write_json,
)
from seewhy.text import command_line, csv_text, visible

# Data settings that a run which does not name them was trained with, where defaults have changed since.
BEFORE = {"fit": "crop", "depth": "upper_byte"}
EVENTS = {kind.__name__: kind for kind in get_args(StoredEvent)}
# How to get a file again that is missing or damaged; others are written by `evaluate --full`.
REMEDIES = {
    "config.yaml": "restore it from a copy, or train again with another --out",
    "environment.json": "remove it, it only says where the training ran",
    "events.jsonl": "remove it, and the report derives diagnostics from history.csv",
    "history.csv": "`{resume}` writes it again from the checkpoint",
    "gradient_norms.csv": "remove it, only the report shows it",
    "splits.csv": "`{resume}` writes it again",
    "bad_files.csv": "`{resume}` writes it again",
    "difficulty.csv": "remove it, and `{resume}` writes it again",
    "metrics.json": "`{evaluate}` writes it again",
    "analysis/robustness.json": "`{robustness}` writes it again",
}
DAMAGED = "is damaged"
OF_A_RUN = ("splits.csv", "log.txt", "history.csv", "model.safetensors")


T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A run directory by its path. A run is finished when it has its model file."""

    path: Path

    def __init__(self, path: str | Path) -> None:
        object.__setattr__(self, "path", named_path(path))

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def lock(self) -> Path:
        return self.path / "run.lock"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def finished(self) -> bool:
        return self.model.is_file()

    @property
    def started(self) -> bool:
        return (self.path / "config.yaml").is_file()

    @property
    def saved_step(self) -> int | None:
        """The step of the newest checkpoint; None if there is none."""
        names = (path.name.removeprefix("step-") for path in self.checkpoints.glob("step-*"))
        return max((int(name) for name in names if name.isdecimal()), default=None)

    @property
    def resume_command(self) -> str:
        """The command that continues the run, by its own recipe and data."""
        return command_line("train", "--resume", "--out", self.path)

    def predictions(self, split: str) -> Path:
        return self.path / f"predictions-{split}.parquet"

    def set_aside(self, epochs: int) -> None:
        """Moves the model of so many epochs, and all that was measured of it, to `epochs-N/`."""
        home = self.path / f"epochs-{epochs}"
        home.mkdir(exist_ok=True)
        measured = ("metrics.json", "report.html", "analysis", "figures", "predictions-*.parquet")
        for pattern in (*measured, self.model.name):  # last: without its model, a run is unfinished
            for path in self.path.glob(pattern):
                path.replace(home / path.name)
        sync_directory(home)
        sync_directory(self.path)

    @property
    def config(self) -> dict[str, Any]:
        """The recipe, the data and their digests, as saved at the start."""
        with self._reading("config.yaml") as path:
            loaded: dict[str, Any] = from_yaml(path.read_text("utf-8"))
            recipe = loaded["recipe"]
            recipe["data"] = {**BEFORE, **recipe["data"]}
            if not loaded["data"] or "train" not in recipe:  # cut short
                raise KeyError
            return loaded

    @property
    def environment(self) -> dict[str, Any]:
        """The machine, the versions and the directory of the training; empty before that is stored."""
        return self.record("environment.json")

    @property
    def data(self) -> str:
        """Its data as given; a path that leads nowhere from here is taken from where the training ran."""
        given: str = self.config["data"]
        there = Path(self.environment.get("directory", ""), given)
        return str(there) if there.exists() and not Path(given).exists() else given

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of `history.csv`, one per epoch, as numbers; empty before the first one ends."""
        return self._numbers("history.csv")

    @property
    def gradient_norms(self) -> list[dict[str, float]]:
        """The rows of `gradient_norms.csv`, one column per layer; empty if they were not recorded."""
        return self._numbers("gradient_norms.csv")

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics of each split that was evaluated, by its name."""
        return self.record("metrics.json")

    @property
    def test_readings(self) -> int:
        """How often the test split was evaluated, also by a model of fewer epochs."""
        models = [self, *map(Run, self.path.glob("epochs-*"))]
        return max(model.metrics.get("test", {}).get("reading", 0) for model in models)

    @property
    def split_sizes(self) -> Counter[str]:
        """The number of images of each split, by its name."""
        return Counter(row["split"] for row in self.rows("splits.csv", "split"))

    def image_hashes(self, split: str | None = None) -> set[bytes]:
        """The content hashes of the images of one split, or of all."""
        rows = self.rows("splits.csv", "split", "hash")
        return {row["hash"].encode() for row in rows if split in (None, row["split"])}

    @property
    def events(self) -> list[StoredEvent] | None:
        """The records of `events.jsonl`, without an incomplete last line; None if there is no such file.

        A number that was NaN or infinite is None.
        """
        path = self.path / "events.jsonl"
        if not path.is_file():
            return None
        with self._reading(path.name):
            lines = path.read_text("utf-8").split("\n")[:-1]  # empty after a complete last line
            records = map(json.loads, lines)
            return [EVENTS[record.pop("type")](**record) for record in records]

    def rows(self, name: str, *columns: str) -> list[dict[str, str]]:
        """The rows of a stored CSV file, which must have these columns."""
        with self._reading(name) as path, open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if not set(columns) <= set(rows.fieldnames or ()):
                raise KeyError
            listed = list(rows)
            if any(None in row.values() for row in listed):  # cut short
                raise ValueError
            return listed

    def _numbers(self, name: str) -> list[dict[str, float]]:
        if not (self.path / name).is_file():
            return []
        with self._reading(name):
            return [{k: float(value) for k, value in row.items()} for row in self.rows(name)]

    def record(self, name: str) -> dict[str, Any]:
        """A stored JSON object; empty where there is no such file."""
        if not (self.path / name).is_file():
            return {}
        with self._reading(name) as path:
            return dict(json.loads(path.read_text("utf-8")))

    def typed(self, kind: type[T], name: str, key: str | None = None) -> T | None:
        """A stored JSON file, or its value at `key`, as a record; None where there is no such file."""
        if not (self.path / name).is_file():
            return None
        with self._reading(name) as path:
            stored = json.loads(path.read_text("utf-8"))
            record: T = from_json(kind, stored if key is None else stored[key])
            return record

    @contextmanager
    def _reading(self, name: str) -> Iterator[Path]:
        try:
            yield self.path / name
        except FileNotFoundError:
            raise self.lacks(name, "is missing") from None
        except OSError as error:
            raise self.lacks(name, f"cannot be read ({error.strerror})") from None
        except (ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError, csv.Error):
            raise self.lacks(name, DAMAGED) from None

    def lacks(self, name: str, fault: str) -> DataError:
        """The error for a stored file that is missing or damaged; it says how to get the file again."""
        split = " --split test" if name.endswith("-test.json") else ""
        remedy = REMEDIES.get(name, f"`{{evaluate}} --full{split}` writes it again")
        if name == "history.csv" and self.saved_step is None:  # nothing to write it from
            remedy = REMEDIES["config.yaml"]
        if name == "metrics.json" and fault == DAMAGED:  # not replaced: it counts readings of test
            remedy = f"remove it, then {remedy}"
        verbs = {
            verb: f"{command_line(verb, self.path)} --data DATA"
            for verb in ("evaluate", "robustness")
        }
        remedy = remedy.format(resume=self.resume_command, **verbs)
        return DataError(f"{self.path / name} {fault}: {remedy}")

    def add_events(self, events: Iterable[StoredEvent], length: int | None) -> int | None:
        """Writes events after the first `length` bytes of `events.jsonl`, durably; returns the new length.

        A length of None means that the run was started before there was such a file, and keeps none.
        """
        if length is None:
            return None
        records = ({"type": type(event).__name__, **to_json(event)} for event in events)
        text = "".join(f"{json.dumps(one, allow_nan=False)}\n" for one in records).encode()
        path = self.path / "events.jsonl"
        with full_disk_named(path, len(text)), open(path, "ab") as file:
            file.truncate(min(length, file.tell()))
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def write_config(self, config: Mapping[str, Any]) -> None:
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        write_atomic(self.path / "config.yaml", text.encode())

    def write_history(
        self,
        rows: Sequence[Mapping[str, Any]],
        gradient_norms: Sequence[Mapping[str, float]] = (),
    ) -> None:
        _write_rows(self.path / "history.csv", rows)
        if gradient_norms:
            _write_rows(self.path / "gradient_norms.csv", gradient_norms)

    def write_metrics(self, split: str, metrics: Any) -> None:
        """Stores the metrics of a split; those of test with the number of this evaluation, from 1."""
        with exclusive(self.path / "metrics.lock", wait=True):
            stored = self.metrics
            numbered = to_json(metrics)
            if split == "test":
                numbered["reading"] = 1 + self.test_readings
                self.log(f"test split read, reading {numbered['reading']}")
            stored[split] = numbered
            write_json(stored, self.path / "metrics.json")

    def log(self, line: str) -> None:
        """Appends a line with a timestamp; control characters are escaped."""
        path = self.path / "log.txt"
        text = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {visible(line)}\n"
        with full_disk_named(path, len(text)), open(path, "a", encoding="utf-8") as file:
            file.write(text)


def new_run(out: Path | None, recipe: str) -> Run:
    """A new run directory: `out`, or the first unused of `runs/RECIPE`, `runs/RECIPE-2`, ...

    Raises `UsageError` if `out` is not empty: nothing is ever overwritten.
    """
    if out is not None:
        return _claim(out, resume=False)
    number = 1
    while True:
        path = _default_path(recipe, number)
        make_directory(path.parent)
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            sync_directory(path.parent)
            return Run(path)


def resumable_run(out: Path | None, recipe: str) -> Run:
    """The run to resume: `out`, or the newest of `runs/RECIPE*`; a new one if there is none."""
    if out is not None:
        return _claim(out, resume=True)
    return _newest_run(recipe) or new_run(None, recipe)


def started_run(out: Path | None, recipe: str) -> Run | None:
    """The run that `resumable_run` gives, if it has been started; makes nothing."""
    run = _newest_run(recipe) if out is None else Run(out)
    return run if run is not None and run.started else None


def runs_below(folder: Path, depth: int, seen: tuple[Path, ...] = ()) -> Iterator[Run]:
    """The runs in a folder and so many levels below it, by path; none within another.

    A config.yaml that cannot be read is that of a run if others of its files are there.
    """
    with suppress(PermissionError):  # in a folder that may not be read there are none
        run, home = Run(folder), folder.resolve()
        if run.started and (_is_run(run) or any((folder / name).exists() for name in OF_A_RUN)):
            yield run
        elif depth and folder.is_dir() and home not in seen:  # a link may lead back
            for below in sorted(folder.iterdir()):
                if not below.name.startswith("."):
                    yield from runs_below(below, depth - 1, (*seen, home))


def runs_here() -> list[Run]:
    """The runs in the working directory and in `runs/` that can be read, by path; it may itself be one."""
    runs = dict.fromkeys([*runs_below(Path(), 1), *runs_below(Path("runs"), 1)])
    return [run for run in runs if _is_run(run)]


def _is_run(run: Run) -> bool:
    """Whether a config.yaml is that of a run, and not of another program."""
    try:
        return isinstance(run.config["recipe"]["train"], dict)
    except (DataError, TypeError):
        return False


def _newest_run(recipe: str) -> Run | None:
    ends = ((path.name.removeprefix(recipe), path) for path in Path("runs").glob(f"{recipe}*"))
    numbered = [(int(end[1:] or 1), path) for end, path in ends if re.fullmatch(r"(-\d+)?", end)]
    return Run(max(numbered)[1]) if numbered else None


def _claim(out: Path, resume: bool) -> Run:
    """The run at `out`: an empty directory or an unstarted run, or with `resume` a started one."""
    run = Run(out)
    if run.started and not resume:
        raise UsageError(
            f"{out} is not empty: choose another --out, or continue its run with `{run.resume_command}`"
        )
    if holds_something(out) and not run.started and not run.lock.exists():
        raise UsageError(f"{out} is not empty: choose another --out")
    make_directory(out)
    return run


@contextmanager
def writing(run: Run) -> Iterator[None]:
    """Locks the run for one writer, and removes temporary files of killed processes.

    A second writer gets `LockedError` at once.
    """
    with exclusive(run.lock):
        clear_temporaries(run.path)
        for half_written in run.checkpoints.glob("step-*.tmp"):
            shutil.rmtree(half_written, ignore_errors=True)
        yield


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    # A run that went on elsewhere may lack a column in some rows.
    names = [name for name in rows[0] if all(name in row for row in rows)] if rows else []
    cells = ([row[name] for name in names] for row in rows)
    write_atomic(path, csv_text([names, *cells]).encode())


def _default_path(recipe: str, number: int) -> Path:
    return Path("runs") / (recipe if number == 1 else f"{recipe}-{number}")
