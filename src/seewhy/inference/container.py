"""The bytes of a bundle: a safetensors file that begins with its own digest.

    8 bytes       length of the header, little-endian
    header        {"__metadata__":{"digest":"<64 hex digits>","seewhy":"<Metadata as JSON>"},
                   "golden.logits":{...}, "network.<name>":{...}, ...}, padded with spaces
    data          the tensors, one after another

The digest is the sha256 of the file with its own 64 digits read as zeros. Nothing is parsed before
it has been checked, and nothing large is allocated before the header has been. All refusals are
`ModelFileError`s of one line, without the path.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from seewhy.errors import ModelFileError
from seewhy.inference.metadata import FORMAT_VERSION, Metadata
from seewhy.text import visible

if TYPE_CHECKING:
    from numpy.typing import NDArray

Schema = TypeVar("Schema", bound=BaseModel)

MAX_BYTES = 2 * 2**30
MAX_HEADER = 2**20
MAX_TENSORS = 10_000
MAX_DIMENSIONS = 8

# The types of safetensors that are taken, as NumPy writes them; the last digit is the bytes a value.
DTYPES = {
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}

_PREFIX = b'{"__metadata__":{"digest":"'
_DIGITS = slice(8 + len(_PREFIX), 8 + len(_PREFIX) + 64)

# How files begin that hold a pickle, or may.
_PICKLE_LIKE: dict[str, tuple[bytes, ...]] = {
    "a zip archive, as torch.save, TorchScript, Keras and .npz make": (b"PK\x03\x04",),
    "an empty zip archive": (b"PK\x05\x06",),
    "a pickle": (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    "a NumPy array file": (b"\x93NUMPY",),
    "a gzip file, as joblib makes": (b"\x1f\x8b",),
    "a zlib file, as joblib makes": (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
    "a bzip2 file, as joblib makes": (b"BZh",),
    "an xz file, as joblib makes": (b"\xfd7zXZ\x00",),
    "an lzma file, as joblib makes": (b"\x5d\x00\x00",),
    "an lz4 file, as joblib makes": (b"\x04\x22\x4d\x18",),
    "a 7z archive": (b"7z\xbc\xaf\x27\x1c",),
}
_PICKLE_ADVICE = (
    "pickle-based files are not loaded, as they can run code; train with SeeWhy, or export the "
    "weights with the program that made them"
)


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a file: its name, safetensors type, shape and place among the data bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """The metadata and tensor entries of a bundle, with its digest and its size in bytes."""

    metadata: Metadata
    tensors: tuple[TensorEntry, ...]
    digest: str
    size: int


def encode(metadata: Metadata, tensors: "Mapping[str, NDArray[Any]]") -> bytes:
    """The file of a bundle. Raises `ModelFileError` where `parse` would: past a limit."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, Any] = {
        "__metadata__": {"digest": "0" * 64, "seewhy": metadata.model_dump_json()}
    }
    chunks, start = [], 0
    # The widest types first, so that every tensor is aligned.
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        if tensor.dtype.str not in names:
            raise ModelFileError(
                f"tensor {name!r} is {tensor.dtype}, and {list(DTYPES)} can be kept"
            )
        stop = start + tensor.nbytes
        dtype = names[tensor.dtype.str]
        header[name] = {"dtype": dtype, "shape": tensor.shape, "data_offsets": (start, stop)}
        chunks.append(tensor.tobytes())
        start = stop
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise ModelFileError(
            f"classes, facts and tensor names take {len(text):,} bytes, and {MAX_HEADER:,} are "
            "allowed: shorten the class names or the facts"
        )
    data = bytearray().join([len(text).to_bytes(8, "little"), text, *chunks])
    data[_DIGITS] = digest(data).encode()
    return bytes(data)


def digest(data: bytes | bytearray) -> str:
    """The sha256 of a bundle's bytes with its own digits read as zeros, 64 hex digits."""
    view = memoryview(data)
    hashed = hashlib.sha256(view[: _DIGITS.start])
    hashed.update(b"0" * 64)
    hashed.update(view[_DIGITS.stop :])
    return hashed.hexdigest()


def read(path: Path, require: Callable[[bytes, int], None] | None = None) -> bytearray:
    """The bytes of a model file, whole, unparsed and not yet verified.

    `require(head, size)` refuses what does not begin as it should; by default, what is no bundle.
    """
    if not path.is_file():
        raise ModelFileError("there is no such file" if not path.exists() else "this is not a file")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise ModelFileError(
                    f"{size:,} bytes are more than a model file may have ({MAX_BYTES:,})"
                )
            (require or _require_bundle)(file.read(512), size)
            file.seek(0)
            data = bytearray(size)
            if file.readinto(data) != size:
                raise ModelFileError("the file was cut short while it was read: try again")
    except OSError as error:
        raise ModelFileError(f"it cannot be read ({error.strerror})") from None
    return data


def parse(data: bytearray) -> tuple[Header, memoryview]:
    """The header of a bundle's bytes and its data bytes, after all checks that need no network."""
    _require_bundle(bytes(data[:512]), len(data))
    stored, computed = bytes(data[_DIGITS]), digest(data)
    if stored != computed.encode():
        raise ModelFileError(
            "it is damaged or was changed after it was written (its digest does not match): fetch "
            "or make it again"
        )
    end = 8 + int.from_bytes(data[:8], "little")
    header = _json(bytes(data[8:end]), "the header")
    body = memoryview(data)[end:]
    about = header.pop("__metadata__")
    if not isinstance(about, dict) or set(about) != {"digest", "seewhy"}:
        raise ModelFileError("its metadata has other entries than digest and seewhy")
    tensors = _entries(header, len(body))
    found = validated(about["seewhy"], Metadata, FORMAT_VERSION)
    return Header(found, tensors, computed, len(data)), body


def read_header(path: Path) -> Header:
    """The header of a bundle, its digest checked, without building its network.

    Raises `ModelFileError`, in one line with the path, for what can be wrong in a header.
    """
    with path_named(path):
        return parse(read(path))[0]


@contextmanager
def path_named(path: Path) -> Iterator[None]:
    """Puts the path before the message of a `ModelFileError`."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{visible(str(path))}: {error}") from None


def values(entry: TensorEntry, body: memoryview) -> "NDArray[Any]":
    """The values of a tensor, as a copy. Raises `ModelFileError` when one is NaN or infinite."""
    import numpy as np  # here, so that a header is read without it

    flat: NDArray[Any] = np.frombuffer(body[entry.start : entry.stop], DTYPES[entry.dtype])
    array = flat.reshape(entry.shape)
    if entry.dtype == "BOOL" and array.view(np.uint8).max(initial=0) > 1:
        raise ModelFileError(
            f"tensor {entry.name[:80]!r} has a truth value that is neither 0 nor 1"
        )
    if not np.isfinite(array).all():
        raise ModelFileError(f"tensor {entry.name[:80]!r} has a value that is NaN or infinite")
    return np.array(array)  # a copy, aligned


def _require_bundle(head: bytes, size: int) -> None:
    """Refuses what does not begin as a bundle, by its first bytes alone."""
    length = int.from_bytes(head[:8], "little")
    if head[8 : _DIGITS.start] == _PREFIX:
        if length > MAX_HEADER:
            raise ModelFileError(
                f"a header of {length:,} bytes is more than the {MAX_HEADER:,} allowed"
            )
        if length % 8 or not _DIGITS.stop < 8 + length <= size:
            raise ModelFileError("it is cut short, or its header is not as long as it says")
        return
    refuse_pickles(head, size)
    if head[8:9] == b"{" and length <= size:
        raise ModelFileError(
            "it is a safetensors file, but not one of SeeWhy's: it lacks the classes, the input "
            "rule and the digest that `seewhy train` writes"
        )
    raise ModelFileError(
        "it is not a SeeWhy model, which `seewhy train` writes as model.safetensors "
        f"({_PICKLE_ADVICE})"
    )


def refuse_pickles(head: bytes, size: int) -> None:
    """Refuses, by its first bytes, a file that holds a pickle or may."""
    for kind, beginnings in _PICKLE_LIKE.items():
        if head.startswith(beginnings):
            raise ModelFileError(f"it is {kind}: {_PICKLE_ADVICE}")
    if head[257:262] == b"ustar":
        raise ModelFileError(f"it is a tar archive, as old torch.save makes: {_PICKLE_ADVICE}")


def _json(text: bytes, what: str) -> dict[str, Any]:
    """A JSON object without double keys and without NaN."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise ValueError("a key comes twice")
        return fields

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number")

    try:
        parsed = json.loads(text.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except RecursionError:
        raise ModelFileError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise ModelFileError(f"{what} is not proper JSON ({str(error)[:120]!r})") from None
    if not isinstance(parsed, dict):
        raise ModelFileError(f"{what} is not a JSON object")
    return parsed


def _entries(header: dict[str, Any], size: int) -> tuple[TensorEntry, ...]:
    """The tensors of a header in the order of their bytes, which they fill without a hole."""
    if len(header) > MAX_TENSORS:
        raise ModelFileError(f"{len(header):,} tensors are more than the {MAX_TENSORS:,} allowed")
    entries = sorted((_entry(*item) for item in header.items()), key=lambda e: (e.start, e.stop))
    end = 0
    for entry in entries:
        if entry.start != end:
            raise ModelFileError(f"there is a hole or an overlap before tensor {entry.name[:80]!r}")
        end = entry.stop
    if end != size:
        raise ModelFileError(f"its tensors have {end:,} bytes and the file {size:,} for them")
    return tuple(entries)


def _entry(name: str, fields: Any) -> TensorEntry:
    match fields:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, stop], **rest} if (
            not rest
            and dtype in DTYPES
            and len(shape) <= MAX_DIMENSIONS
            # `type`, as True is an int too.
            and all(type(number) is int and number >= 0 for number in (*shape, start, stop))
            and stop - start == prod(shape) * int(DTYPES[dtype][-1])
        ):
            return TensorEntry(name, dtype, tuple(shape), start, stop)
    raise ModelFileError(
        f"tensor {name[:80]!r} does not say a known dtype, a shape and as many bytes as these take"
    )


def validated(text: Any, schema: type[Schema], newest: int) -> Schema:
    """Metadata of a file as a record. Raises `ModelFileError` for a newer format, and what does not fit."""
    if not isinstance(text, str):
        raise ModelFileError("its metadata is not text")
    version = _json(text.encode("utf-8", "surrogatepass"), "the metadata").get("format_version")
    if type(version) is not int:  # `Literal[1]` would take True for 1
        raise ModelFileError("its metadata is wrong at 'format_version': no whole number")
    if version > newest:
        raise ModelFileError(
            f"it has format {version} and this SeeWhy reads up to {newest}: install a newer SeeWhy"
        )
    try:
        return schema.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ModelFileError(first_fault(error)) from None


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong in metadata, in a line."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part)[:40] for part in first["loc"])
    return f"its metadata is wrong at {place!r}: {first['msg'][:160]!r}"
