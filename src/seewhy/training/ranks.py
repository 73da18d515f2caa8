"""The processes that train one model together, as torchrun starts them (gloo).

Each has a number, its rank, and computes some of the shards of every batch; the first alone validates and
writes. They watch each other: where one ends or stops, all end.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from typing import Any, final

import torch
from torch import Tensor

from seewhy.errors import RankError, first_line
from seewhy.files import to_json
from seewhy.training.environment import in_group
from seewhy.training.guards import stop_requests

START = timedelta(minutes=5)  # in which all processes have to start
EVER = timedelta(days=365)
BEAT, SILENCE = 1.0, 10.0  # seconds between signs of life, and without one before a process is lost
PATIENCE, SOON = 3.0, 1.0  # seconds in which a process that ends says why
DONE, NO_STORE = "done", "the process that keeps the store is gone"
LONGEST = 4096  # bytes of a text that all ranks tell

_trainings = count()  # of this process: each has names of its own in the store


@final
class Ranks:
    """This process among all: number `rank`, from 0, of `world`.

    All ranks call the same methods in the same order, save `left_by` and `leave`. What gathers raises
    `RankError` if another process is gone.
    """

    def __init__(self, rank: int = 0, world: int = 1, store: Any = None) -> None:
        self.rank, self.world, self._store = rank, world, store
        self._stopping = False
        self._group: Any = None
        if store is not None:
            self._group = torch.distributed.ProcessGroupGloo(store, rank, world, EVER)

    def gathered(self, own: Tensor) -> list[Tensor]:
        """The tensors of all ranks, which have one shape, in the order of the ranks."""
        if self.world == 1:
            return [own]
        sent = own.cpu()
        tensors = [torch.empty_like(sent) for _ in range(self.world)]
        try:
            self._group.allgather([tensors], [sent]).wait()
        except RuntimeError as error:
            raise self._loss(error) from None
        return [tensor.to(own.device) for tensor in tensors]

    def bytes_of_first(self, own: bytes) -> bytes:
        """The bytes that the first rank has."""
        if self.world == 1:
            return own
        length = int(self.gathered(torch.tensor(len(own)))[0])
        data = torch.zeros(length, dtype=torch.uint8)
        if self.rank == 0:
            data = torch.frombuffer(bytearray(own), dtype=torch.uint8)
        try:
            self._group.broadcast(data, 0).wait()
        except RuntimeError as error:
            raise self._loss(error) from None
        return data.numpy().tobytes()

    def of_first(self, compute: Callable[[], Any]) -> Any:
        """What `compute` gives in the first rank, as JSON values; elsewhere it is not called."""
        if self.world == 1:
            return compute()
        text = json.dumps(to_json(compute()), allow_nan=False) if self.rank == 0 else ""
        return json.loads(self.bytes_of_first(text.encode()))

    def texts(self, own: str) -> list[str]:
        """The texts of all ranks, at most `LONGEST` bytes each."""
        data = own.encode()
        sent = torch.tensor([*data, *bytes(LONGEST - len(data))], dtype=torch.uint8)
        return [bytes(one.tolist()).rstrip(b"\0").decode() for one in self.gathered(sent)]

    def agreed(self, seconds: float) -> float:
        """The seconds that the first rank measured. A request to stop that one has, all have after it."""
        if self.world == 1:
            return seconds
        requests = stop_requests()
        own = torch.tensor([seconds, requests[0] if requests else 0], dtype=torch.float64)
        seconds_of_all, numbers = torch.stack(self.gathered(own)).unbind(1)
        self._stopping = bool(numbers.any())
        if self._stopping and not requests:
            requests.append(int(numbers.max()))
        return seconds_of_all[0].item()

    def stop_now(self, received: Sequence[int]) -> bool:
        """Whether to stop for a signal that this process or another one received: all do at one step."""
        return bool(received) if self.world == 1 else self._stopping

    def leave(self, why: str) -> None:
        """Tells the others that this process leaves, and why. The first word counts."""
        if self._store is not None:
            with suppress(RuntimeError):  # the store is gone
                self._store.compare_set(f"left {self.rank}", "", why)

    def left_by(self, others: Sequence[int], patience: float) -> dict[int, str]:
        """Those of the others that left, and why, as soon as one of them has."""
        end = time.monotonic() + patience
        while True:
            try:
                gone = [other for other in others if self._store.check([f"left {other}"])]
                if gone:
                    return {other: self._store.get(f"left {other}").decode() for other in gone}
            except RuntimeError:
                return dict.fromkeys(others, NO_STORE)
            if time.monotonic() > end:
                return {}
            time.sleep(0.1)

    def disconnect(self) -> None:
        """Ends the connections to the others."""
        self._group = None

    def _loss(self, error: RuntimeError) -> RankError:
        """The error for a process that did not answer."""
        others = [other for other in range(self.world) if other != self.rank]
        left = self.left_by(others, SOON)
        for other, why in left.items() if NO_STORE not in left.values() else ():
            return RankError("left", why if why == DONE else f"rank {other}: {why}")
        return RankError("lost", "another process of this training is gone")


ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun started, of which this process is one; else this process alone.

    A rank that fails tells why before the others notice. Of the same error the first rank tells the user:
    others then end without a word.
    """
    if not in_group():
        yield ALONE
        return
    ranks, watch = _started()
    others = [other for other in range(ranks.world) if other != ranks.rank]
    try:
        yield ranks
        ranks.leave(DONE)
        for other in others:  # the store may end with this process
            ranks.left_by([other], PATIENCE)
    except Exception as error:
        ranks.leave(str(error) or type(error).__name__)
        ranks.disconnect()  # so that the others notice, while there still is a store
        lost = isinstance(error, RankError) and error.code == "lost"
        first = ranks.left_by([0], PATIENCE) if ranks.rank else {}
        if first and not (lost and NO_STORE in first.values()):
            raise SystemExit(getattr(error, "exit_code", 1)) from None
        for other in others if ranks.rank == 0 and not lost else ():
            ranks.left_by([other], PATIENCE)
        raise
    finally:
        ranks.leave("it was stopped")
        watch.ended.set()
        ranks.disconnect()


def _started() -> "tuple[Ranks, _Watch]":
    """Waits for all processes of the training, and begins to watch them. Raises `RankError`."""
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if os.environ["MASTER_ADDR"] in ("localhost", "127.0.0.1", "::1"):
        loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", rank)) % torch.cuda.device_count())
    distributed: Any = torch.distributed  # whose types are incomplete

    try:
        common, *_ = next(iter(distributed.rendezvous("env://", timeout=START)))
        store = distributed.PrefixStore(f"training {next(_trainings)}", common)
        store.set(f"here {rank}", f"{socket.gethostname()} {os.getppid()} {os.getpid()}")
        names = [f"here {other}" for other in range(world)]
        store.wait(names, START)
        processes = [store.get(name).decode() for name in names]
        return Ranks(rank, world, store), _Watch(store.clone(), rank, processes)
    except RuntimeError as error:
        text = f"the {world} processes of this training did not all start ({first_line(error)})"
        raise RankError(
            "missing", f"{text}: start them with the same MASTER_ADDR and port"
        ) from None


@final
class _Watch:
    """Ends this process at once where another one, or what started it, has stopped or is gone.

    A thread gives signs of life and looks for those of the others; a second one judges, since the first may
    wait for a process that stopped. Processes that stopped on this machine are killed.
    """

    def __init__(self, store: Any, rank: int, processes: Sequence[str]) -> None:
        self.ended = threading.Event()
        self._store, self._rank, self._processes = store, rank, processes
        self._parent = os.getppid()
        others = (other for other in range(len(processes)) if other != rank)
        self._heard = dict.fromkeys(others, time.monotonic())
        for work in (self._beat, self._judge):
            threading.Thread(target=work, daemon=True).start()

    def _beat(self) -> None:
        signs: dict[int, bytes] = {}
        for turn in count():
            with suppress(RuntimeError):  # the store is gone, and soon what holds it is missed
                self._store.set(f"alive {self._rank}", str(turn))
                for other in self._heard:
                    sign = self._store.get(f"alive {other}")
                    if sign != signs.get(other):
                        signs[other], self._heard[other] = sign, time.monotonic()
            if self.ended.wait(BEAT):
                return

    def _judge(self) -> None:
        while not self.ended.wait(BEAT / 2):
            if os.getppid() != self._parent:
                self._end("what started this process is gone")
            now = time.monotonic()
            silent = [other for other, last in self._heard.items() if now - last > SILENCE]
            if silent:
                names = " and ".join(
                    f"rank {other} (process {self._processes[other].split()[-1]})"
                    for other in silent
                )
                for other in silent:
                    self._kill(other)
                self._end(f"{names} gave no sign of life for {SILENCE:g} s")

    def _kill(self, other: int) -> None:
        """Kills a process that was started by the same one as this: stopped, it would not end by itself."""
        where, number = self._processes[other].rsplit(" ", 1)
        if where == self._processes[self._rank].rsplit(" ", 1)[0]:
            with suppress(OSError):
                os.kill(int(number), signal.SIGKILL)

    def _end(self, why: str) -> None:
        error = RankError("silent", why)
        sys.stderr.write(f"seewhy: {error}\n")
        sys.stderr.flush()
        os._exit(error.exit_code)
