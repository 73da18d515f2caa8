"""From the labels of served images to a version of the data."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.errors import DataError, RegistryError, UsageError
from seewhy.registry.records import KeptImage, ServedAnswer


def file(number):
    pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A registry with served images 0 to 4, of which the last was not kept."""
    path = tmp_path / "registry.db"
    monkeypatch.setenv("SEEWHY_REGISTRY", str(path))
    with seewhy.open_feedback(make=True) as feedback:
        for n in range(5):
            about = ServedAnswer(
                f"{n:032x}", 0, "pets", "d", f"{n}", "ant", "ant", 0.9, ("ant",), n < 3
            )
            feedback.record([about], [KeptImage(f"{n:032x}", 0, file(n))] if n < 4 else [])
    return path


def label(*pairs, source="review"):
    with seewhy.open_feedback() as feedback:
        for number, text in pairs:
            feedback.label(f"{number:032x}", text, source=source)


def test_labelled_images_become_part_of_train(place, photos, tmp_path):
    classes = seewhy.load_data(photos).classes
    label((0, "ant"), (1, "bee"), (2, "none of these"), (4, "bee"))
    made = seewhy.export_feedback("pets", tmp_path / "served")
    assert (made.labels, made.images, made.audit, made.right) == (4, 3, 3, 1)
    with open(made.path / "labels.csv", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [(one["label"], one["source"]) for one in rows] == [
        *(("ant", "review"), ("bee", "review"), ("none of these", "review"), ("bee", "review"))
    ]
    version = seewhy.apply_feedback(photos, made.path, tmp_path / "v2")
    assert (version.added, version.none, version.without_image, version.known) == (2, 1, 1, 0)
    assert "served images in train: 2" in version.note
    before, after = seewhy.load_data(photos), seewhy.load_data(tmp_path / "v2")
    assert after.classes == classes
    for part in ("val", "test"):
        old, new = getattr(before, part), getattr(after, part)
        assert sorted(old.hashes) == sorted(new.hashes)
    new = {*after.train.hashes} - {*before.train.hashes}
    assert len(after.train) == len(before.train) + 2 and len(new) == 2
    labels = [
        classes[n] for h, n in zip(after.train.hashes, after.train.labels, strict=True) if h in new
    ]
    assert sorted(labels) == ["ant", "bee"]


def test_a_version_grows_and_the_newest_label_holds(place, photos, tmp_path):
    label((0, "ant"))
    seewhy.export_feedback("pets", tmp_path / "served")
    seewhy.apply_feedback(photos, tmp_path / "served", tmp_path / "v2")
    label((0, "bee"), (1, "bee"))
    seewhy.export_feedback("pets", tmp_path / "served-2")
    seewhy.apply_feedback(tmp_path / "v2", tmp_path / "served-2", tmp_path / "v3")
    two, three = (seewhy.load_data(tmp_path / name).train for name in ("v2", "v3"))
    assert len(three) == len(two) + 1
    ids = {str(key): n for n, key in enumerate(three.ids)}
    assert three.classes[three.labels[ids[f"images/{0:032x}-0.png"]]] == "bee"
    assert len(list((tmp_path / "v2" / "images").iterdir())) == 1  # as it was


def test_a_review_keeps_the_images_of_a_version(place, photos, tmp_path):
    label((0, "ant"))
    seewhy.export_feedback("pets", tmp_path / "served")
    seewhy.apply_feedback(photos, tmp_path / "served", tmp_path / "v2")
    train = seewhy.load_data(tmp_path / "v2").train
    digest = train.hashes[list(map(str, train.ids)).index(f"images/{0:032x}-0.png")].decode()
    (tmp_path / "review.csv").write_text(f"hash,right_label\n{digest},cow\n")
    seewhy.apply_review(tmp_path / "v2", tmp_path / "review.csv", tmp_path / "v3")
    after = seewhy.load_data(tmp_path / "v3").train
    row = list(map(str, after.ids)).index(f"images/{0:032x}-0.png")
    assert len(after) == len(train) and after.classes[after.labels[row]] == "cow"


def test_what_is_not_added_is_said(place, photos, tmp_path):
    with pytest.raises(UsageError, match="no answer of pets has a label"):
        seewhy.export_feedback("pets", tmp_path / "served")
    assert not (tmp_path / "served").exists()
    label((4, "bee"), source="client")
    with pytest.raises(UsageError, match="no answer of pets"):
        seewhy.export_feedback("pets", tmp_path / "served", source="review")
    seewhy.export_feedback("pets", tmp_path / "served", source="client")
    with pytest.raises(UsageError, match="1 have no image"):
        seewhy.apply_feedback(photos, tmp_path / "served", tmp_path / "v2")
    assert not (tmp_path / "v2").exists()
    label((0, "whale"))
    seewhy.export_feedback("pets", tmp_path / "served-2")
    with pytest.raises(DataError, match="line 2: 'whale' is no class"):
        seewhy.apply_feedback(photos, tmp_path / "served-2", tmp_path / "v2")
    with pytest.raises(DataError, match="seewhy feedback export"):
        seewhy.apply_feedback(photos, photos, tmp_path / "v2")
    table = tmp_path / "served-2" / "labels.csv"
    table.write_text(table.read_text().replace(f"{0:032x}-0.png", "../../etc/passwd"))
    with pytest.raises(DataError, match="no name of a file"):
        seewhy.apply_feedback(photos, tmp_path / "served-2", tmp_path / "v2")


def test_a_row_names_no_file_outside_of_the_folder(place, tmp_path):
    answer = ServedAnswer("../../../evil", 0, "pets", "d", "9", "ant", "ant", 0.9, ("ant",))
    with seewhy.open_feedback() as feedback:
        feedback.record([answer], [KeptImage(answer.request_id, 0, file(9))])
        feedback.label(answer.request_id, "ant")
    with pytest.raises(RegistryError, match="no server has written it"):
        seewhy.export_feedback("pets", tmp_path / "a" / "served")
    assert not list(tmp_path.rglob("*evil*"))


def test_a_list_of_labels_that_was_cut_short_is_refused(photos, tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\na.png\n")
    with pytest.raises(DataError, match="line 2: '' is no class"):
        seewhy.apply_feedback(photos, tmp_path, tmp_path / "v2")


def test_an_image_of_the_data_is_not_added_to_it(place, photos, tmp_path):
    """Those of test above all: what is trained on must not be in it."""
    test = seewhy.load_data(photos).test
    image = (photos / str(test.ids[0])).read_bytes()
    with seewhy.open_feedback() as feedback:
        about = ServedAnswer("f" * 32, 0, "pets", "d", "9", "ant", "ant", 0.9, ("ant",))
        feedback.record([about], [KeptImage("f" * 32, 0, image)])
        feedback.label("f" * 32, "bee")
    label((0, "ant"))
    seewhy.export_feedback("pets", tmp_path / "served")
    made = seewhy.apply_feedback(photos, tmp_path / "served", tmp_path / "v2")
    assert (made.added, made.known) == (1, 1)


@pytest.mark.parametrize("folders", [("train", "test"), ("train", "val", "test")])
def test_no_val_is_drawn_from_added_images(place, photos, tmp_path, folders):
    """Also where val is drawn from train, and in each of the folds."""
    for number, path in enumerate(sorted(photos.rglob("*.*"))):
        target = tmp_path / "data" / folders[number % len(folders)] / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    label(*((number, "ant") for number in range(4)))
    seewhy.export_feedback("pets", tmp_path / "served")
    seewhy.apply_feedback(tmp_path / "data", tmp_path / "served", tmp_path / "v2")

    def added(images):
        return sum(str(key).startswith("images/") for key in images.ids)

    for options in ({}, *({"folds": 3, "fold": fold} for fold in range(3))):
        splits = seewhy.load_data(tmp_path / "v2", seewhy.DataConfig(**options))
        assert (added(splits.train), added(splits.val)) == (4, 0)
