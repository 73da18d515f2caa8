import os
import signal
import subprocess
import sys

import pytest
import torch

from seewhy.errors import UsageError
from seewhy.training.guards import (
    compiler_named,
    memory_capped,
    stopping_signals,
    take_peak_memory,
)


@pytest.mark.parametrize("module", ["torch._inductor.exc", "torch._dynamo.exc"])
def test_a_compiler_that_fails_is_named_with_advice(module):
    failure = type("Failure", (RuntimeError,), {"__module__": module})
    message = r"no working compiler \(no g\+\+\): install g\+\+"
    with pytest.raises(UsageError, match=message), compiler_named():
        raise failure("no g++\nat some line")


def test_other_failures_pass():
    with pytest.raises(RuntimeError, match="something else"), compiler_named():
        raise RuntimeError("something else")


@pytest.mark.long
def test_without_a_compiler_there_is_a_line(tmp_path):
    code = """
import torch
from seewhy.training.guards import compiler_named
with compiler_named():
    torch.compile(lambda x: x + 1)(torch.zeros(2))
"""
    environment = {**os.environ, "CXX": "/no/such", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert "UsageError: train.compile=true found no working compiler" in done.stderr


def test_the_outermost_block_alone_installs_handlers():
    before = signal.getsignal(signal.SIGINT)
    with stopping_signals() as outer:
        installed = signal.getsignal(signal.SIGINT)
        with stopping_signals() as inner:
            assert signal.getsignal(signal.SIGINT) is installed and installed is not before
            signal.raise_signal(signal.SIGTERM)
            assert outer == inner == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGINT) is installed
        outer.clear()  # as a loop that honours it does
    assert signal.getsignal(signal.SIGINT) is before
    with stopping_signals() as later:
        assert later == []


def test_a_signal_that_no_loop_took_goes_to_the_handler_from_before():
    outside = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt), stopping_signals():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, outside)


def test_a_second_signal_stops_at_once():
    with stopping_signals() as received:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        received.clear()


@pytest.fixture
def gpu(monkeypatch):
    """What torch would say and be told of a GPU, as a record of calls."""
    calls = {"share": 1.0, "set": [], "peak": 3_000_000_000}

    def set_share(share, device):
        calls["share"] = share
        calls["set"].append(share)

    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda d: calls["share"])
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", set_share)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: calls["peak"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: calls.update(peak=0))
    return calls


def test_the_memory_of_a_gpu_is_capped_within_the_block_alone(gpu):
    cuda = torch.device("cuda")
    with pytest.raises(RuntimeError), memory_capped(cuda, 0.8):
        assert gpu["share"] == 0.8
        raise RuntimeError
    assert gpu["share"] == 1.0
    with memory_capped(cuda, None):
        assert gpu["set"] == [0.8, 1.0]


def test_the_peak_memory_is_that_since_the_last_time_and_of_a_gpu_alone(gpu):
    assert take_peak_memory(torch.device("cpu")) is None and gpu["peak"]
    assert take_peak_memory(torch.device("cuda")) == 3_000_000_000
    assert take_peak_memory(torch.device("cuda")) == 0
