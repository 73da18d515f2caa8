import json

import pytest
from helpers import call, write_folder

from seewhy.config.input_rule import InputRule
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.models.registry import build

DRAWN = {
    f"robustness-{name}.{kind}"
    for name in ("corruptions", "transformations", "attacks", "examples", "adversarial")
    for kind in ("png", "svg")
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    network = build("strided_cnn", num_classes=3, size=16)
    rule = InputRule(size=16, store=16)
    bundles.save(Bundle(network.eval(), ("ant", "bee", "cow"), rule), path)
    return path


def test_figures_are_stored_told_and_drawn(model, photos, tmp_path):
    said = call("robustness", model, "--data", photos, "--out", tmp_path)
    found = json.loads((tmp_path / "analysis" / "robustness.json").read_text())
    assert len(found["corruptions"]) == 15 and found["n"] < 1000
    for row in found["corruptions"].values():
        assert len(row) == 5 and all(i["low"] <= i["value"] <= i["high"] for i in row)
    assert f"{found['n']} validation images" in said.out
    assert "mean corruption error" in said.out
    first = said.out.split("mean\n")[1].split("  ")[0]
    assert first == found["worst"].replace("_", " ")
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    assert DRAWN - {n for n in DRAWN if "adversarial" in n} <= drawn <= DRAWN


def test_json_is_one_object_and_nothing_is_left_without_a_place(model, photos):
    before = set(model.parent.iterdir())
    said = call("robustness", model, "--data", photos, "--n", "2", "--json")
    found = json.loads(said.out)
    assert "nan" not in call("robustness", model, "--data", photos, "--n", "2").out
    assert found["n"] == 2 and set(found["attacks"]) == {"fgsm", "pgd", "square"}
    assert set(model.parent.iterdir()) == before


def test_wrong_use_is_refused(model, photos, tmp_path):
    said = call("robustness", model, "--data", tmp_path / "no", code=2)
    assert str(tmp_path / "no") in said.err
    call("robustness", model, "--data", photos, "--n", "0", code=2)
    write_folder(tmp_path / "data" / "test", count=2)
    said = call("robustness", model, "--data", tmp_path / "data", code=2)
    assert "this data has no val images; it has test (6 images)" in said.err
