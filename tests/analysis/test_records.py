import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from seewhy.analysis.records import to_json, write_json
from seewhy.evaluation.stats.intervals import wilson
from seewhy.run import Run


@dataclass(frozen=True, eq=False)
class Example:
    values: np.ndarray
    inner: object
    names: tuple[str, ...]


def test_records_become_plain_values_and_what_is_undefined_null(tmp_path) -> None:
    example = Example(
        np.array([[1.5, np.nan], [np.inf, 2]]),
        {"rate": wilson(1, 2), 3: np.int64(4), "hash": np.array([b"ab"], "S2")},
        ("a", "b"),
    )
    path = tmp_path / "analysis" / "example.json"
    write_json(example, path)
    found = json.loads(path.read_text())
    assert found == to_json(example)
    assert found["values"] == [[1.5, None], [None, 2.0]] and found["names"] == ["a", "b"]
    assert found["inner"]["rate"]["value"] == 0.5 and found["inner"]["3"] == 4
    assert found["inner"]["hash"] == ["ab"]


def test_a_run_and_a_path_are_written_as_paths() -> None:
    found = to_json({"run": Run(Path("a/b")), "path": Path("c"), "by": MappingProxyType({3: True})})
    assert json.loads(json.dumps(found)) == {"run": "a/b", "path": "c", "by": {"3": True}}
