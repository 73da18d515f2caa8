from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers import call

import seewhy
from seewhy.errors import ModelFileError, UsageError
from seewhy.inference import onnx_file
from seewhy.inference.onnx import opened


@pytest.fixture(scope="module")
def model(exported: Path) -> seewhy.Classifier:
    pytest.importorskip("openvino")
    return seewhy.load(exported, runtime="openvino", threads=1)


def test_it_answers_as_onnx_runtime_does(
    model: seewhy.Classifier, exported: Path, photos: Path
) -> None:
    other = seewhy.load(exported)
    assert model.predictor.runtime == "openvino" and other.predictor.runtime == "onnx"
    assert model.digest == other.digest
    images = sorted(photos.rglob("*.png"))[:7]
    one, two = model.predict(images), other.predict(images)
    np.testing.assert_allclose(one.logits, two.logits, rtol=1e-4, atol=1e-4)
    assert (one.predicted == two.predicted).all()


def test_threads_may_share_it(model: seewhy.Classifier) -> None:
    side = model.rule.size
    images = np.random.default_rng(0).integers(0, 256, (24, side, side, 3), np.uint8)
    expected = model.predictor.outputs(images)[0]
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda row: model.predictor.outputs(images[row : row + 1])[0], range(24))
    np.testing.assert_allclose(np.concatenate(list(parts)), expected, atol=1e-4)


def test_a_file_whose_golden_answers_differ_is_refused(exported: Path) -> None:
    pytest.importorskip("openvino")
    file = onnx_file.read(exported)
    other = onnx_file.OnnxFile(file.data, file.about, file.golden + 1, file.digest)
    with pytest.raises(ModelFileError, match="reference images"):
        opened(other, runtime="openvino")


def test_it_is_given_bytes_and_caches_nothing(exported: Path, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.chdir(tmp_path)
    seewhy.load(exported, runtime="openvino")
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_exported_first(trained: Path) -> None:
    with pytest.raises(UsageError, match=r"seewhy export .* --out model\.onnx"):
        seewhy.load(trained, runtime="openvino")


def test_without_the_extra_it_says_how_to_install_it(exported: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(UsageError, match=r"pip install 'seewhy\[openvino\]'"):
        seewhy.load(exported, runtime="openvino")


def test_predict_takes_it(exported: Path, photos: Path) -> None:
    pytest.importorskip("openvino")
    image = str(sorted(photos.rglob("*.png"))[0])
    rows = [
        call("predict", str(exported), image, *more) for more in ((), ("--runtime", "openvino"))
    ]
    assert rows[0].out.split(",")[:8] == rows[1].out.split(",")[:8]
