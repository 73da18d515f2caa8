"""Standard logging of long verbs: silent unless someone listens.

    with seewhy.log_to("labels.log", as_json=True):
        seewhy.label_images("fast", "photos/", "labels.csv")

Each verb has a logger of its own, `seewhy.VERB`, below `seewhy`. A record is an event, its message, with
fields, its `extra`: as text one line `TIME LEVEL LOGGER EVENT key=value ...`, as JSON one object with the
keys time (UTC), level, logger, event, then those of the event. Names that others chose are escaped, so that
no record spans two lines.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seewhy.errors import FULL, DiskFullError, as_user_error
from seewhy.files import refusal_named, to_json
from seewhy.text import visible

_ROOT = logging.getLogger("seewhy")
_ROOT.addHandler(logging.NullHandler())  # else Python shows warnings on standard error
_PLAIN = re.compile(r"[\w.,:/+-]+")
_STANDARD = {
    *vars(logging.makeLogRecord({})),
    "message",
    "asctime",
    "taskName",
}  # all else is `extra`


@contextmanager
def job(verb: str, **fields: Any) -> Iterator[dict[str, Any]]:
    """Logs the start of a verb's work, and its end with the fields that the block puts into the dictionary.

    Work that ends otherwise is logged as failed, with the error, or as interrupted.
    """
    logger = logging.getLogger(f"seewhy.{verb}")
    logger.info("start", extra=fields)
    start = time.monotonic()
    results: dict[str, Any] = {}
    try:
        yield results
    except BaseException as error:
        with suppress(DiskFullError):  # of the log itself, which is told already
            seconds = {"seconds": round(time.monotonic() - start, 3)}
            if isinstance(error, Exception):
                logger.error("failed", extra=_failure(error) | seconds)
            else:  # Ctrl-C, or an exit
                logger.warning("interrupted", extra=seconds)
        raise
    logger.info("end", extra=results | {"seconds": round(time.monotonic() - start, 3)})


def _failure(error: Exception) -> dict[str, Any]:
    known = as_user_error(error)
    code = 1 if known is None else known.exit_code
    return {"code": type(known or error).__name__, "error": str(known or error), "exit_code": code}


@contextmanager
def log_to(
    file: str | Path | None = None, *, as_json: bool = False, required: bool = True
) -> Iterator[None]:
    """Has what `seewhy` logs in the block written to the end of a file [standard error].

    `as_json` writes a JSON object a line. A full disk raises `DiskFullError`, but where the log is not
    `required`, records are lost until there is space. Raises `UnwritableError` if the file cannot be made.
    """
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        with refusal_named(Path(file)):
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            handler = _File(file, required)
    handler.setFormatter(_Json() if as_json else _Text())
    level = _ROOT.level
    _ROOT.addHandler(handler)
    _ROOT.setLevel(logging.INFO)
    try:
        yield
    finally:
        _ROOT.setLevel(level)
        _ROOT.removeHandler(handler)
        with suppress(OSError):  # of a full disk, which is told already
            handler.close()


class _File(logging.FileHandler):
    def __init__(self, file: str | Path, required: bool) -> None:
        super().__init__(file, encoding="utf-8", errors="backslashreplace")
        self.required = required

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        full = isinstance(error, OSError) and error.errno in FULL
        if not full:
            raise  # it is called while the exception is handled
        if self.required:
            raise DiskFullError(self.baseFilename) from None


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if record.exc_info:
        fields["traceback"] = logging.Formatter().formatException(record.exc_info)
    return fields


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = (f"{name}={_value(value)}" for name, value in _fields(record).items())
        line = [_time(record), record.levelname, record.name, record.getMessage(), *fields]
        return visible(" ".join(line))


def _value(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return json.dumps(to_json(value), ensure_ascii=False, allow_nan=False)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        about = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
        fields = about | {"event": record.getMessage()} | _fields(record)
        return json.dumps(to_json(fields), allow_nan=False)
