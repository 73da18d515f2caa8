import json
import shutil

import numpy as np
import pytest
from helpers import QUICK, write_folder

import seewhy
from seewhy.analysis.labels.review import write_suspects
from seewhy.analysis.overview import analyse_predictions, write_analysis
from seewhy.errors import UsageError
from seewhy.evaluation.predictions import Predictions


def test_each_part_becomes_a_file_of_its_split(tmp_path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 3, 200)
    logits = rng.normal(size=(200, 3)).astype(np.float32)
    found = analyse_predictions(
        Predictions(logits, labels, ("a", "b", "c"), np.arange(200).astype(str))
    )
    write_analysis(found, "val", tmp_path / "analysis")
    names = {path.name for path in (tmp_path / "analysis").iterdir()}
    assert names == {"confidence-val.json", "curves-val.json", "mistakes-val.json"}
    stored = json.loads((tmp_path / "analysis" / "mistakes-val.json").read_text())
    assert stored["n"] == (labels >= 0).sum() and stored["worst"][0]["true"] in ("a", "b", "c")


def test_a_training_copy_with_another_label_is_the_cause_of_a_mistake(tmp_path):
    data = tmp_path / "data"
    write_folder(data / "train", count=12)
    write_folder(data / "val", count=4, seed=1)
    shutil.copy(data / "train" / "ant" / "000.png", data / "val" / "bee" / "copy.png")
    overrides = {**QUICK, "train.epochs": 6}
    run = seewhy.train(data, "regularized-cnn", out=tmp_path / "run", overrides=overrides)
    found = seewhy.analyse(run.path, data, full=True).analysis.causes
    (mistake,) = (one for one in found.mistakes if "train/ant/000.png" in one.reasons[0])
    assert mistake.cause == "duplicate" and "left out of train" in mistake.reasons[0]


def test_labels_are_refused_where_no_causes_are_looked_for(tmp_path):
    data, other = write_folder(tmp_path / "data"), write_folder(tmp_path / "other", seed=1)
    run = seewhy.train(data, "regularized-cnn", out=tmp_path / "run", overrides=QUICK)
    write_suspects([], tmp_path / "label-issues.csv")
    for images, split in ((data, "test"), (other, None)):
        with pytest.raises(UsageError, match="give --full and --split val"):
            seewhy.analyse(run.path, images, split, labels=tmp_path)
    assert seewhy.analyse(run.path, other, "val", labels=tmp_path).analysis.causes.labels.count == 0
