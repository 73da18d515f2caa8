"""Checkpoints: `step-N/{state.safetensors,state.json}`, atomic; keeps the best and newest two.

Tensors are stored as safetensors and numbers as JSON, so a copied run directory holds no code. A directory
gets its name only when all of it is on disk, and is used only if its digest is right.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from seewhy.errors import DivergedError, ModelFileError
from seewhy.files import (
    atomic_directory,
    full_disk_named,
    sync_directory,
    to_json,
    write_atomic,
)
from seewhy.floors import require
from seewhy.models.registry import current_name, name_of
from seewhy.training.loop import TrainState
from seewhy.training.progress import TrainProgress

require(safetensors)

KEPT = 2


def save_checkpoint(state: TrainState, directory: Path) -> Path:
    """Writes `directory/step-N` and removes all but the best and the newest two.

    Raises `DivergedError` if a weight is not finite, `DiskFullError` if there is no space.
    """
    data, record = packed(state)
    digest = record["sha256"]
    about = json.dumps(to_json(record), allow_nan=False).encode()
    path = directory / f"step-{state.progress.step}"
    with full_disk_named(directory, len(data)):
        directory.mkdir(parents=True, exist_ok=True)
    sync_directory(directory.parent)
    if _holds(path, digest):  # this step was saved before its epoch was validated
        write_atomic(path / "state.json", about)
    else:
        with atomic_directory(path, len(data)) as temporary:
            (temporary / "state.safetensors").write_bytes(data)
            (temporary / "state.json").write_bytes(about)
    remove_older(directory, state.progress)
    return path


def packed(state: TrainState) -> tuple[bytes, dict[str, Any]]:
    """The state as the bytes of its tensors and a record of all else. Raises `DivergedError`."""
    optimizer = state.optimizer.state_dict()["state"].items()
    flat = {f"{index}.{key}": value for index, kept in optimizer for key, value in kept.items()}
    numbers = {name: value for name, value in flat.items() if not isinstance(value, Tensor)}
    tensors = {f"optimizer.{name}": flat[name] for name in flat if name not in numbers}
    tensors |= {f"network.{name}": value for name, value in state.network.state_dict().items()}
    if state.average is not None:
        tensors |= {f"average.{name}": value for name, value in state.average.items()}
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise DivergedError(f"{name} is no longer finite", state.progress.step)
    if state.hardest is not None:  # infinite where an image was not seen yet
        tensors["hardest.losses"] = state.hardest.losses
        tensors |= {f"hardest.{n}": rows for n, rows in state.hardest.chosen.items()}
    tensors = _apart({name: value.detach().cpu() for name, value in tensors.items()})
    size = sum(value.nbytes for value in tensors.values())
    bytes(
        2 * size
    )  # as much as saving needs: raises MemoryError here, where safetensors would panic
    data = safetensors.torch.save(tensors)
    return data, {
        "progress": dataclasses.asdict(state.progress),
        "first_hardest": state.hardest and state.hardest.first,
        "optimizer": numbers,
        "threads": state.threads or torch.get_num_threads(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory, as safetensors wants them; of a layer with two names, one is a copy."""
    apart, seen = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.contiguous()
        shared = tensor.untyped_storage().data_ptr() in seen
        apart[name] = tensor.clone() if shared else tensor
        seen.add(apart[name].untyped_storage().data_ptr())
    return apart


def load_checkpoint(state: TrainState, path: Path) -> str | None:
    """Restores `state`, a new one, from a checkpoint; returns a line if results may differ in some bits.

    Raises `ModelFileError` if the checkpoint is damaged or of another network.
    """
    data, record = _read(path)
    try:
        unpack(state, data, record)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelFileError(f"{path} is not a checkpoint of this network: {error}") from None
    threads = state.threads or torch.get_num_threads()
    if threads != record["threads"]:
        return f"resumed, not bit-exact: threads {record['threads']}->{threads}"
    return None


def unpack(state: TrainState, data: bytes, record: Mapping[str, Any]) -> None:
    """Gives `state`, a new one of the same network, what was `packed`."""
    tensors = safetensors.torch.load(data)
    architecture = name_of(state.network)
    state.network.load_state_dict(_weights(tensors, "network.", architecture))
    optimizer = state.optimizer.state_dict()
    optimizer["state"] = {}
    for name, value in {**_part(tensors, "optimizer."), **record["optimizer"]}.items():
        index, key = name.split(".", 1)
        optimizer["state"].setdefault(int(index), {})[key] = value
    state.optimizer.load_state_dict(optimizer)
    device = next(state.network.parameters()).device
    average = _weights(tensors, "average.", architecture)
    state.average = {name: t.to(device) for name, t in average.items()} or None
    if state.hardest is not None:
        rows = _part(tensors, "hardest.")
        state.hardest.losses.copy_(rows.pop("losses"))
        # Of a finished run that goes on, the hardest may be those of other epochs; of an early version,
        # epochs may have fewer images than a batch: they are chosen again.
        first, count = state.hardest.first, state.hardest.count
        same = record.get("first_hardest", first) == first
        known = {int(n): chosen for n, chosen in rows.items() if same and len(chosen) == count}
        state.hardest.chosen.update(known)
    state.progress = _progress(record)
    state.progress.gradient_norms = [
        {current_name(architecture, layer): norm for layer, norm in row.items()}
        for row in state.progress.gradient_norms
    ]


def load_progress(path: Path) -> TrainProgress:
    """How far the training of a checkpoint is, one that `latest_checkpoint` has found to be whole."""
    return _progress(json.loads((path / "state.json").read_text()))


def _progress(record: Mapping[str, Any]) -> TrainProgress:
    fields = TrainProgress.__annotations__  # another version may have other fields
    progress = TrainProgress(**{k: v for k, v in record["progress"].items() if k in fields})
    for row in (*progress.history, *progress.gradient_norms):
        row.update({name: nan for name, value in row.items() if value is None})  # as JSON has none
    return progress


def load_weights(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """The weights that a checkpoint of `network` was evaluated with: the averaged ones, if there are any."""
    tensors = safetensors.torch.load(_read(path)[0])
    architecture = name_of(network)
    average = _weights(tensors, "average.", architecture)
    return average or _weights(tensors, "network.", architecture)


def latest_checkpoint(directory: Path) -> Path | None:
    """The newest complete checkpoint."""
    for path in _newest_first(directory):
        try:
            _read(path)
        except ModelFileError:
            continue
        return path
    return None


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        record = json.loads((path / "state.json").read_text())
        data = (path / "state.safetensors").read_bytes()
        whole = record["sha256"] == hashlib.sha256(data).hexdigest()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path} is not a complete checkpoint: {error}") from None
    if not whole:
        raise ModelFileError(f"{path} is damaged: the digest of its weights is wrong")
    return data, record


def _holds(path: Path, digest: str) -> bool:
    """Whether a complete checkpoint with tensors of this digest exists."""
    try:
        return bool(_read(path)[1]["sha256"] == digest)
    except ModelFileError:
        return False


def _newest_first(directory: Path) -> list[Path]:
    steps = [p for p in directory.glob("step-*") if p.name.removeprefix("step-").isdecimal()]
    return sorted(steps, key=lambda p: int(p.name.removeprefix("step-")), reverse=True)


def remove_older(directory: Path, progress: TrainProgress) -> None:
    """Removes the checkpoints that are neither among the newest nor the best."""
    for path in _newest_first(directory)[KEPT:]:
        if path.name != f"step-{progress.best_step}":
            shutil.rmtree(path)


def _weights(
    tensors: dict[str, Tensor], prefix: str, architecture: str | None
) -> dict[str, Tensor]:
    """A part of the tensors, by the names that the network has today."""
    part = _part(tensors, prefix)
    return {current_name(architecture, name): tensor for name, tensor in part.items()}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
