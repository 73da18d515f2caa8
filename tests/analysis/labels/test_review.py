"""`review.csv`, and the version of the labels that comes of it."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.pictures import class_folders, encoded, noise, put

from seewhy.analysis.labels.review import (
    HEADER,
    NONE,
    Suspect,
    read_review,
    read_suspects,
    write_review,
    write_suspects,
    write_version,
)
from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.sources.corrected import read_corrected
from seewhy.errors import DataError, DiskFullError, UsageError


@pytest.fixture
def photos(tmp_path):
    return class_folders(tmp_path / "photos", {"ant": 12, "bee": 12, "=cow": 12})


def review_of(tmp_path, rows, delimiter=","):
    """A filled review: (hash, right label) a row."""
    path = tmp_path / "review.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(HEADER)
        writer.writerows([["x.png", digest, "ant", "bee", "0.9", right] for digest, right in rows])
    return path


def corrected(photos, tmp_path, rows, out="photos-2"):
    splits = load_data(photos)
    found = read_review(review_of(tmp_path, rows), splits)
    write_version(str(photos), None, found, tmp_path / out)
    return splits, load_data(tmp_path / out)


def first(splits, name):
    label = splits.classes.index(name)
    return splits.train.hashes[splits.train.labels == label][0].decode()


def labels(splits):
    parts = (splits.train, splits.val, splits.left_out)
    names = (*splits.classes, None)
    return {h: names[n] for p in parts for h, n in zip(p.hashes, p.labels, strict=True)}


def assert_left_out(before, after, gone):
    """These contents are in no split any more; all else is as it was, row by row."""
    for part in ("train", "val"):
        was, now = getattr(before, part), getattr(after, part)
        kept = was.take(~np.isin(was.hashes, list(gone)))
        assert len(now) == len(kept)
        for name in ("ids", "hashes", "labels", "groups", "sizes", "images"):
            assert np.array_equal(getattr(now, name), getattr(kept, name)), name
    test, left = after.test.unseal(), after.left_out
    assert test.fingerprint == before.test.fingerprint and test.ids.tolist()
    assert set(left.hashes[left.labels < 0]) == set(gone)
    assert before.fingerprint != after.fingerprint


def test_the_version_differs_in_the_corrected_label_alone(photos, tmp_path):
    splits = load_data(photos)
    digest = first(splits, "ant")
    before, after = corrected(photos, tmp_path, [(digest, "bee"), (first(splits, "bee"), "bee")])
    was, now = labels(before), labels(after)
    assert {key for key in was if was[key] != now[key]} == {digest.encode()}
    assert now[digest.encode()] == "bee"
    assert before.fingerprint != after.fingerprint
    for part in ("train", "val"):  # nobody changes sides
        assert set(getattr(before, part).hashes) == set(getattr(after, part).hashes)
    assert set(before.test.hashes) == set(after.test.hashes)
    assert "contents with a corrected label: 1" in after.notes


def test_none_of_these_leaves_an_image_out_and_a_later_version_takes_it_in_again(photos, tmp_path):
    splits = load_data(photos)
    ant, bee = first(splits, "ant"), first(splits, "bee")
    held = splits.val.hashes[0].decode()
    before, after = corrected(photos, tmp_path, [(ant, NONE), (held, NONE), (bee, "bee")])
    assert_left_out(before, after, {ant.encode(), held.encode()})
    told = "contents with a corrected label: 0; left out as none of the classes: 2"
    assert told in after.notes
    second = tmp_path / "photos-2"
    said = read_review(review_of(tmp_path, [(ant, NONE), (held, "")]), after)
    assert said.corrections == () and (said.confirmed, said.open) == (1, 1)
    rows = [(ant, "ant"), (held, "bee"), (bee, NONE)]
    _, third = corrected(second, tmp_path, rows, "photos-3")
    assert third.train.ids.tolist() == [
        key
        for key, digest in zip(before.train.ids, before.train.hashes, strict=True)
        if digest.decode() != bee
    ]
    assert third.val.ids.tolist() == before.val.ids.tolist()
    found = {one.hash: one.label for one in read_corrected(tmp_path / "photos-3").corrections}
    assert found.pop(bee) is None and ant not in found and set(found.values()) <= {"bee"}


def test_all_copies_of_an_image_are_left_out_with_groups(tmp_path):
    photos = class_folders(tmp_path / "photos", {"ant": 12, "bee": 12})
    digest = first(load_data(photos), "ant")
    splits = load_data(photos)
    source = splits.train.ids[splits.train.hashes == digest.encode()][0]
    put(photos, "bee/copy.png", data=(photos / source).read_bytes())
    config = DataConfig(group_from=r"(\d)\.png")
    before = load_data(photos, config)
    said = read_review(review_of(tmp_path, [(digest, NONE)]), before)
    write_version(str(photos), None, said, tmp_path / "new")
    after = load_data(tmp_path / "new", config)
    assert_left_out(before, after, {digest.encode()})
    assert np.count_nonzero(after.left_out.hashes == digest.encode()) == 2


@pytest.mark.parametrize("fold", range(3))
def test_nobody_else_changes_folds(photos, tmp_path, fold):
    digest = first(load_data(photos), "ant")
    corrected(photos, tmp_path, [(digest, NONE)])
    config = DataConfig(folds=3, fold=fold)
    before, after = load_data(photos, config), load_data(tmp_path / "photos-2", config)
    assert_left_out(before, after, {digest.encode()})


def test_a_class_that_is_called_none_of_these_is_not_confused(tmp_path):
    splits = load_data(class_folders(tmp_path / "photos", {"ant": 12, NONE: 12}))
    with pytest.raises(
        DataError, match="line 2: 'none of these' leaves an image out, and is a class"
    ):
        read_review(review_of(tmp_path, [(first(splits, "ant"), NONE)]), splits)
    assert read_review(review_of(tmp_path, [(first(splits, NONE), "ant")]), splits).corrections


def test_the_source_is_left_as_it_is_and_its_images_are_not_copied(photos, tmp_path):
    before = {path: path.read_bytes() for path in photos.rglob("*.png")}
    corrected(photos, tmp_path, [(first(load_data(photos), "ant"), "bee")])
    assert {path: path.read_bytes() for path in photos.rglob("*.png")} == before
    assert [path.name for path in (tmp_path / "photos-2").iterdir()] == ["corrected.json"]


def test_parquet_is_corrected_without_a_copy(tmp_path):
    home = tmp_path / "set"
    home.mkdir()
    rows = [{"bytes": encoded(noise(8, 8, seed)), "path": None} for seed in range(40)]
    info = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["ant", "bee"]}}}}
    table = pa.table({"image": rows, "label": [n % 2 for n in range(40)]})
    pq.write_table(
        table.replace_schema_metadata({b"huggingface": json.dumps(info)}), home / "train.parquet"
    )
    digest = first(load_data(home), "ant")
    before, after = corrected(home, tmp_path, [(digest, "bee")])
    assert labels(after)[digest.encode()] == "bee" and labels(before)[digest.encode()] == "ant"
    before, after = corrected(home, tmp_path, [(digest, NONE)], "left-out")
    assert labels(after)[digest.encode()] is None and len(before.train) == len(after.train) + 1


def test_a_version_of_a_version_holds_all_corrections_and_takes_back_some(photos, tmp_path):
    splits = load_data(photos)
    one, two = first(splits, "ant"), first(splits, "bee")
    corrected(photos, tmp_path, [(one, "bee")])
    _, second = corrected(tmp_path / "photos-2", tmp_path, [(two, "=cow")], "photos-3")
    assert labels(second)[one.encode()] == "bee" and labels(second)[two.encode()] == "=cow"
    corrected(tmp_path / "photos-3", tmp_path, [(one, "ant")], "photos-4")
    found = json.loads((tmp_path / "photos-4" / "corrected.json").read_text())
    assert [(c["hash"], c["was"], c["label"]) for c in found["corrections"]] == [
        (two, "bee", "=cow")
    ]
    assert found["source"] == str(photos)


def test_all_copies_of_an_image_get_the_right_label(tmp_path):
    photos = class_folders(
        tmp_path / "photos", {f"{s}/{n}": 6 for s in ("train", "val") for n in "ab"}
    )
    put(photos, "train/b/copy.png", data=(photos / "train/a/00000.png").read_bytes())
    splits = load_data(photos)
    row = splits.train.ids.tolist().index("train/b/copy.png")
    digest = splits.train.hashes[row].decode()
    for right in "ab":
        _, after = corrected(photos, tmp_path, [(digest, right)], f"all-{right}")
        copies = after.train.labels[after.train.hashes == digest.encode()]
        assert [after.classes[label] for label in copies] == [right, right]
        other = {"a": "b", "b": "a"}[right]
        corrected(tmp_path / f"all-{right}", tmp_path, [(digest, NONE)], f"none-{right}")
        for version in (f"all-{right}", f"none-{right}"):
            rows = [(digest, other)]
            _, after = corrected(tmp_path / version, tmp_path, rows, f"{version}-{other}")
            copies = after.train.labels[after.train.hashes == digest.encode()]
            assert [after.classes[label] for label in copies] == [other, other]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_a_spreadsheet_saved_is_read(photos, tmp_path, delimiter):
    splits = load_data(photos)
    rows = [(first(splits, "ant"), "'=cow"), (first(splits, "bee"), "")]
    found = read_review(review_of(tmp_path, rows, delimiter), splits)
    assert [one.label for one in found.corrections] == ["=cow"]
    assert (found.confirmed, found.open) == (0, 1)


def test_rows_that_a_spreadsheet_saved_without_their_empty_last_cells_are_open(photos, tmp_path):
    splits = load_data(photos)
    ant, bee = first(splits, "ant"), first(splits, "bee")
    path = review_of(tmp_path, [(ant, "bee"), (bee, "")])
    *rows, last = path.read_text("utf-8").split()
    path.write_text("\n".join([*rows, last.removesuffix(",")]), "utf-8")
    found = read_review(path, splits)
    assert [one.hash for one in found.corrections] == [ant]
    assert (found.confirmed, found.open) == (0, 1)


def test_blanks_at_the_ends_of_a_class_do_not_matter(tmp_path):
    splits = load_data(class_folders(tmp_path / "photos", {"ant": 12, "bee ": 12}))
    ants = splits.train.hashes[splits.train.labels == 0]
    rows = [(ants[0].decode(), "bee "), (ants[1].decode(), " ant ")]
    found = read_review(review_of(tmp_path, rows), splits)
    assert [one.label for one in found.corrections] == ["bee"] and found.confirmed == 1


def test_a_written_review_is_safe_in_a_spreadsheet_and_still_open(photos, tmp_path):
    splits = load_data(photos)
    path = tmp_path / "review.csv"
    write_review([Suspect("=x.png", first(splits, "ant"), "=cow", "bee", 0.9, 0.1, 0.8)], path)
    with open(path, newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["id"], row["label"], row["right_label"]) == ("'=x.png", "'=cow", "")
    assert read_review(path, splits).open == 1


def test_suspects_are_read_back_as_they_were_written(tmp_path):
    suspects = [Suspect("=x.png", f"{n:032x}", "=cow", "-bee", 0.25, 0.125, 0.75) for n in range(3)]
    write_suspects(suspects, tmp_path / "label-issues.csv")
    assert list(read_suspects(tmp_path).values()) == suspects
    head, *good = (tmp_path / "label-issues.csv").read_text().splitlines()
    bad = [
        good[1].rpartition(",")[0],  # a cell is missing
        "x.png",  # nothing but the first
        good[1] + ",0.5",
        good[1].replace("0.125", "nan"),
        good[1].replace("0.75", "inf"),
        good[1].replace("0.25", "-0.25"),
        good[1].replace("0.75", "1.75"),
        good[1].replace(f"{1:032x}", "x" * 32),
    ]
    assert good[1] not in bad
    for text in (
        "",
        "hash\nx\n",
        "id,split,hash\n",
        *(f"{head}\n{good[0]}\n{row}\n" for row in bad),
    ):
        (tmp_path / "label-issues.csv").write_text(text)
        with pytest.raises(
            DataError, match=r"label-issues\.csv is no list .* `seewhy data labels`"
        ):
            read_suspects(tmp_path)
    with pytest.raises(DataError, match="FileNotFoundError"):
        read_suspects(tmp_path / "elsewhere")


def test_what_does_not_fit_is_refused_by_its_row(photos, tmp_path):
    splits = load_data(photos)
    ant, sealed = first(splits, "ant"), splits.test.hashes[0].decode()
    for rows, said in (
        ([(ant, "bee"), ("0" * 32, "bee")], "line 3: no image"),
        (
            [(ant, "wasp")],
            "line 2: right_label is 'wasp', which is no class: write one of .*'none of these' to leave",
        ),
        ([(sealed, "bee")], "line 2: .* sealed test"),
        ([(ant, "bee"), (ant, "ant")], "line 3: ant, while line 2 says bee"),
    ):
        with pytest.raises(DataError, match=said):
            read_review(review_of(tmp_path, rows), splits)
    (tmp_path / "review.csv").write_text("id,label\nx,ant\n")
    with pytest.raises(DataError, match="no column hash"):
        read_review(tmp_path / "review.csv", splits)
    (tmp_path / "review.csv").write_text("hash,right_label\nx,ant,bee\n")
    with pytest.raises(DataError, match="line 2: 3 cells, where the header has 2"):
        read_review(tmp_path / "review.csv", splits)


def test_nothing_is_written_over_and_an_empty_review_makes_no_version(photos, tmp_path):
    splits = load_data(photos)
    ant = first(splits, "ant")
    some = read_review(review_of(tmp_path, [(ant, "bee")]), splits)
    with pytest.raises(UsageError, match="already exists"):
        write_version(str(photos), None, some, photos)
    none = read_review(review_of(tmp_path, [(ant, "ant")]), splits)
    with pytest.raises(UsageError, match="1 are confirmed and 0 still open"):
        write_version(str(photos), None, none, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    put(tmp_path, "new.tmp/mine.txt", data=b"mine")
    write_version(str(photos), None, some, tmp_path / "new")
    assert (tmp_path / "new.tmp" / "mine.txt").read_bytes() == b"mine"


def test_a_version_that_cannot_be_written_leaves_its_name_free(photos, tmp_path, monkeypatch):
    ant = first(load_data(photos), "ant")
    some = read_review(review_of(tmp_path, [(ant, "bee")]), load_data(photos))

    def full(path, data):
        raise DiskFullError("no space")

    monkeypatch.setattr("seewhy.data.sources.corrected.write_atomic", full)
    with pytest.raises(DiskFullError):
        write_version(str(photos), None, some, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_splits_csv_has_the_right_labels(photos, tmp_path):
    from seewhy.data import write_splits

    digest = first(load_data(photos), "ant")
    other = first(load_data(photos), "bee")
    _, after = corrected(photos, tmp_path, [(digest, "bee"), (other, NONE)])
    write_splits(after, photos / "splits.csv")
    with open(photos / "splits.csv", newline="") as file:
        rows = {row["hash"]: (row["split"], row["label"]) for row in csv.DictReader(file)}
    assert rows[digest] == ("train", "bee") and rows[other] == ("left_out", "")
    assert load_data(photos / "splits.csv").fingerprint == after.fingerprint
