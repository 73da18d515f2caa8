"""What computes a model, and the ONNX file that is made of a bundle."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import seewhy
from seewhy.data.cache_root import cache_root
from seewhy.errors import SeeWhyError, UsageError
from seewhy.files import exclusive
from seewhy.serving import opening
from seewhy.serving.models import Models
from seewhy.serving.opening import open_model
from seewhy.serving.settings import ServeSettings


@pytest.fixture
def cached(trained, exported, monkeypatch):
    """Exports by copying what is exported already."""
    made = []

    def export(bundle, file, stopping):
        made.append(bundle)
        shutil.copy(exported, file)

    monkeypatch.setattr(opening, "_export", export)
    yield made
    for file in (cache_root() / "serving").glob("*.onnx"):  # the token there is other tests' too
        file.unlink(missing_ok=True)


def test_a_bundle_is_exported_once(trained, cached):
    with seewhy.load(trained) as classifier:
        digest = classifier.digest
    for _ in range(2):
        opened = open_model(str(trained), ServeSettings())
        assert (opened.digest, opened.runtime, opened.bundle) == (digest, "onnx", True)
    assert len(cached) == 1
    (file,) = (cache_root() / "serving").glob("*.onnx")
    file.write_bytes(file.read_bytes()[:-9])  # damaged: made again
    assert open_model(str(trained), ServeSettings()).runtime == "onnx" and len(cached) == 2


def test_where_onnx_is_not_possible_pytorch_computes(trained, cached, monkeypatch):
    def fail(bundle, file, stopping):
        raise UsageError("no exporter")

    monkeypatch.setattr(opening, "_export", fail)
    opened = open_model(str(trained), ServeSettings())
    assert opened.runtime == "torch" and opened.bundle
    with pytest.raises(UsageError, match="no exporter"):
        open_model(str(trained), ServeSettings(runtime="onnx"))


def test_an_export_ends_with_the_server_and_leaves_nothing(trained, tmp_path, monkeypatch):
    program, started = tmp_path / "program", tmp_path / "started"
    program.write_text(f"#!/bin/sh\ntouch {started}\nexec sleep 60")
    program.chmod(0o700)
    monkeypatch.setattr(opening.sys, "executable", str(program))
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "cache"))
    digest = seewhy.info(trained).header.digest
    left = cache_root() / "serving" / f"{digest}-{seewhy.__version__}.tmp"
    (left / "of a process that was killed").mkdir(parents=True)
    models = Models({"a": str(trained)}, ServeSettings(), runners=1, on_batch=print)
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(models.load)
        while not started.exists():
            assert not loading.done()
            time.sleep(0.01)
        assert list(left.iterdir()) == []
        models.close()
        with pytest.raises(SeeWhyError, match="the server stops"):
            loading.result(10)
    assert not list(left.parent.glob("*.tmp"))


def test_a_server_that_waits_for_the_export_of_another_can_be_stopped(
    trained, tmp_path, monkeypatch
):
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "cache"))
    folder = cache_root() / "serving"
    folder.mkdir()
    lock = folder / f"{seewhy.info(trained).header.digest}-{seewhy.__version__}.lock"
    models = Models({"a": str(trained)}, ServeSettings(), runners=1, on_batch=print)
    with ThreadPoolExecutor(1) as thread, exclusive(lock):
        loading = thread.submit(models.load)
        time.sleep(0.5)
        models.close()
        with pytest.raises(SeeWhyError, match="the server stops"):
            loading.result(10)


def test_an_onnx_file_is_served_as_it_is(exported, cached):
    opened = open_model(str(exported), ServeSettings())
    assert (opened.runtime, opened.bundle) == ("onnx", False) and not cached


def test_openvino_computes_where_it_is_asked_for(trained, exported, cached):
    pytest.importorskip("openvino")
    settings = ServeSettings(runtime="openvino")
    for model, bundle in ((trained, True), (exported, False)):
        opened = open_model(str(model), settings)
        assert (opened.runtime, opened.bundle) == ("openvino", bundle)
        assert opened.classifier.predictor.runtime == "openvino"


def test_another_model_in_its_file_replaces_a_model(tmp_path):
    file, new = tmp_path / "model.safetensors", tmp_path / "new"
    shipped = Path(seewhy.__file__).parent / "weights"
    models = Models({"mine": str(file)}, ServeSettings(runtime="torch"), runners=1, on_batch=print)
    digests = []
    for name, becomes in (
        ("simple-cnn", None),
        ("simple-cnn", "unchanged"),
        ("regularized-cnn", "replaced"),
    ):
        shutil.copy(shipped / f"{name}.safetensors", new)
        os.replace(new, file)
        if becomes is None:
            models.load()
        else:
            assert models.reload() == {"mine": becomes}
        digests.append(models.get("mine").digest)
    models.close()
    assert digests[0] == digests[1] != digests[2]
    with seewhy.load(file) as classifier:
        assert digests[2] == classifier.digest


@pytest.mark.long
def test_the_export_of_a_bundle(trained):
    """With its process, and the answers of the bundle."""
    opened = open_model(str(trained), ServeSettings())
    assert opened.runtime == "onnx"
    images = np.zeros((1, *[opened.classifier.rule.size] * 2, 3), np.uint8)
    with seewhy.load(trained) as classifier:
        expected = classifier.predictor.outputs(images)[0]
    assert np.allclose(opened.classifier.predictor.outputs(images)[0], expected, atol=1e-4)
