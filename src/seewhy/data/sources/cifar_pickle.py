"""A restricted reader for the pickles in `cifar-10-batches-py`: it reads data and never calls anything.

It knows the opcodes that Python 2 and 3 write at protocol 2 for a dict of strings, lists of numbers
and strings, and one uint8 array. A name such as `numpy.ndarray` is only compared, never imported;
any other opcode, name or shape is refused (pickletools describes the format).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seewhy.errors import DataError

_RECONSTRUCT = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"}
_NDARRAY, _DTYPE, _ENCODE = "numpy ndarray", "numpy dtype", "_codecs encode"
_KNOWN = {*_RECONSTRUCT, _NDARRAY, _DTYPE, _ENCODE}


def read_batch(data: bytes) -> dict[bytes, Any]:
    """Returns the dict in a batch file; strings are bytes, the images a uint8 array.

    Raises `DataError` for anything else, even for a harmless pickle.
    """
    machine = _Machine(data)
    try:
        return machine.run()
    except (LookupError, ValueError, TypeError, struct.error) as error:
        raise DataError(
            f"not a CIFAR-10 batch: {error} (at byte {machine.at:,}). Only the official files are read, "
            "and code in a pickle is never run: download the archive again"
        ) from None


class _Refused(ValueError):
    pass


class _Mark:
    pass


@dataclass(frozen=True)
class _Name:
    """The name of an object that a pickle would import; here it is only text."""

    text: str


@dataclass
class _Array:
    """A uint8 array, empty until its state is read."""

    value: np.ndarray | None = None


class _Uint8:
    pass


@dataclass
class _Machine:
    """The stack and the memo of a pickle, and the current position in its bytes."""

    data: bytes
    at: int = 0
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> dict[bytes, Any]:
        while (opcode := self.take(1)) != b".":
            if opcode not in _OPCODES:
                raise _Refused(f"opcode {opcode!r}")
            _OPCODES[opcode](self)
        (batch,) = self.stack
        if not isinstance(batch, dict):
            raise _Refused("no dict")
        return {_bytes(key): _plain(value) for key, value in batch.items()}

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise _Refused("cut short")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> int:
        return int(struct.unpack("<" + form, self.take(struct.calcsize(form)))[0])

    def line(self) -> str:
        end = self.data.index(b"\n", self.at)
        text = self.take(end - self.at).decode("ascii")
        self.at += 1
        return text

    def pop(self, size: int) -> list[Any]:
        if size > len(self.stack):
            raise _Refused("empty stack")
        taken = self.stack[-size:]
        del self.stack[-size:]
        return taken

    def pop_to_mark(self) -> list[Any]:
        place = len(self.stack) - 1 - self.stack[::-1].index(_Mark)
        taken = self.stack[place + 1 :]
        del self.stack[place:]
        return taken

    def last(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise _Refused(f"no {kind.__name__} to add to")
        return self.stack[-1]

    def extend(self, values: list[Any]) -> None:
        self.last(list).extend(values)

    def update(self, pairs: list[Any]) -> None:
        self.last(dict).update(zip(pairs[::2], pairs[1::2], strict=True))

    def name(self) -> None:
        text = f"{self.line()} {self.line()}"
        if text not in _KNOWN:
            raise _Refused(f"the name {text!r}")
        self.stack.append(_Name(text))

    def reduce(self) -> None:
        name, arguments = self.pop(2)
        if name == _Name(_ENCODE) and _fits(arguments, str, "latin1"):
            self.stack.append(arguments[0].encode("latin-1"))
        elif name == _Name(_DTYPE) and _fits(arguments, (b"u1", "u1"), (False,), (True,)):
            self.stack.append(_Uint8())
        elif (
            isinstance(name, _Name)
            and name.text in _RECONSTRUCT
            and _fits(arguments, (_Name(_NDARRAY),), ((0,),), (b"b", "b"))
        ):
            self.stack.append(_Array())
        else:
            raise _Refused("a call that creates no array")

    def build(self) -> None:
        (state,) = self.pop(1)
        target = self.stack[-1]
        if isinstance(target, _Uint8):
            if not _fits(state, (3,), (b"|", "|"), (None,), (None,), (None,), (-1,), (-1,), (0,)):
                raise _Refused("a dtype other than uint8")
        elif isinstance(target, _Array) and _fits(state, (1,), tuple, _Uint8, (False,), bytes):
            target.value = np.frombuffer(state[4], np.uint8).reshape(state[1])
        else:
            raise _Refused("a state of something other than an array")


def _fits(values: Any, *patterns: Any) -> bool:
    """Says whether a tuple has these items: each of a type, equal to a text, or one of some values."""
    if not isinstance(values, tuple) or len(values) != len(patterns):
        return False

    def fits(value: Any, pattern: Any) -> bool:
        if isinstance(pattern, type):
            return isinstance(value, pattern)
        return bool(value in pattern if isinstance(pattern, tuple) else value == pattern)

    return all(map(fits, values, patterns))


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        raise _Refused("a key that is not a string")
    return value


def _plain(value: Any) -> Any:
    """Returns a number, bytes, an array, or a list of numbers or bytes; nothing deeper."""
    if isinstance(value, list):
        return [item if isinstance(item, int) else _bytes(item) for item in value]
    if isinstance(value, _Array) and value.value is not None:
        return value.value
    return value if isinstance(value, int) else _bytes(value)


def _push(read: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(read(machine))


def _keep(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.memo.__setitem__(machine.number(form), machine.stack[-1])


def _recall(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(machine.memo[machine.number(form)])


def _protocol(machine: _Machine) -> None:
    if machine.number("B") != 2:
        raise _Refused("a protocol other than 2")


_OPCODES: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": _protocol,
    b"(": lambda m: m.stack.append(_Mark),
    b"N": lambda m: m.stack.append(None),
    b"\x88": lambda m: m.stack.append(True),
    b"\x89": lambda m: m.stack.append(False),
    b"}": lambda m: m.stack.append({}),
    b"]": lambda m: m.stack.append([]),
    b")": lambda m: m.stack.append(()),
    b"K": _push(lambda m: m.number("B")),
    b"M": _push(lambda m: m.number("H")),
    b"J": _push(lambda m: m.number("i")),
    b"U": _push(lambda m: m.take(m.number("B"))),
    b"T": _push(lambda m: m.take(m.number("i"))),
    b"X": _push(lambda m: m.take(m.number("I")).decode("utf-8")),
    b"\x85": _push(lambda m: tuple(m.pop(1))),
    b"\x86": _push(lambda m: tuple(m.pop(2))),
    b"\x87": _push(lambda m: tuple(m.pop(3))),
    b"t": _push(lambda m: tuple(m.pop_to_mark())),
    b"q": _keep("B"),
    b"r": _keep("I"),
    b"h": _recall("B"),
    b"j": _recall("I"),
    b"a": lambda m: m.extend(m.pop(1)),
    b"e": lambda m: m.extend(m.pop_to_mark()),
    b"s": lambda m: m.update(m.pop(2)),
    b"u": lambda m: m.update(m.pop_to_mark()),
    b"c": _Machine.name,
    b"R": _Machine.reduce,
    b"b": _Machine.build,
}
