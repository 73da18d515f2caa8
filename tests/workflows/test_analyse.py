import json
import shutil

import numpy as np
from helpers import QUICK, write_folder

import seewhy
from seewhy.analysis.overview import analyse_predictions, write_analysis
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
