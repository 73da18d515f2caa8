import os
import subprocess
import sys

import pytest

from seewhy.errors import UsageError
from seewhy.training.guards import compiler_named


@pytest.mark.parametrize("module", ["torch._inductor.exc", "torch._dynamo.exc"])
def test_a_compiler_that_fails_is_named_with_advice(module):
    failure = type("Failure", (RuntimeError,), {"__module__": module})
    message = r"no compiler that works \(no g\+\+\): install g\+\+"
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
    assert "UsageError: train.compile=true found no compiler that works" in done.stderr
