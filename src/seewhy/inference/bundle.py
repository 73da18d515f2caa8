"""The one-file model: weights, and all that is needed to use, check and trace them.

A file is verified before it is used, step by step: its digest; its header, against limits; its metadata,
against a closed schema; names, shapes and types, against the named architecture built without memory; the
pixels that its input rule makes of three generated images; its values; and finally the outputs on eight
more. Pixels and outputs must equal those stored. No file makes code run: no pickle is read, whatever its
name.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from seewhy import __version__
from seewhy.config.input_rule import InputRule
from seewhy.errors import ModelFileError, UsageError
from seewhy.evaluation.decision.record import Decision
from seewhy.files import write_atomic
from seewhy.inference import container, golden
from seewhy.inference.container import TensorEntry, path_named
from seewhy.inference.ensemble_network import EnsembleNetwork
from seewhy.inference.metadata import CUSTOM, ENSEMBLE, Metadata
from seewhy.inference.onnx_file import is_onnx
from seewhy.models.registry import Network, build, current_name, name_of
from seewhy.text import visible

_GOLDEN = "golden.logits"
_WEIGHTS = "network."
# What a bundle and its metadata both hold, by the same names.
_KEPT = ("classes", "rule", "decision", "views", "facts", "fingerprint", "parents")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A network with all that is needed to use it.

    `classes` name the logits in order; `rule` makes the network's input from an image; `views` are
    the ways in which it is shown ("identity", "flip"), logits averaged; `facts` say in JSON how it
    was trained; `fingerprint` is that of the training data; `parents` are the digests of the
    bundles it was made from; `digest` names the file, and is empty before it is saved.
    """

    network: nn.Module
    classes: tuple[str, ...]
    rule: InputRule
    decision: Decision = field(default_factory=Decision)
    views: tuple[str, ...] = ("identity",)
    facts: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    parents: tuple[str, ...] = ()
    digest: str = ""

    def metadata(self) -> Metadata:
        """What its file says of it. Raises `ModelFileError` when that breaks a limit."""
        name = _architecture(self.network)
        architecture = {
            "name": name,
            "arguments": {} if name == CUSTOM else options_of(self.network),
        }
        kept = {field: getattr(self, field) for field in _KEPT}
        try:
            return Metadata.model_validate(
                {
                    "created_by": __version__,
                    "architecture": architecture,
                    "stored": golden.stored_digest(self.rule),
                    **kept,
                }
            )
        except ValidationError as error:
            raise ModelFileError(container.first_fault(error)) from None


def save(bundle: Bundle, path: Path, *, half: bool = True, overwrite: bool = False) -> Bundle:
    """Writes a bundle atomically, and returns what `load` will return.

    With `half`, weights of two and more dimensions are rounded to float16 where they fit its range;
    all other floats are float32, and integers stay as they are. What could not be loaded again is
    not written: raises `ModelFileError` when a weight is not finite or the metadata break a limit,
    and `UsageError` when `path` exists and `overwrite` is False, or has the name of an ONNX file.
    """
    path = Path(path)
    require_name(path)
    if path.exists() and not overwrite:
        raise UsageError(f"{visible(str(path))} already exists: choose another name, or remove it")
    with path_named(path):
        metadata = bundle.metadata()
        network = rounded(bundle.network, half=half)
        state = network.state_dict()
        tensors = {_WEIGHTS + name: _stored(tensor, half) for name, tensor in state.items()}
        tensors[_GOLDEN] = golden.logits(network, bundle.rule.size)
        data = container.encode(metadata, tensors)
        own = network if metadata.architecture.name == CUSTOM else None
        saved = _decode(bytearray(data), own)
    write_atomic(path, data)
    return saved


def require_name(path: Path) -> None:
    """Raises `UsageError` for a name by which a bundle would be read as an ONNX file."""
    if is_onnx(path):
        raise UsageError(
            f"{visible(str(path))} would be read as an ONNX file, and a bundle is none: choose a name in "
            ".safetensors (`seewhy export` writes ONNX)"
        )


def rounded(network: nn.Module, *, half: bool = True) -> nn.Module:
    """A copy of a network on the CPU, in eval mode, with the weights that `load` will give."""
    copied = copy.deepcopy(network).cpu().float().eval()
    # The order of sums depends on the layout, and with it the last bits of the golden logits.
    copied = copied.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    _fill(copied, {name: _stored(tensor, half) for name, tensor in copied.state_dict().items()})
    return copied


def load(path: Path, *, model: nn.Module | None = None) -> Bundle:
    """Reads a bundle onto the CPU, in float32 and eval mode, once it is verified.

    A user's own architecture needs `model`, a network built as the trained one was: it is filled
    with the weights and becomes the bundle's network. Raises `ModelFileError`, in one line, when
    the file is not a bundle, is damaged, or gives other outputs than those stored.
    """
    with path_named(Path(path)):
        if is_onnx(Path(path)):
            raise ModelFileError(
                "an ONNX file has no network to train: use the bundle that it was exported from, whose "
                "digest `seewhy info` shows"
            )
        return _decode(container.read(Path(path)), model)


def _decode(data: bytearray, model: nn.Module | None) -> Bundle:
    header, body = container.parse(data)
    about = header.metadata
    name = about.architecture.name
    entries = {current_name(name, entry.name): entry for entry in header.tensors}
    if len(entries) < len(header.tensors):
        raise ModelFileError("it has two tensors, by an old and a new name, for one of its network")
    network = _blank(about, entries, model)
    if about.stored is not None:
        golden.require_stored(about.rule, about.stored)
    expected = entries.pop(_GOLDEN)
    weights = {key: container.values(entry, body) for key, entry in entries.items()}
    _fill(network, {key.removeprefix(_WEIGHTS): weight for key, weight in weights.items()})
    golden.require_equal(golden.logits(network, about.rule.size), container.values(expected, body))
    kept = {name: getattr(about, name) for name in _KEPT}
    return Bundle(network=network, digest=header.digest, **kept)


def _architecture(network: nn.Module) -> str:
    return ENSEMBLE if isinstance(network, EnsembleNetwork) else name_of(network) or CUSTOM


def options_of(network: nn.Module) -> dict[str, Any]:
    """What built the network, beside its classes and size, which the metadata say elsewhere."""
    assert isinstance(network, Network | EnsembleNetwork)
    return {k: v for k, v in network.arguments.items() if k not in ("num_classes", "size")}


def _blank(
    about: Metadata, entries: Mapping[str, TensorEntry], model: nn.Module | None
) -> nn.Module:
    """The network to fill, once it is known that the tensors are exactly its own."""
    custom = about.architecture.name == CUSTOM
    if custom and model is None:
        raise ModelFileError(
            "its architecture is your own, so its file cannot build it: load it in Python by "
            "`seewhy.load(path, model=network)`, built as the network it was trained with"
        )
    if not custom and model is not None:
        raise ModelFileError(
            f"it builds its own network ({about.architecture.name}): leave out `model`"
        )
    if model is None:
        with torch.device("meta"):
            _require_own_tensors(_build(about), len(about.classes), entries)
        return _build(about)
    _require_own_tensors(model, len(about.classes), entries)
    return model.cpu().float().eval()


def _build(about: Metadata) -> nn.Module:
    name = about.architecture.name
    arguments: dict[str, Any] = about.architecture.arguments
    shape = {"num_classes": len(about.classes), "size": about.rule.size}
    try:
        with torch.random.fork_rng(devices=[]):
            if name == ENSEMBLE:
                return EnsembleNetwork.built(arguments, **shape).float().eval()
            return build(name, **shape, **arguments).float().eval()
    except Exception as error:  # whatever a stranger's arguments lead to is the file's fault
        cause = " ".join(str(error).split())[:200]
        raise ModelFileError(f"its architecture {name!r} cannot be built: {cause}") from None


def _require_own_tensors(
    network: nn.Module, classes: int, entries: Mapping[str, TensorEntry]
) -> None:
    state: dict[str, Tensor] = network.state_dict()
    expected = {_WEIGHTS + name: _signatures(tensor) for name, tensor in state.items()}
    expected[_GOLDEN] = [("F32", (golden.COUNT, classes))]
    stored = {name: (entry.dtype, entry.shape) for name, entry in entries.items()}
    for name in sorted(expected.keys() | stored.keys()):
        if name not in stored:
            raise ModelFileError(f"its architecture has a tensor {name!r} that the file lacks")
        if name not in expected:
            raise ModelFileError(f"its tensor {name[:80]!r} is not one of its architecture")
        if stored[name] not in expected[name]:
            raise ModelFileError(
                f"its tensor {name!r} is {_written(stored[name])}, and its architecture has "
                f"{_written(expected[name][0])}"
            )


def _signatures(tensor: Tensor) -> list[tuple[str, tuple[int, ...]]]:
    """The types and the shape that a file may have for a tensor."""
    shape = tuple(tensor.shape)
    if tensor.is_floating_point():
        return [("F32", shape), ("F16", shape)]
    dtype = np.dtype(str(tensor.dtype).removeprefix("torch."))
    return [(name, shape) for name, kind in container.DTYPES.items() if kind == dtype.str]


def _written(signature: tuple[str, tuple[int, ...]]) -> str:
    dtype, shape = signature
    return f"{dtype} {list(shape)}"


def _stored(tensor: Tensor, half: bool) -> NDArray[Any]:
    array = tensor.numpy()
    fits = array.dtype == np.float32 and np.abs(array).max(initial=0) <= np.finfo(np.float16).max
    return array.astype(np.float16) if half and fits and array.ndim >= 2 else array


def _fill(network: nn.Module, tensors: Mapping[str, NDArray[Any]]) -> None:
    network.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
