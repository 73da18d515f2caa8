"""A version with corrected labels, as a source."""

import json

import numpy as np
import pytest
from data.pictures import class_folders

from seewhy.data import load_data
from seewhy.errors import DataError

HASH = "0123456789abcdef" * 2


@pytest.fixture
def photos(tmp_path):
    return class_folders(tmp_path / "photos", {"ant": 8, "bee": 8})


def version(tmp_path, source, corrections=(), changes=()):
    home = tmp_path / "new"
    home.mkdir(exist_ok=True)
    found = {"format": 1, "source": str(source), "corrections": list(corrections)} | dict(changes)
    (home / "corrected.json").write_text(json.dumps(found))
    return home


def correction(digest, label="bee"):
    return {"hash": digest, "id": "x.png", "was": "ant", "label": label}


def test_the_cache_is_that_of_the_source(photos, tmp_path, home):
    load_data(photos)
    entries = set((home / "sets").iterdir())
    load_data(version(tmp_path, photos))
    assert set((home / "sets").iterdir()) == entries


def test_corrections_of_images_that_are_gone_are_told(photos, tmp_path):
    found = load_data(version(tmp_path, photos, [correction(HASH)]))
    assert "1 correction is for images that no longer exist" in found.notes


def test_labels_of_test_stay(photos, tmp_path):
    before = load_data(photos).test.unseal()
    for label in ("bee", None):
        rows = [correction(digest.decode(), label) for digest in before.hashes]
        after = load_data(version(tmp_path, photos, rows)).test.unseal()
        assert np.array_equal(before.labels, after.labels) and len(before)


def test_a_model_with_other_classes_gets_the_corrected_ones_by_name(photos, tmp_path):
    digest = load_data(photos).train.hashes[0].decode()
    home = version(tmp_path, photos, [correction(digest)])
    found = load_data(home, classes=("wasp", "bee", "ant"))
    row = found.train.hashes.tolist().index(digest.encode())
    assert found.classes[found.train.labels[row]] == "bee"


def test_a_class_of_which_all_is_left_out_cannot_be_trained(photos, tmp_path):
    train = load_data(photos).train
    ants = train.hashes[train.labels == train.classes.index("ant")]
    home = version(tmp_path, photos, [correction(digest.decode(), None) for digest in ants])
    with pytest.raises(DataError, match="no training images of ant"):
        load_data(home)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"corrections": [correction(HASH, "wasp")]}, "wasp, which is no class here"),
        ({"corrections": [correction("../x")]}, "not a list of corrections"),
        ({"format": 2}, "format"),
        ({"source": "/nowhere/at/all"}, "does not exist: change its"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_no_version_is_refused(photos, tmp_path, changes, said):
    with pytest.raises(DataError, match=said):
        load_data(version(tmp_path, photos, changes=changes))


def test_a_version_names_no_other_version(photos, tmp_path):
    home = version(tmp_path, tmp_path / "new")
    with pytest.raises(DataError, match="is a version too"):
        load_data(home)
