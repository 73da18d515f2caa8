"""Model files that must be refused, made from a good one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from seewhy.inference import container

Header = dict[str, Any]
DIGITS = slice(
    8 + len(b'{"__metadata__":{"digest":"'), 8 + len(b'{"__metadata__":{"digest":"') + 64
)


def split(data: bytes) -> tuple[Header, bytearray]:
    """The header and the data bytes of a good file."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), bytearray(data[end:])


def compact(header: Header) -> bytes:
    """A header's text as our files have it; half characters pass, as a forger may write them."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def join(header: Header | bytes, body: bytes, *, length: int | None = None) -> bytes:
    """A file whose digest is right, whatever else is wrong; `length` is what its header claims."""
    text = header if isinstance(header, bytes) else compact(header)
    text += b" " * (-len(text) % 8)
    said = len(text) if length is None else length
    return sign(said.to_bytes(8, "little") + text + bytes(body))


def sign(data: bytes) -> bytes:
    """The same file with its digest made right: what an attacker does first."""
    if len(data) < DIGITS.stop:
        return data
    signed = bytearray(data)
    signed[DIGITS] = container.digest(signed).encode()
    return bytes(signed)


Make = Callable[[Header, bytearray], bytes]


@dataclass(frozen=True)
class Attack:
    """A hostile file, made from the header and body of a good one, and part of its refusal."""

    name: str
    make: Make
    refusal: str
    needs_network: bool = False  # to be noticed: the header alone is sound


def _in_header(change: Callable[[Header], None]) -> Make:
    def make(header: Header, body: bytearray) -> bytes:
        change(header)
        return join(header, body)

    return make


def _in_metadata(change: Callable[[Header], None]) -> Make:
    def make(header: Header, body: bytearray) -> bytes:
        about = json.loads(header["__metadata__"]["seewhy"])
        change(about)
        header["__metadata__"]["seewhy"] = json.dumps(about, separators=(",", ":"))
        return join(header, body)

    return make


def _in_text(old: str, new: str) -> Make:
    def make(header: Header, body: bytearray) -> bytes:
        text = compact(header).decode()
        assert old in text
        return join(text.replace(old, new, 1).encode("utf-8", "surrogateescape"), body)

    return make


def _in_values(name: str, position: int, value: float) -> Make:
    def make(header: Header, body: bytearray) -> bytes:
        entry = header[name]
        start, stop = entry["data_offsets"]
        kind = {"F32": np.float32, "F16": np.float16}[entry["dtype"]]
        values = np.frombuffer(body, kind, (stop - start) // kind().itemsize, start)
        values[position] = value
        return join(header, body)

    return make


def _many_tensors(header: Header, body: bytearray) -> bytes:
    for number in range(container.MAX_TENSORS + 1 - (len(header) - 1)):
        header[f"t{number}"] = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    return join(header, body)


def _last(header: Header) -> Header:
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    return max(tensors, key=lambda entry: entry["data_offsets"][1])


def _shifted(by: int) -> Callable[[Header], None]:
    def change(header: Header) -> None:
        entry = _last(header)
        entry["data_offsets"] = [offset + by for offset in entry["data_offsets"]]

    return change


def _renamed(header: Header) -> None:
    header["network.other"] = header.pop("network.head.classes.bias")


def _transposed(header: Header) -> None:
    header["network.head.classes.weight"]["shape"].reverse()


def _retyped(header: Header) -> None:
    header["network.head.classes.bias"]["dtype"] = "I32"


def _without_a_tensor(header: Header, body: bytearray) -> bytes:
    entry = _last(header)
    name = next(name for name, found in header.items() if found is entry)
    start, _ = header.pop(name)["data_offsets"]
    return join(header, body[:start])


def _with_a_tensor(header: Header, body: bytearray) -> bytes:
    end = len(body)
    header["network.extra"] = {"dtype": "F32", "shape": [2], "data_offsets": [end, end + 8]}
    return join(header, body + bytes(8))


def _golden_of_more_classes(header: Header, body: bytearray) -> bytes:
    entry = header["golden.logits"]
    assert entry["data_offsets"][0] == 0
    stop = entry["data_offsets"][1]
    entry["shape"][1] += 2
    for other in header.values():
        if "data_offsets" in other:
            other["data_offsets"] = [o + 64 if o >= stop else o for o in other["data_offsets"]]
    return join(header, bytes(64) + body)


def _double_tensor(header: Header, body: bytearray) -> bytes:
    again = compact({"golden.logits": header["golden.logits"]})
    return join(compact(header)[:-1] + b"," + again[1:], body)


def _double_metadata(header: Header, body: bytearray) -> bytes:
    about = header["__metadata__"]["seewhy"]
    header["__metadata__"]["seewhy"] = about[:-1] + ',"views":["identity"]}'
    return join(header, body)


def _nested(header: Header, body: bytearray) -> bytes:
    header["__metadata__"]["seewhy"] = "[" * 300_000
    return join(header, body)


def _nested_header(header: Header, body: bytearray) -> bytes:
    return join(compact(header)[:-1] + b',"x":' + b"[" * 300_000, body)


def _sets(key: str, value: Any) -> Make:
    def change(about: Header) -> None:
        *path, last = key.split(".")
        for part in path:
            about = about[part]
        about[last] = value

    return _in_metadata(change)


def _overflowing(header: Header, body: bytearray) -> bytes:
    text = header["__metadata__"]["seewhy"]
    header["__metadata__"]["seewhy"] = text.replace('"temperature":1.0', '"temperature":1e999')
    return join(header, body)


def _huge_network(header: Header, body: bytearray) -> bytes:
    """Half a gigabyte of resnet, as far as the metadata say."""

    def change(about: Header) -> None:
        about["architecture"] = {"name": "resnet18", "arguments": {"width": 3}}
        about["rule"] = {"size": 32, "store": 32}

    return _in_metadata(change)(header, body)


def _shape(new: str) -> Make:
    return _in_text('"dtype":"F32","shape":[8,3]', f'"dtype":"F32","shape":[{new}]')


def _classes(*names: Any) -> Make:
    return _sets("classes", list(names))


BIAS = "network.head.classes.bias"

# fmt: off
_FRAME: dict[str, tuple[Make, str]] = {
    "empty": (lambda h, b: b"", "not a SeeWhy model"),
    "eight bytes": (lambda h, b: bytes(8), "not a SeeWhy model"),
    "100 MB header": (lambda h, b: join(h, b, length=100 * 2**20), "header of 104,857,600 bytes"),
    "largest header": (lambda h, b: join(h, b, length=2**64 - 1), "more than the 1,048,576"),
    "header past the end": (lambda h, b: join(h, b"", length=2**19), "cut short"),
    "header within the digest": (lambda h, b: join(h, b, length=64), "cut short"),
    "unaligned header": (lambda h, b: join(h, b, length=len(b) // 8 * 8 + 4), "cut short"),
    "long padding": (lambda h, b: join(compact(h).ljust(2**20 + 8), b), "more than the 1,048,576"),
}
_HEADER: dict[str, tuple[Make, str]] = {
    "double tensor": (_double_tensor, "a key comes twice"),
    "double key": (_in_text('{"dtype":', '{"dtype":"F64","dtype":'), "a key comes twice"),
    "double key in the metadata": (_double_metadata, "a key comes twice"),
    "nested header": (_nested_header, "nested too deeply"),
    "nested metadata": (_nested, "nested too deeply"),
    "NaN in the header": (_shape("8,NaN"), "NaN is no number"),
    "cut JSON": (lambda h, b: join(compact(h)[:-9], b), "not proper JSON"),
    "two objects": (lambda h, b: join(compact(h) + b"{}", b), "not proper JSON"),
    "no UTF-8": (_in_text('"golden.logits"', '"golden.\udcff"'), "not proper JSON"),
    "endless number": (_shape("8," + "9" * 5000), "not proper JSON"),
    "other metadata": (_in_text('"seewhy":', '"format":"pt","seewhy":'), "other entries"),
    "metadata no text": (_in_header(lambda h: h["__metadata__"].update(seewhy=7)), "not text"),
    "metadata a list": (_in_header(lambda h: h["__metadata__"].update(seewhy="[]")), "JSON object"),
    "10,001 tensors": (_many_tensors, "10,001 tensors"),
    "overlap": (_in_header(_shifted(-4)), "a hole or an overlap"),
    "hole": (lambda h, b: _in_header(_shifted(8))(h, b + bytes(8)), "a hole or an overlap"),
    "trailing bytes": (lambda h, b: join(h, b + b"more"), "the file"),
    "missing bytes": (lambda h, b: join(h, b[:-4]), "the file"),
    "negative offset": (_in_text('"data_offsets":[0,', '"data_offsets":[-4,'), "does not say"),
    "large offset": (_in_text('"data_offsets":[0,', f'"data_offsets":[{2**70},'), "does not say"),
    "large shape": (_shape(f"{2**62},4"), "does not say"),
    "shape that comes round to 96 bytes": (_shape(f"{2**62 + 12},2"), "does not say"),
    "negative shape": (_shape("-8,-3"), "does not say"),
    "shape of truth": (_shape("24,true"), "does not say"),
    "shape of floats": (_shape("8.0,3"), "does not say"),
    "hundred dimensions": (_shape("8,3" + ",1" * 98), "does not say"),
    "unknown dtype": (_in_text('"dtype":"F32"', '"dtype":"F8_E4M3"'), "does not say"),
    "wider dtype": (_in_text('"dtype":"F32"', '"dtype":"I64"'), "does not say"),
    "key too many": (_in_text('"dtype":', '"code":"x","dtype":'), "does not say"),
    "tensor no object": (_in_text('"golden.logits":', '"x":[0],"golden.logits":'), "does not say"),
}
_METADATA: dict[str, tuple[Make, str]] = {
    "newer format": (_sets("format_version", 3), "install a newer SeeWhy"),
    "format 1 with stored images": (_sets("format_version", 1), "format 1 has none"),
    "format 2 without stored images": (_sets("stored", None), "format 2 has the digest"),
    "unknown fit": (_sets("rule.fit", "stretch"), "'rule.fit'"),
    "depth upside down": (_sets("rule.depth", [9.0, 3.0]), "no range within"),
    "depth beyond 16 bits": (_sets("rule.depth", [0.0, 65_536.0]), "no range within"),
    "format 0": (_sets("format_version", 0), "'format_version'"),
    "format true": (_sets("format_version", True), "'format_version'"),
    "unknown entry": (_sets("run", "rm -rf"), "'run'"),
    "a billion pixels": (_sets("rule", {"size": 2**30, "store": 2**30}), "'rule.size'"),
    "no classes": (_classes(), "'classes'"),
    "100,001 classes": (_classes(*map("{:x}".format, range(100_001))), "at most 100000 items"),
    "one name twice": (_classes("a", "b", "a"), "two classes have one name"),
    "nameless class": (_classes("a", "b", ""), "0 characters"),
    "long class": (_classes("a", "b", "c" * 257), "257 characters"),
    "class with a newline": (_classes("a", "b", "c\nd"), "control character"),
    "class with an escape": (_classes("a", "b", "\x1b[2J"), "control character"),
    "class of half a character": (_classes("a", "b", "\ud800"), "metadata"),
    "class no text": (_classes("a", "b", 3), "'classes.2'"),
    "temperature 0": (_sets("decision.temperature", 0), "'decision.temperature'"),
    "temperature a text": (_sets("decision.temperature", "1"), "'decision.temperature'"),
    "temperature infinite": (_sets("decision.temperature", 1e999), "Infinity is no number"),
    "temperature overflowing": (_overflowing, "'decision.temperature'"),
    "unknown view": (_sets("views", ["identity", "rot90"]), "'views.1'"),
    "no view": (_sets("views", []), "'views'"),
    "one view twice": (_sets("views", ["flip", "flip"]), "named twice"),
    "facts too large": (_sets("facts", {"x": "y" * 2**18}), "bytes of JSON"),
    "fingerprint no hash": (_sets("fingerprint", "../../etc/passwd"), "'fingerprint"),
    "parent no digest": (_sets("parents", ["A" * 64]), "'parents.0'"),
    "65 parents": (_sets("parents", ["a" * 64] * 65), "'parents'"),
}
_NETWORK: dict[str, tuple[Make, str]] = {
    "unknown architecture": (_sets("architecture.name", "os.system"), "there is no net"),
    "unknown option": (_sets("architecture.arguments.width", 2), "no option 'width'"),
    "private argument": (_sets("architecture.arguments", {"size": 9}), "cannot be built"),
    "argument a list": (_sets("architecture.arguments", {"name": []}), "cannot be built"),
    "own architecture": (_sets("architecture.name", "custom"), "load(path, model=network)"),
    "other architecture": (_sets("architecture.name", "regularized_cnn"), "the file lacks"),
    "huge classifier": (_sets("classes", [str(k) for k in range(90_000)]), "its architecture has"),
    "huge input": (_sets("rule", {"size": 500, "store": 500}), "its architecture has"),
    "another fit": (_sets("rule.fit", "pad"), "reference images become other pixels"),
    "another depth": (_sets("rule.depth", [0.0, 4096.0]), "reference images become other pixels"),
    "huge network": (_huge_network, "its architecture has"),
    "renamed tensor": (_in_header(_renamed), "the file lacks"),
    "tensor too many": (_with_a_tensor, "not one of its architecture"),
    "tensor too few": (_without_a_tensor, "the file lacks"),
    "transposed tensor": (_in_header(_transposed), "its architecture has"),
    "integers for floats": (_in_header(_retyped), "its architecture has F32 [3]"),
    "golden of more classes": (_golden_of_more_classes, "its architecture has F32 [8, 3]"),
    "a class more": (_classes("a", "b", "c", "d"), "its architecture has"),
    "a class less": (_classes("a", "b"), "its architecture has"),
    "NaN weight": (_in_values(BIAS, 0, np.nan), "NaN or infinite"),
    "infinite weight": (_in_values("network.conv1.weight", 5, np.inf), "NaN or infinite"),
    "NaN golden logit": (_in_values("golden.logits", 3, np.nan), "NaN or infinite"),
    "another weight": (_in_values(BIAS, 0, 9.0), "reference images"),
    "another golden logit": (_in_values("golden.logits", 3, 9.0), "reference images"),
    "another mean": (_in_values("network.mean", 0, 0.9), "reference images"),
}
# fmt: on

ATTACKS = [
    *(Attack(name, *attack) for name, attack in (_FRAME | _HEADER | _METADATA).items()),
    *(Attack(name, *attack, needs_network=True) for name, attack in _NETWORK.items()),
]
