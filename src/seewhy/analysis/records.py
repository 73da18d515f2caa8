"""Results as JSON: what a run keeps, a program reads, and a drawing takes."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.files import write_atomic
from seewhy.run import Run


def to_json(record: Any) -> Any:
    """A result as JSON values: records as objects, arrays as lists, NaN and infinity as null.

    Paths are text, and a run is its path.
    """
    if isinstance(record, Run):
        return str(record.path)
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_json(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(key): to_json(value) for key, value in record.items()}
    if isinstance(record, np.ndarray | np.generic):
        return to_json(record.tolist())
    if isinstance(record, list | tuple):
        return [to_json(value) for value in record]
    if isinstance(record, float) and not math.isfinite(record):
        return None
    if isinstance(record, Path):
        return str(record)
    return record.decode() if isinstance(record, bytes) else record


def write_json(record: Any, path: Path) -> None:
    """Writes a result to a file of its own, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(to_json(record), indent=1).encode())
