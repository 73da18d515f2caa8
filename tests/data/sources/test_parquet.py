"""Parquet in the hub's layout: columns by what they hold, splits by name, damage refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.pictures import encoded, noise

from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.images.decode import decode
from seewhy.data.sources import parquet
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.parquet import find_parquet, fits_parquet
from seewhy.data.sources.tree import tree_at
from seewhy.errors import DataError

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def pictures(count: int, start: int = 0) -> list[dict[str, object]]:
    return [
        {"bytes": encoded(noise(4, 4, start + n)), "path": f"p{start + n}.png"}
        for n in range(count)
    ]


def write(
    path: Path, columns: dict[str, object], features: object = None, **options: object
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        name: pa.array(values, PICTURE if values and isinstance(values[0], dict) else None)
        for name, values in columns.items()
    }
    table = pa.table(arrays)
    if features is not None:
        info = (
            features
            if isinstance(features, bytes)
            else json.dumps({"info": {"features": features}})
        )
        table = table.replace_schema_metadata({"huggingface": info})
    pq.write_table(table, path, **options)
    return path


def label_feature(*names: str) -> dict[str, object]:
    return {"img": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}


def rows(root: Path, column: str | None = None) -> list[tuple[str, str, str, str | None]]:
    reading = find_parquet(tree_at(root), Columns(group=column)).read()
    found = [(r.id, r.label, r.split, r.group) for r in reading.records]
    assert len(found) == reading.total
    return found


@pytest.mark.parametrize(
    "name, split",
    [
        ("train.parquet", "train"),
        ("data/train-00000-of-00002-9a7b.parquet", "train"),
        ("test-00000-of-00001.parquet", "test"),
        ("validation.parquet", "val"),
        ("valid_0.parquet", "val"),
        ("val.parquet", "val"),
        ("Train.parquet", "train"),
        ("images.parquet", ""),
        ("trainees.parquet", ""),
    ],
)
def test_the_split_is_in_the_name_of_the_file(tmp_path, name, split):
    path = write(tmp_path / name, {"img": pictures(1), "label": [1]}, label_feature("cat", "dog"))
    assert fits_parquet(tree_at(tmp_path)) and fits_parquet(tree_at(path))
    assert rows(tmp_path) == [(f"{path.name}/0/p0.png", "dog", split, None)]
    assert rows(path) == rows(tmp_path)


def test_files_are_read_in_order_with_their_rows(tmp_path):
    for part in range(2):
        write(
            tmp_path / f"data/train-0000{part}-of-00002.parquet",
            {"image": pictures(3, 3 * part), "label": [0, 1, 0]},
            label_feature("cat", "dog"),
            row_group_size=2,
        )
    write(
        tmp_path / "data/test-0.parquet",
        {"image": pictures(1, 9), "label": [1]},
        label_feature("cat", "dog"),
    )
    source = find_parquet(tree_at(tmp_path), Columns())
    assert source.files == (
        "data/test-0.parquet",
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
    )
    reading = source.read()
    records = list(reading.records)
    assert reading.total == 7 and reading.classes == ("cat", "dog")
    assert [record.split for record in records] == ["test"] + ["train"] * 6
    assert records[4].id == "train-00001-of-00002.parquet/0/p3.png"
    assert np.array_equal(np.asarray(decode(records[5].image)), noise(4, 4, 4))


def test_integers_without_names_and_words_are_classes_as_they_are(tmp_path):
    write(tmp_path / "a/train.parquet", {"img": pictures(3), "label": [2, 10, 2]})
    write(tmp_path / "b/train.parquet", {"img": pictures(2), "kind": ["dog", "cat"]})
    assert [row[1] for row in rows(tmp_path / "a")] == ["2", "10", "2"]
    assert [row[1] for row in rows(tmp_path / "b")] == ["dog", "cat"]
    assert find_parquet(tree_at(tmp_path / "a"), Columns()).read().classes is None


def test_images_may_be_plain_bytes(tmp_path):
    data = [picture["bytes"] for picture in pictures(2)]
    write(tmp_path / "train.parquet", {"png": data, "label": [0, 1]})
    assert [row[0] for row in rows(tmp_path)] == ["train.parquet/0", "train.parquet/1"]


def test_the_label_is_the_column_of_that_name_among_several(tmp_path):
    write(tmp_path / "train.parquet", {"img": pictures(1), "width": [4], "label": [7]})
    assert rows(tmp_path)[0][1] == "7"
    features = {
        "fine": {"names": ["a"], "_type": "ClassLabel"},
        "label": {"names": ["b"], "_type": "ClassLabel"},
    }
    write(tmp_path / "train.parquet", {"img": pictures(1), "fine": [0], "label": [0]}, features)
    assert rows(tmp_path)[0][1] == "b"


def test_a_column_of_groups_is_taken_where_it_is(tmp_path):
    write(
        tmp_path / "train.parquet",
        {"img": pictures(3), "label": [0, 1, 1], "patient": [7, 8, None]},
    )
    source = find_parquet(tree_at(tmp_path), Columns(group="patient"))
    assert source.grouped and [row[3] for row in rows(tmp_path, "patient")] == ["7", "8", ""]
    assert source.key != find_parquet(tree_at(tmp_path), Columns()).key
    assert not find_parquet(tree_at(tmp_path), Columns(group="p(.)")).grouped


@pytest.mark.parametrize(
    "metadata",
    [
        b"junk",
        b"[]",
        b"{}",
        b'{"info": null}',
        b'{"info": {"features": {"label": {"_type": "ClassLabel"}}}}',
    ],
)
def test_metadata_that_says_nothing_is_ignored(tmp_path, metadata):
    write(tmp_path / "train.parquet", {"img": pictures(1), "label": [3]}, metadata)
    assert rows(tmp_path)[0][1] == "3"


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"label": [1]}, "0 columns that may hold the images"),
        ({"img": 1, "other": 1, "label": [1]}, "2 columns that may hold the images"),
        ({"img": 1}, "0 columns that may hold the labels"),
        ({"img": 1, "a": [1], "b": [1]}, r"2 columns that may hold the labels \(a, b\)"),
    ],
)
def test_columns_that_leave_a_doubt_are_named(tmp_path, columns, message):
    columns = {name: pictures(1) if value == 1 else value for name, value in columns.items()}
    write(tmp_path / "train.parquet", columns)
    with pytest.raises(DataError, match=message):
        find_parquet(tree_at(tmp_path), Columns()).read()


@pytest.mark.parametrize("label", [-2, 2])
def test_a_label_that_has_no_name_is_an_error(tmp_path, label):
    write(
        tmp_path / "train.parquet",
        {"img": pictures(2), "label": [0, label]},
        label_feature("a", "b"),
    )
    with pytest.raises(DataError, match=r"train.parquet/1/p1.png has the label"):
        rows(tmp_path)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, None, -1, 1], ["a", "", "", "b"]),
        ([3, None, -1, 1], ["3", "", "", "1"]),
        (["x", None, "nan", " y "], ["x", "", "", "y"]),
        ([0.0, float("nan"), None, 12.0], ["0", "", "", "12"]),
    ],
)
def test_a_missing_label_is_none(tmp_path, labels, expected):
    features = label_feature("a", "b") if expected[0] == "a" else None
    write(tmp_path / "train.parquet", {"img": pictures(4), "label": labels}, features)
    assert [row[1] for row in rows(tmp_path)] == expected


def test_the_label_column_may_be_chosen(tmp_path):
    columns = {"img": pictures(2), "fine_label": [3, 4], "coarse_label": [1, 0]}
    features = {
        "coarse_label": {"names": ["fish", "fruit"], "_type": "ClassLabel"},
        "fine_label": {"names": list("abcde"), "_type": "ClassLabel"},
    }
    path = write(tmp_path / "train.parquet", columns, features)
    with pytest.raises(DataError, match=r"coarse_label, fine_label\).* --label-column"):
        load_data(path)
    fine, coarse = (
        load_data(path, DataConfig(label_column=name), trainable=False)
        for name in ("fine_label", "coarse_label")
    )
    assert fine.classes == tuple("abcde") and coarse.classes == ("fish", "fruit")
    with pytest.raises(DataError, match="no column fine_labels: did you mean fine_label"):
        load_data(path, DataConfig(label_column="fine_labels"))


def test_a_row_without_bytes_is_a_bad_image(tmp_path):
    missing = [{"bytes": None, "path": "elsewhere.png"}, None]
    write(tmp_path / "train.parquet", {"img": pictures(1) + missing, "label": [0, 0, 0]})
    assert [record.image for record in find_parquet(tree_at(tmp_path), Columns()).read().records][
        1:
    ] == [
        b"",
        b"",
    ]


def test_files_of_different_classes_are_refused(tmp_path):
    write(tmp_path / "train.parquet", {"img": pictures(1), "label": [0]}, label_feature("a"))
    write(tmp_path / "test.parquet", {"img": pictures(1), "label": [0]}, label_feature("b"))
    with pytest.raises(DataError, match="name different classes"):
        find_parquet(tree_at(tmp_path), Columns()).read()


def test_a_file_of_no_split_among_others_is_refused(tmp_path):
    write(tmp_path / "train.parquet", {"img": pictures(1), "label": [0]})
    write(tmp_path / "unsupervised.parquet", {"img": pictures(1), "label": [0]})
    with pytest.raises(DataError, match=r"unsupervised\.parquet belongs to no split"):
        find_parquet(tree_at(tmp_path), Columns())


def test_damage_is_named(tmp_path):
    path = write(
        tmp_path / "train.parquet", {"img": pictures(50), "label": [0] * 50}, compression="none"
    )
    whole = path.read_bytes()
    path.write_bytes(b"junk")
    with pytest.raises(DataError, match="not a readable parquet file"):
        find_parquet(tree_at(tmp_path), Columns()).read()
    path.write_bytes(whole[:4] + b"\xff" * 30 + whole[34:])  # the first page's header
    with pytest.raises(DataError, match=r"damaged at row 0 or after"):
        rows(tmp_path)


def test_the_sample_is_of_train(tmp_path):
    write(tmp_path / "test.parquet", {"img": pictures(2, 50), "label": [0, 1]})
    write(tmp_path / "train.parquet", {"img": pictures(2), "label": [0, 1]})
    assert list(find_parquet(tree_at(tmp_path), Columns()).sample()) == [
        p["bytes"] for p in pictures(2)
    ]


def test_the_sample_is_spread_over_files_and_rows_that_are_in_class_order(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "SAMPLE", 30)
    for file in range(12):
        columns = {"img": pictures(20, 20 * file), "label": [file] * 20}
        write(tmp_path / f"train-{file:02}.parquet", columns, row_group_size=7 + file)
    sample = list(find_parquet(tree_at(tmp_path), Columns()).sample())
    numbers = [p["bytes"] for p in pictures(240)]
    rows = [numbers.index(image) for image in sample]
    assert sorted({row // 20 for row in rows}) == list(range(0, 12, 2)) and 24 <= len(rows) <= 60
    assert max(np.diff(sorted(rows))) <= 30


def test_a_folder_without_parquet_does_not_fit(tmp_path):
    assert not fits_parquet(tree_at(tmp_path))
    (tmp_path / "x.csv").write_text("")
    assert not fits_parquet(tree_at(tmp_path)) and not fits_parquet(tree_at(tmp_path / "x.csv"))


def test_cifar10_has_its_names_from_the_schema(shared_data):
    from seewhy.data.sources.cifar10 import CLASSES

    reading = find_parquet(tree_at(shared_data / "cifar10"), Columns()).read()
    assert reading.classes == CLASSES and reading.total == 60_000
    first = next(reading.records)
    assert (first.id, first.label, first.split) == ("test.parquet/0/cat_0000.jpg", "cat", "test")
