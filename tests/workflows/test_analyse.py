import json

import numpy as np

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
