import hashlib
import json
import re
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
from helpers import TinyNet, image_set, tiny_net

from seewhy.config.training import TrainConfig
from seewhy.errors import DivergedError, ModelFileError
from seewhy.models.registry import build
from seewhy.training.batches import Batches
from seewhy.training.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from seewhy.training.loop import TrainState, train
from seewhy.training.objectives import cross_entropy

CONFIG = TrainConfig(epochs=2, batch_size=8, lr=0.01, optimizer="adam", ema=0.5)


def trained(steps=3):
    state = TrainState.start(tiny_net(), CONFIG)
    batches = Batches(image_set(np.arange(24) % 3), 8, 8, 2, 0)
    events = train(
        state,
        batches,
        cross_entropy(),
        CONFIG,
        validate=lambda n: {"loss": 1.0, "accuracy": 0.5},
        mode="max",
        device=torch.device("cpu"),
    )
    for _ in range(steps):
        next(events)
    return state


def test_it_holds_tensors_and_json_only(tmp_path):
    path = save_checkpoint(trained(), tmp_path)
    assert path.name == "step-3"
    assert sorted(p.name for p in path.iterdir()) == ["state.json", "state.safetensors"]
    assert json.loads((path / "state.json").read_text())["progress"]["step"] == 3


class Twice(TinyNet):
    """A network with a layer of two names."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(self.conv, self.norm)


def test_a_layer_of_two_names_is_saved_and_restored(tmp_path):
    first, second = (TrainState.start(Twice(), CONFIG) for _ in range(2))
    load_checkpoint(second, save_checkpoint(first, tmp_path))
    restored = second.network.state_dict()
    assert restored["conv.weight"].data_ptr() == restored["body.0.weight"].data_ptr()
    assert all(torch.equal(restored[k], v) for k, v in first.network.state_dict().items())


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    state = trained()
    for step, best in ((1, 1), (2, 1), (3, 1), (4, 1), (5, 5), (6, 5), (7, 5)):
        state.progress.step, state.progress.best_step = step, best
        save_checkpoint(state, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-5", "step-6", "step-7"]
    state.progress.step = 8
    save_checkpoint(state, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-5", "step-7", "step-8"]


@pytest.mark.parametrize("name", ["state.json", "state.safetensors"])
@pytest.mark.parametrize("fault", ["flip", "cut", "gone"])
def test_a_damaged_one_is_passed_over(tmp_path, name, fault):
    state = trained()
    good = save_checkpoint(state, tmp_path)
    state.progress.step = 9
    newest = save_checkpoint(state, tmp_path)
    file = newest / name
    data = bytearray(file.read_bytes())
    if fault == "flip":
        data[len(data) // 2] ^= 0x80
        file.write_bytes(data)
    elif fault == "cut":
        file.write_bytes(data[:-10])
    else:
        file.unlink()
    assert latest_checkpoint(tmp_path) == good


def test_one_that_is_being_written_is_passed_over_and_stays(tmp_path):
    """Who asks for the newest may be another process than the one that writes."""
    shutil.copytree(save_checkpoint(trained(), tmp_path), tmp_path / "step-9.tmp")
    assert latest_checkpoint(tmp_path) == tmp_path / "step-3"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-3", "step-9.tmp"]


def test_no_checkpoint_is_no_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "absent") is None


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    state = trained()
    good = save_checkpoint(state, tmp_path)
    state.progress.step = 9
    with torch.no_grad():
        state.network.linear.weight[0, 0] = torch.nan
    with pytest.raises(DivergedError, match=r"linear\.weight"):
        save_checkpoint(state, tmp_path)
    assert latest_checkpoint(tmp_path) == good


def test_another_networks_checkpoint_is_refused(tmp_path):
    path = save_checkpoint(trained(), tmp_path)
    other = TrainState.start(tiny_net(num_classes=4), CONFIG)
    with pytest.raises(ModelFileError, match="not a checkpoint of this network"):
        load_checkpoint(other, path)


def test_other_threads_are_said(tmp_path):
    state = trained()
    path = save_checkpoint(state, tmp_path)
    record = json.loads((path / "state.json").read_text())
    record["threads"] += 3
    (path / "state.json").write_text(json.dumps(record))
    assert load_checkpoint(state, path).startswith("resumed, not bit-exact: threads ")


def test_the_weights_of_a_checkpoint_are_the_averaged_ones(tmp_path):
    state = trained()
    weights = load_weights(save_checkpoint(state, tmp_path), state.network)
    assert torch.equal(weights["linear.weight"], state.average["linear.weight"])


def test_a_checkpoint_of_another_version_is_read(tmp_path):
    state = trained()
    path = save_checkpoint(state, tmp_path)
    record = json.loads((path / "state.json").read_text())
    del record["progress"]["events_length"]
    record["progress"]["of a later version"] = 1
    (path / "state.json").write_text(json.dumps(record))
    again = trained(1)
    load_checkpoint(again, path)
    assert again.progress.events_length is None and again.progress.step == 3


def test_a_metric_that_was_nan_is_null_in_the_file_and_nan_when_read(tmp_path):
    state = trained()
    state.progress.history = [{"epoch": 1, "val_loss": 0.5, "val_roc_auc": np.nan}]
    state.progress.best_value = np.nan
    path = save_checkpoint(state, tmp_path)
    assert "NaN" not in (path / "state.json").read_text()
    again = TrainState.start(tiny_net(), CONFIG)
    load_checkpoint(again, path)
    (row,) = again.progress.history
    assert row["val_loss"] == 0.5 and np.isnan(row["val_roc_auc"])
    assert again.progress.best_value is None  # which any value is better than, as than NaN


FORMER = {  # names of ResNet-18 today, and as the first version wrote them
    r"^(network|average)\.conv1": r"\1.stem.conv",
    r"^(network|average)\.bn1": r"\1.stem.norm",
    r"\.layer": ".stage",
    r"\.bn": ".norm",
    r"\.downsample\.0": ".shortcut.conv",
    r"\.downsample\.1": ".shortcut.norm",
    r"\.fc\.": ".head.classes.",
}


def with_former_names(path):
    """Renames the tensors of a checkpoint of ResNet-18."""
    tensors = safetensors.torch.load_file(path / "state.safetensors")
    for now, before in FORMER.items():
        tensors = {re.sub(now, before, name): tensor for name, tensor in tensors.items()}
    data = safetensors.torch.save(tensors)
    (path / "state.safetensors").write_bytes(data)
    record = json.loads((path / "state.json").read_text())
    record["sha256"] = hashlib.sha256(data).hexdigest()
    (path / "state.json").write_text(json.dumps(record))
    return set(tensors)


def resnet_state(seed):
    torch.manual_seed(seed)
    return TrainState.start(build("resnet18", num_classes=2, size=16, width=0.125), CONFIG)


def test_former_names_of_parameters_are_read_in_weights_and_average(tmp_path):
    state, again = resnet_state(0), resnet_state(1)
    state.average = {name: tensor + 1 for name, tensor in state.average.items()}
    state.progress.gradient_norms = [{"step": 1, "stem.conv": 0.5, "head.classes": 2.0}]
    path = save_checkpoint(state, tmp_path)
    names = with_former_names(path)
    assert {"network.stage2.0.shortcut.norm.bias", "average.stem.norm.weight"} <= names
    load_checkpoint(again, path)
    for name, tensor in state.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor), name
        assert torch.equal(again.average[name], state.average[name]), name
        assert torch.equal(load_weights(path, again.network)[name], state.average[name]), name
    assert again.progress.gradient_norms == [{"step": 1, "conv1": 0.5, "fc": 2.0}]
