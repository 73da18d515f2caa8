import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from seewhy.errors import DataError, DiskFullError
from seewhy.evaluation.predictions import Predictions, concat, stored_ids

CLASSES = ("cat", "dog", "=evil()")


def same(a: Predictions, b: Predictions) -> bool:
    """Equal to the last bit, NaN payloads and missing parts included."""
    return (
        a.logits.tobytes() == b.logits.tobytes()
        and (a.labels is None) == (b.labels is None)
        and (a.labels is None or np.array_equal(a.labels, b.labels))
        and a.classes == b.classes
        and list(a.ids) == list(b.ids)
        and (a.embeddings is None) == (b.embeddings is None)
        and (a.embeddings is None or a.embeddings.tobytes() == b.embeddings.tobytes())
        and dict(a.errors) == dict(b.errors)
    )


def some(n: int = 5, seed: int = 0, **fields: object) -> Predictions:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3)).astype(np.float32)
    ids = np.array([f"{seed}/{row}.png" for row in range(n)], dtype=object)
    whole = {"labels": rng.integers(0, 3, n), "classes": CLASSES, "ids": ids}
    return Predictions(logits, **(whole | fields))


def test_probabilities_add_up_and_follow_the_temperature() -> None:
    p = some(50)
    assert p.probabilities().sum(axis=1) == pytest.approx(np.ones(50))
    by_hand = np.exp(p.logits[0].astype(float) / 2)
    warm = replace(p, temperature=2.0)
    assert warm.probabilities()[0] == pytest.approx(by_hand / by_hand.sum())
    assert warm.confidence() == pytest.approx(warm.probabilities().max(axis=1))
    assert np.array_equal(warm.probabilities().argmax(axis=1), p.predicted)


def test_extreme_logits_overflow_nowhere() -> None:
    p = some(2, temperature=0.05)
    p.logits[:] = [[3e38, -3e38, 0], [-1e4, -1e4, -1e4]]
    assert p.confidence().tolist() == pytest.approx([1, 1 / 3])
    assert p.predicted.tolist() == [0, 0]


@settings(max_examples=60)
@given(data=st.data(), n=st.integers(0, 6), k=st.integers(1, 4))
def test_parquet_keeps_every_bit(data: st.DataObject, n: int, k: int, tmp_path_factory) -> None:
    text = st.text(max_size=20)
    paths = st.binary(max_size=8).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
    ids = data.draw(st.lists(st.one_of(text, paths), min_size=n, max_size=n))
    floats = st.floats(width=32)
    p = Predictions(
        data.draw(npst.arrays(np.float32, (n, k), elements=floats)),
        data.draw(st.none() | npst.arrays(np.int64, n, elements=st.integers(-1, k - 1))),
        tuple(data.draw(st.lists(text, min_size=k, max_size=k))),
        np.array(ids, dtype=object),
        data.draw(st.none() | npst.arrays(np.float32, (n, 2), elements=floats)),
        {row: ("undecodable", data.draw(text)) for row in range(n) if data.draw(st.booleans())},
    )
    path = tmp_path_factory.getbasetemp() / "round-trip.parquet"
    with np.errstate(all="ignore"):
        p.to_parquet(path)
    assert same(Predictions.from_parquet(path), p)


def test_parquet_columns_are_those_that_others_read(tmp_path: Path) -> None:
    p = some(4, temperature=2.0)
    p.to_parquet(tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column_names == ["id", "label", "predicted", "confidence", "logits"]
    assert table.schema.field("logits").type == pa.list_(pa.float32(), 3)
    assert json.loads(table.schema.metadata[b"seewhy"]) == {
        "classes": list(CLASSES),
        "labelled": True,
        "temperature": 2.0,
    }
    assert table["confidence"].to_pylist() == p.confidence().tolist()
    assert table["predicted"].to_pylist() == p.predicted.tolist()


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"PAR1 no, it is not"),
        lambda path: path.write_bytes(b""),
        lambda path: pq.write_table(pa.table({"id": ["a"]}), path),
        lambda path: pq.write_table(
            pa.table({"id": ["a"], "label": [0]}).replace_schema_metadata(
                {"seewhy": '{"classes": ["a"], "labelled": true}'}
            ),
            path,
        ),
        lambda path: pq.write_table(
            pa.table({"id": ["a"], "label": [0], "logits": [[1.0]]}).replace_schema_metadata(
                {"seewhy": '{"classes": ["a"], "labelled": true}'}
            ),
            path,
        ),
        lambda path: path.mkdir(),
        lambda path: None,
    ],
    ids=["damaged", "empty", "foreign", "no logits", "rows of any length", "folder", "missing"],
)
def test_another_file_is_a_data_error(write, tmp_path: Path) -> None:
    write(tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"p\.parquet is not a predictions file of SeeWhy"):
        Predictions.from_parquet(tmp_path / "p.parquet")


def test_csv_names_classes_and_says_what_was_right(tmp_path: Path) -> None:
    logits = np.array([[9, 0, 0], [0, 9, 0], [0, 9, 0], [np.nan] * 3], np.float32)
    p = Predictions(
        logits,
        np.array([0, 0, -1, 1]),
        ("cat", "dog", "owl"),
        np.array(["a.png", "b,\n.png", "c.png", "d.png"]),
        errors={3: ("undecodable", "cut short")},
    )
    p.to_csv(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == list(p.ids)
    assert [row["label"] for row in rows] == ["cat", "cat", "", "dog"]
    assert [row["predicted"] for row in rows] == ["cat", "dog", "dog", ""]
    assert [row["correct"] for row in rows] == ["1", "0", "", "0"]
    assert [row["confidence"] for row in rows] == [f"{c:.6f}" for c in p.confidence()[:3]] + [""]


def test_csv_without_labels_leaves_the_columns_empty(tmp_path: Path) -> None:
    some(3, labels=None).to_csv(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        assert {(row["label"], row["correct"]) for row in csv.DictReader(file)} == {("", "")}


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_cells_are_no_formulas(start: str, tmp_path: Path) -> None:
    p = some(2, classes=(start, "b", "c"), ids=np.array([start, "ok"]), labels=np.array([0, 0]))
    p.to_csv(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert any("1" in cell or "SUM" in cell for cell in cells)


def test_csv_keeps_the_bytes_of_a_path_that_is_no_utf8(tmp_path: Path) -> None:
    some(1, ids=np.array(["caf\udce9.png"], dtype=object)).to_csv(tmp_path / "out.csv")
    assert b"caf\xe9.png" in (tmp_path / "out.csv").read_bytes()


@pytest.mark.parametrize("write", ["to_csv", "to_parquet"])
def test_an_old_file_outlives_a_failed_write(write: str, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "out"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError):
        getattr(some(3), write)(path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_concat_joins_in_order_and_moves_the_errors() -> None:
    first = some(2, seed=1, errors={1: ("undecodable", "x")})
    second = some(3, seed=2, errors={0: ("too_large", "y")})
    joined = concat(iter([first, second]))
    assert list(joined.ids) == [*first.ids, *second.ids]
    assert np.array_equal(joined.logits, np.concatenate([first.logits, second.logits]))
    assert joined.errors == {1: ("undecodable", "x"), 2: ("too_large", "y")}
    assert joined.predicted.tolist()[1:3] == [-1, -1]
    assert same(concat([first]), first)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"logits": np.zeros((3, 2))},
            r"logits: expected .* float32 \(3, 2\).* not float64 \(3, 2\)",
        ),
        ({"logits": np.zeros((2, 3), np.float32)}, r"not float32 \(2, 3\)"),
        ({"labels": np.zeros(3, np.uint8)}, r"labels: expected .* int64 \(3,\).* not uint8 \(3,\)"),
        ({"labels": [0, 1, 0]}, "not list: convert"),
        ({"labels": np.array([1, 2, 1])}, "labels from 1 to 2: expected .* 0 to 1, or -1"),
        ({"labels": np.array([0, 1, -100])}, "labels from -100 to 1"),
        ({"ids": ["a", "b", "c"]}, r"ids: expected a NumPy array \(3,\).* not list"),
    ],
)
def test_arrays_of_a_users_own_are_checked(changed: dict[str, Any], message: str) -> None:
    """Sums of bytes overflow: of small integers the confusion matrix would be wrong."""
    own = {
        "logits": np.zeros((3, 2), np.float32),
        "labels": np.array([0, 1, -1]),
        "classes": ("a", "b"),
        "ids": np.array(["1", "2", "3"], object),
    }
    assert len(Predictions(**own)) == 3
    with pytest.raises(DataError, match=message):
        Predictions(**(own | changed))


def test_take_keeps_what_belongs_to_a_row() -> None:
    embeddings = np.arange(10, dtype=np.float32).reshape(5, 2)
    p = some(5, embeddings=embeddings, errors={4: ("undecodable", "x")})
    taken = p.take(np.array([4, 0]))
    assert list(taken.ids) == [p.ids[4], p.ids[0]]
    assert taken.errors == {0: ("undecodable", "x")}
    assert np.array_equal(taken.embeddings, embeddings[[4, 0]])
    assert same(p.take(np.array([True] * 5)), p)


def test_the_ids_are_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a.png", "b\udcff.png", "c.png"]
    made = Predictions(np.zeros((3, 2), np.float32), None, ("x", "y"), np.array(names, object))
    made.to_parquet(tmp_path / "p.parquet")
    monkeypatch.setattr(Predictions, "from_parquet", None)
    assert stored_ids(tmp_path / "p.parquet").tolist() == names
    (tmp_path / "p.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a predictions file"):
        stored_ids(tmp_path / "p.parquet")
