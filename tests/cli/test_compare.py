import json
from dataclasses import replace

import pytest
import torch
from helpers import call

from seewhy.inference import bundle as bundles


@pytest.fixture(scope="module")
def other(trained, tmp_path_factory):
    bundle = bundles.load(trained / "model.safetensors")
    with torch.no_grad():
        bundle.network.head.classes.weight.zero_()
    path = tmp_path_factory.mktemp("other") / "blind.safetensors"
    bundles.save(replace(bundle, digest=""), path)
    return path


def test_the_verdict_is_said_and_kept(trained, other, photos, tmp_path):
    out = tmp_path / "compared"
    said = call("compare", trained, other, "--data", photos, "--out", out).out
    stored = json.loads((out / "compare.json").read_text())
    assert stored["differences"][0]["verdict"] in said and "ms / image" in said
    assert [m["name"] for m in stored["models"]] == ["run", "blind.safetensors"]
    assert isinstance(stored["differences"][0]["first_only"], int)
    assert (out / "curves.png").is_file()
    said = call("compare", trained, other, "--data", photos, "--out", out, code=2)
    assert "is not empty" in said.err
