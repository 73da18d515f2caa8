import json
import sys
from pathlib import Path

import numpy as np
import pytest
from attacks.targets import trained
from PIL import Image

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.errors import ModelFileError, UsageError
from seewhy.exporters import executorch as exporter
from seewhy.inference.bundle import Bundle, save


def bundle_of(name: str, folder: Path) -> Path:
    path = folder / "model.safetensors"
    rule = InputRule(size=32, store=36, fit="pad")
    network = trained(name, size=32)
    save(Bundle(network, ("ant", "bee", "cow"), rule, views=("identity", "flip")), path)
    return path


@pytest.mark.parametrize("name", ["speednet", pytest.param("resnet18", marks=pytest.mark.long)])
def test_its_program_and_its_vectors_are_those_of_the_bundle(name: str, tmp_path: Path) -> None:
    pytest.importorskip("executorch")
    path = bundle_of(name, tmp_path)
    result = seewhy.export(path, tmp_path / "phone", "executorch")
    assert result.difference is not None and result.difference <= 1e-4
    about = json.loads((result.file / "model.json").read_text())
    model = seewhy.load(path)
    assert about["classes"] == list(model.classes) and about["bundle"] == model.digest
    program = (result.file / "model.pte").read_bytes()
    for vector in about["vectors"]:
        image = Image.open(result.file / vector["image"])
        seen = model.preprocess(image)
        assert (result.file / vector["input"]).read_bytes() == seen.tobytes()
        logits = np.frombuffer((result.file / vector["logits"]).read_bytes(), "<f4")
        np.testing.assert_allclose(model.predict(image).logits[0], logits, atol=1e-4)
        np.testing.assert_allclose(exporter.answers(program, seen[None])[0], logits, atol=1e-3)
    for example in ("README.md", "SeeWhyModel.kt", "SeeWhyModel.swift"):
        assert "built" in (result.file / example).read_text()


def test_a_program_whose_answers_differ_is_not_kept(tmp_path: Path, monkeypatch) -> None:
    path = bundle_of("simple_cnn", tmp_path)
    monkeypatch.setattr(exporter, "_program", lambda predictor: (b"", ["logits"]))
    monkeypatch.setattr(exporter, "answers", lambda program, images: np.zeros((8, 3), np.float32))
    with pytest.raises(ModelFileError, match="nothing was written"):
        seewhy.export(path, tmp_path / "phone", "executorch")
    assert list(tmp_path.iterdir()) == [path]


def test_without_the_extra_it_says_how_to_install_it(tmp_path: Path, monkeypatch) -> None:
    path = bundle_of("simple_cnn", tmp_path)
    monkeypatch.setitem(sys.modules, "executorch", None)
    for name in [name for name in sys.modules if name.startswith("executorch.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"pip install 'seewhy\[executorch\]'"):
        seewhy.export(path, tmp_path / "phone", "executorch")
