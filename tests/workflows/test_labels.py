import csv
import json

import numpy as np
import pytest
from helpers import QUICK, write_folder

import seewhy
from seewhy.errors import DataError, UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note, Progress
from seewhy.text import csv_text
from seewhy.workflows.experiments.repetition import folds
from seewhy.workflows.labels import find_suspects


@pytest.fixture(scope="module")
def flipped(tmp_path_factory):
    """Three classes that colours tell apart, of which two images lie in the wrong folder."""
    root = write_folder(tmp_path_factory.mktemp("photos") / "photos", count=12)
    for name in ("010", "011"):
        (root / "ant" / f"{name}.png").rename(root / "bee" / f"flipped-{name}.png")
    return root


@pytest.fixture(scope="module")
def judged(flipped, tmp_path_factory):
    """Folds whose answers are what the colours say, however little they have learnt."""
    home = tmp_path_factory.mktemp("folds") / "two"
    folds(flipped, "regularized-cnn", 2, out=home, overrides=QUICK)
    path = home / "predictions-oof.parquet"
    found = Predictions.from_parquet(path)
    true = np.array([0 if "flipped" in key else "abc".index(key[0]) for key in found.ids])
    logits = 6 * np.eye(3, dtype=np.float32)[true]
    answers = Predictions(logits, found.labels, found.classes, found.ids)
    answers.to_parquet(path)
    return home


def test_labels_in_the_wrong_folder_are_found_with_their_evidence(flipped, judged):
    found = find_suspects(flipped, judged)
    judged_flips = {
        str(key)
        for key in Predictions.from_parquet(judged / "predictions-oof.parquet").ids
        if "flip" in key
    }
    assert judged_flips and {one.id for one in found.found} == judged_flips
    assert {(one.label, one.suggested) for one in found.found} == {("bee", "ant")}
    count = len(found.found)
    assert found.agreed == pytest.approx(1 - count / found.n)
    assert found.shown.images.shape == (count, 16, 16, 3)
    assert found.shown.near.shape == (count, 4, 16, 16, 3)
    assert found.shown.near_labels.shape == (count, 4)
    assert all((image[..., 0].mean() > 150) for image in found.shown.images)  # red, as ants are
    assert all(len(one.hash) == 32 and one.label_probability < 0.5 for one in found.found)


def test_networks_that_know_no_more_than_the_commonest_class_are_called_weak(flipped, judged):
    assert not find_suspects(flipped, judged).weak
    path = judged / "predictions-oof.parquet"
    whole, found = path.read_bytes(), Predictions.from_parquet(path)
    logits = np.random.default_rng(0).normal(size=found.logits.shape).astype(np.float32)
    try:
        Predictions(logits, found.labels, found.classes, found.ids).to_parquet(path)
        assert find_suspects(flipped, judged).weak
    finally:
        path.write_bytes(whole)


def test_folders_that_are_no_fold_of_these_are_left_alone(flipped, judged):
    expected = find_suspects(flipped, judged).found
    strangers = [judged / "fold-0-backup", judged / "fold-7"]
    for path in strangers:
        path.mkdir()
    try:
        assert find_suspects(flipped, judged).found == expected
    finally:
        for path in strangers:
            path.rmdir()


def test_other_labels_are_refused(flipped, judged, tmp_path):
    other = write_folder(tmp_path / "photos", count=12)
    with pytest.raises(DataError, match="train the folds again"):
        find_suspects(other, judged)


def test_unfinished_folds_are_refused(flipped, tmp_path):
    with pytest.raises(UsageError, match="no finished folds"):
        find_suspects(flipped, tmp_path)


def test_findings_are_written_shown_and_corrected_by_public_functions(flipped, judged, tmp_path):
    events = []
    found = seewhy.find_label_issues(flipped, out=judged, on_event=events.append)
    assert found.path == judged and found.suspects.found
    assert "comparing" in {event.what for event in events if isinstance(event, Progress)}
    assert json.loads((judged / "label-issues.json").read_text()) == seewhy.to_json(found)
    with open(judged / "review.csv", newline="") as file:
        rows = [{**row, "right_label": row["suggested"]} for row in csv.DictReader(file)]
    filled = tmp_path / "review.csv"
    filled.write_text(csv_text([rows[0], *(row.values() for row in rows)]))
    made = seewhy.apply_review(flipped, filled, tmp_path / "new")
    assert (made.corrected, made.left_out, made.confirmed, made.open) == (len(rows), 0, 0, 0)
    assert made.note == f"contents with a corrected label: {len(rows)}"
    with pytest.raises(UsageError, match="already exists"):
        seewhy.apply_review(flipped, filled, tmp_path / "new")
    seewhy.find_label_issues(flipped, out=judged, on_event=events.append)
    said = [event.text for event in events if isinstance(event, Note)]
    (kept,) = (text for text in said if "recipe digits" not in text)
    assert "kept unchanged" in kept


def test_a_number_of_folds_that_is_none_is_refused(flipped, judged):
    with pytest.raises(UsageError, match="0 folds"):
        seewhy.find_label_issues(flipped, folds=0, out=judged)
