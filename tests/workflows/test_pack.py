"""Training and evaluation on a pack are those on the images themselves."""

import pytest
from helpers import QUICK, same_weights

import seewhy
from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.packed import PackedImages
from seewhy.errors import UsageError
from seewhy.training.batches import Batches

SIZE = DataConfig(size=16)


def test_pixels_train_the_same_weights_and_are_the_run_s_own_data(tmp_path, photos, trained):
    done = seewhy.pack_data(photos, tmp_path / "x.pack", SIZE, raw=True)
    assert (done.images, done.side, done.bad) == (36, 16, 0)
    assert done.bytes == (tmp_path / "x.pack").stat().st_size > 36 * 768
    run = seewhy.train(
        tmp_path / "x.pack", "regularized-cnn", out=tmp_path / "run", overrides=QUICK
    )
    assert same_weights(run.model, trained / "model.safetensors")
    there, here = (seewhy.evaluate(trained, data) for data in (photos, tmp_path / "x.pack"))
    assert there[0].accuracy == here[0].accuracy
    assert (there[1].logits == here[1].logits).all()


def test_shards_read_from_a_pack_train_the_same_weights(tmp_path, photos, monkeypatch):
    seewhy.pack_data(photos, tmp_path / "x.pack", SIZE)
    runs = []
    for small in (10_000, 0):  # decoded when they are read, or before
        monkeypatch.setattr("seewhy.data.packed.SMALL", small)
        settings = {**QUICK, "train.shards": 2, "train.batch_size": 32}
        out = tmp_path / f"{small}"
        runs.append(
            seewhy.train(tmp_path / "x.pack", "regularized-cnn", out=out, overrides=settings)
        )
    assert same_weights(runs[0].model, runs[1].model)


@pytest.mark.parametrize("shards", [1, 2])
def test_each_image_is_decoded_once_an_epoch(tmp_path, photos, monkeypatch, shards):
    monkeypatch.setattr("seewhy.data.packed.SMALL", 0)
    seewhy.pack_data(photos, tmp_path / "x.pack", SIZE)
    decoded, one = [], PackedImages._one
    monkeypatch.setattr(PackedImages, "_one", lambda *a: decoded.append(a[1]) or one(*a))
    train = load_data(tmp_path / "x.pack", SIZE).train
    batches = Batches(train, 16, batch_size=8, epochs=3, seed=0, shards=shards)
    for step in range(batches.total_steps):
        for shard in range(len(batches.cut(step))):
            batches.at(step, shard)
    assert len(decoded) == 3 * len(train)


def test_a_stopped_training_on_a_pack_goes_on(tmp_path, photos, monkeypatch):
    monkeypatch.setattr("seewhy.data.packed.SMALL", 0)
    seewhy.pack_data(photos, tmp_path / "x.pack", SIZE, shard_bytes=4096)
    whole = seewhy.train(
        tmp_path / "x.pack", "regularized-cnn", out=tmp_path / "whole", overrides=QUICK
    )
    with seewhy.training_events(
        tmp_path / "x.pack", "regularized-cnn", out=tmp_path / "parts", overrides=QUICK
    ) as events:
        for event in events:
            if getattr(event, "epoch", 0) == 1 and hasattr(event, "metrics"):
                break
    run = seewhy.train(out=tmp_path / "parts", resume=True)
    assert same_weights(run.model, whole.model)


@pytest.mark.parametrize("name, shard_bytes", [("x.zip", None), ("x", None), ("x.pack", 10)])
def test_wrong_use(tmp_path, photos, name, shard_bytes):
    with pytest.raises(UsageError, match="expected"):
        seewhy.pack_data(photos, tmp_path / name, shard_bytes=shard_bytes)
    assert not list(tmp_path.iterdir())
