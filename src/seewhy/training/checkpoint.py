"""Checkpoints: `step-N/{state.safetensors,state.json}`, whole or not there, newest two and the best.

Tensors go to safetensors and numbers to JSON, so that a copied run directory holds no code. A directory
appears under its name only when all of it is on disk, and counts only when its digest agrees.
"""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from seewhy.errors import DivergedError, ModelFileError
from seewhy.files import (
    atomic_directory,
    clear_temporaries,
    full_disk_named,
    sync_directory,
    write_atomic,
)
from seewhy.training.loop import TrainProgress, TrainState

KEPT = 2


def save_checkpoint(state: TrainState, directory: Path) -> Path:
    """Writes `directory/step-N` and drops what is neither the best nor among the newest two.

    Raises `DivergedError` when a weight is not finite, `DiskFullError` when there is no space.
    """
    tensors, numbers = _split_optimizer(state.optimizer.state_dict()["state"])
    tensors |= {f"network.{name}": value for name, value in state.network.state_dict().items()}
    if state.average is not None:
        tensors |= {f"average.{name}": value for name, value in state.average.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise DivergedError(f"{name} is no longer finite", state.progress.step)
    size = sum(value.nbytes for value in tensors.values())
    bytes(2 * size)  # what saving takes: a MemoryError here, where its Rust would panic
    data = safetensors.torch.save(tensors)
    digest = hashlib.sha256(data).hexdigest()
    record = {
        "progress": dataclasses.asdict(state.progress),
        "optimizer": numbers,
        "threads": torch.get_num_threads(),
        "sha256": digest,
    }
    about = json.dumps(record).encode()
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
    _prune(directory, keep_step=state.progress.best_step)
    return path


def load_checkpoint(state: TrainState, path: Path) -> str | None:
    """Fills `state`, built as at the start, from a checkpoint; returns a line when bits may differ.

    Raises `ModelFileError` when the checkpoint is damaged or of another network.
    """
    data, record = _read(path)
    tensors = safetensors.torch.load(data)
    network = _part(tensors, "network.")
    try:
        state.network.load_state_dict(network)
        optimizer = state.optimizer.state_dict()
        optimizer["state"] = _join_optimizer(_part(tensors, "optimizer."), record["optimizer"])
        state.optimizer.load_state_dict(optimizer)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelFileError(f"{path} is not a checkpoint of this network: {error}") from None
    device = next(state.network.parameters()).device
    if state.average is not None:
        state.average = {name: t.to(device) for name, t in _part(tensors, "average.").items()}
    fields = TrainProgress.__annotations__  # another version may have fewer, or others beside them
    progress = {key: value for key, value in record["progress"].items() if key in fields}
    state.progress = TrainProgress(**progress)
    threads = torch.get_num_threads()
    if threads != record["threads"]:
        return f"resumed, not bit-exact: threads {record['threads']}->{threads}"
    return None


def load_weights(path: Path) -> dict[str, Tensor]:
    """The weights that a checkpoint's epoch was judged by: the averaged ones where there are some."""
    tensors = safetensors.torch.load(_read(path)[0])
    return _part(tensors, "average.") or _part(tensors, "network.")


def latest_checkpoint(directory: Path) -> Path | None:
    """The newest checkpoint that is whole; clears what a killed process left half written."""
    clear_temporaries(directory)
    for litter in directory.glob("step-*.tmp"):
        shutil.rmtree(litter, ignore_errors=True)
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
        raise ModelFileError(f"{path} is not a whole checkpoint: {error}") from None
    if not whole:
        raise ModelFileError(f"{path} is damaged: its weights do not have the digest of its record")
    return data, record


def _holds(path: Path, digest: str) -> bool:
    """Whether a whole checkpoint with tensors of this digest is there already."""
    try:
        return bool(_read(path)[1]["sha256"] == digest)
    except ModelFileError:
        return False


def _newest_first(directory: Path) -> list[Path]:
    steps = [p for p in directory.glob("step-*") if p.name.removeprefix("step-").isdecimal()]
    return sorted(steps, key=lambda p: int(p.name.removeprefix("step-")), reverse=True)


def _prune(directory: Path, keep_step: int) -> None:
    for path in _newest_first(directory)[KEPT:]:
        if path.name != f"step-{keep_step}":
            shutil.rmtree(path)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _split_optimizer(
    state: dict[int, dict[str, Any]],
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, entries in state.items():
        for key, value in entries.items():
            place = tensors if isinstance(value, Tensor) else numbers
            place[f"{index}.{key}"] = value
    return {f"optimizer.{name}": value for name, value in tensors.items()}, numbers


def _join_optimizer(
    tensors: dict[str, Tensor], numbers: dict[str, Any]
) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **numbers}.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    return state
