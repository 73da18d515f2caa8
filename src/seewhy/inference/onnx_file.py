"""The bytes of an ONNX file that SeeWhy exported: verified and walked before ONNX Runtime reads them.

The file is a plain ONNX model. Its `metadata_props` have

    seewhy          `OnnxMetadata` as JSON
    seewhy.golden   float32 logits (8, K) of the golden images, little-endian, as base64
    seewhy.digest   the sha256 of the file with these 64 digits read as zeros

It is refused if it holds what no export of ours holds: other operators, weights in other files,
subgraphs, functions. So neither the runtime's readers of files nor its control flow are ever reached
(onnx.proto3 of https://github.com/onnx/onnx names the fields). Needs neither torch nor onnx.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import ModelFileError
from seewhy.inference import container, golden
from seewhy.inference.metadata import ONNX_FORMAT_VERSION, OnnxMetadata

ABOUT, GOLDEN, DIGEST = "seewhy", "seewhy.golden", "seewhy.digest"
MAX_ABOUT = 2**20  # bytes
MAX_FIELDS = 1_000_000
MAX_OPSET = 26

Value = memoryview | int  # of a field of a protocol buffer

# What the exports of all networks are made of, and their quantised forms; then usual layers of others.
OPERATORS = frozenset(
    {
        *("Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Conv"),
        *("DequantizeLinear", "Div", "Erf", "Exp", "Expand", "Flatten", "Gather", "Gelu", "Gemm"),
        *("GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish", "Identity"),
        *(
            "LayerNormalization",
            "LeakyRelu",
            "Log",
            "LogSoftmax",
            "MatMul",
            "Max",
            "MaxPool",
            "Min",
        ),
        *(
            "Mul",
            "Neg",
            "Pad",
            "Pow",
            "QuantizeLinear",
            "Reciprocal",
            "ReduceLogSumExp",
            "ReduceMax",
        ),
        *("ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Slice"),
        *("Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Swish", "Tanh", "Transpose", "Unsqueeze"),
        "Where",
        *("Abs", "Celu", "Elu", "Greater", "InstanceNormalization", "Mish", "PRelu", "ReduceL2"),
        *("Selu", "Softplus"),
    }
)

_BEFORE_DIGEST = b"\n" + bytes([len(DIGEST)]) + DIGEST.encode() + b"\x12\x40"


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """A verified file: its bytes, its metadata, the golden logits (8, K) and its digest."""

    data: bytes
    about: OnnxMetadata
    golden: NDArray[np.float32]
    digest: str


def is_onnx(path: Path) -> bool:
    """Whether a file is to be read as ONNX: its name ends in .onnx."""
    return path.suffix.lower() == ".onnx"


def encode_properties(about: OnnxMetadata, logits: NDArray[np.float32]) -> dict[str, str]:
    """The `metadata_props` of a file, its digest still zeros."""
    text = base64.b64encode(logits.astype("<f4").tobytes()).decode()
    return {ABOUT: about.model_dump_json(), GOLDEN: text, DIGEST: "0" * 64}


def with_digest(data: bytes) -> bytes:
    """The file's bytes with the digest in its place."""
    place = _digest_place(data)
    return data[: place.start] + digest(data).encode() + data[place.stop :]


def digest(data: bytes) -> str:
    """The sha256 of a file's bytes with its own digits read as zeros, 64 hex digits."""
    view, place = memoryview(data), _digest_place(data)
    hashed = hashlib.sha256(view[: place.start])
    hashed.update(b"0" * 64)
    hashed.update(view[place.stop :])
    return hashed.hexdigest()


def read(path: Path) -> OnnxFile:
    """Reads and verifies a file; nothing of it is run.

    Raises `ModelFileError`, in one line with the path, if it is damaged or not an export of SeeWhy.
    """
    with container.path_named(path):
        return parse(bytes(container.read(path, container.refuse_pickles)))


def parse(data: bytes) -> OnnxFile:
    """Verifies the bytes of a file, as `read` does; the message has no path."""
    place = _digest_place(data)
    computed = digest(data)
    if data[place] != computed.encode():
        raise ModelFileError(
            "it is damaged or was changed after it was exported (its digest does not match): export it again"
        )
    try:
        properties = _walk(memoryview(data))
    except (ValueError, IndexError, KeyError):
        raise ModelFileError("it is not proper ONNX: export it again") from None
    if set(properties) != {ABOUT, GOLDEN, DIGEST} or len(properties[ABOUT]) > MAX_ABOUT:
        raise ModelFileError("it has other metadata than an export of SeeWhy")
    about = container.validated(
        properties[ABOUT].decode("utf-8", "surrogateescape"), OnnxMetadata, ONNX_FORMAT_VERSION
    )
    if about.model.stored is not None:
        golden.require_stored(about.model.rule, about.model.stored)
    return OnnxFile(data, about, _logits(properties[GOLDEN], len(about.model.classes)), computed)


def _logits(text: bytes, classes: int) -> NDArray[np.float32]:
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
    except ValueError:
        values = np.empty(0, "<f4")
    if values.size != golden.COUNT * classes or not np.isfinite(values).all():
        raise ModelFileError("its golden logits are not numbers of its classes")
    return values.reshape(golden.COUNT, classes).astype(np.float32)


def _digest_place(data: bytes) -> slice:
    first = data.find(_BEFORE_DIGEST)
    start = first + len(_BEFORE_DIGEST)
    if first < 0 or data.find(_BEFORE_DIGEST, start) >= 0 or start + 64 > len(data):
        raise ModelFileError(
            "it is not an ONNX file of SeeWhy's, or it is cut short: make one with `seewhy export MODEL "
            "--format onnx`"
        )
    return slice(start, start + 64)


# A walk over the protocol buffer. Each function looks into one kind of message, whose fields go by numbers.


def _walk(model: memoryview) -> Mapping[str, bytes]:
    """Checks a ModelProto, and returns its `metadata_props`."""
    properties: dict[str, bytes] = {}
    graphs = 0
    for number, value in _fields(model):
        if number == 7:
            graphs += 1
            _graph(value)
        elif number == 8:
            _opset(value)
        elif number == 14:
            key, text = _property(value)
            if key in properties:
                raise ValueError("a key comes twice")
            properties[key] = text
        elif number not in (1, 2, 3, 4, 5, 6):
            raise ModelFileError("it has functions or training steps, as no export of SeeWhy has")
    if graphs != 1:
        raise ValueError("not one graph")
    return properties


def _graph(graph: Value) -> None:
    for number, value in _fields(graph):
        if number == 1:
            _node(value)
        elif number == 5:
            _tensor(value)
        elif number not in (2, 10, 11, 12, 13, 14, 16):
            raise ModelFileError("it has sparse tensors, as no export of SeeWhy has")


def _node(node: Value) -> None:
    for number, value in _fields(node):
        if number == 4 and (name := bytes(_bytes(value)).decode()) not in OPERATORS:
            raise ModelFileError(f"it uses the operator {name[:40]!r}, which SeeWhy does not open")
        if number == 5:
            _attribute(value)
        elif number == 7 and len(_bytes(value)):
            raise ModelFileError(
                "it uses operators of a domain of its own, as no export of SeeWhy does"
            )
        elif number not in (1, 2, 3, 4, 6, 7, 9):
            raise ValueError("a field of a node")


def _attribute(attribute: Value) -> None:
    for number, value in _fields(attribute):
        if number == 5:
            _tensor(value)
        elif number not in (1, 2, 3, 4, 7, 8, 9, 13, 20):
            raise ModelFileError("a node holds a graph or a type, as in no export of SeeWhy")


def _tensor(tensor: Value) -> None:
    dims: list[int] = []
    for number, value in _fields(tensor):
        if number == 1:
            dims += _numbers(value)
        elif number in (13, 14):
            raise ModelFileError("its weights are in other files: an export of SeeWhy is one file")
        elif number not in (2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16):
            raise ValueError("a field of a tensor")
    if prod(dims) > 8 * len(_bytes(tensor)):
        raise ModelFileError("a tensor is said to be larger than its values")


def _opset(opset: Value) -> None:
    entries = dict(_fields(opset))
    version = entries.get(2, 0)
    own = bytes(_bytes(entries.get(1, memoryview(b""))))
    if own or not isinstance(version, int) or version > MAX_OPSET:
        raise ModelFileError(
            "its set of operators is not one of this SeeWhy's exports: export it again, or upgrade SeeWhy"
        )


def _property(entry: Value) -> tuple[str, bytes]:
    entries = dict(_fields(entry))
    return bytes(_bytes(entries[1])).decode(), bytes(_bytes(entries[2]))


def _fields(message: Value) -> Iterator[tuple[int, Value]]:
    """The fields of a protocol buffer message: their numbers, and bytes or a number."""
    message = _bytes(message)
    at = count = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        count += 1
        if count > MAX_FIELDS or not number:
            raise ValueError("fields")
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("a group")
        if at + length > len(message):
            raise ValueError("cut short")
        yield number, message[at : at + length]
        at += length


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number for bytes")
    return value


def _numbers(value: Value) -> list[int]:
    if isinstance(value, int):
        return [value]
    numbers, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        numbers.append(number)
    return numbers


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
