"""Processes to kill, starve and race, forked from one server that has imported PyTorch once."""

import multiprocessing
import os
import sys
from multiprocessing import forkserver

import pytest
from rendering import render_nothing

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["pytest", "pyarrow.parquet", "scipy.optimize", "sklearn.metrics", "torch._dynamo"]
    + [f"seewhy.cli.{verb}" for verb in ("train", "evaluate", "predict")]
    + [f"seewhy.workflows.{verb}" for verb in ("train", "evaluate", "predict", "report")]
    + ["seewhy.workflows.experiments.tuning", "seewhy.page.figures", "optuna.storages"]
)


def begin():
    """Starts the server, whose processes have one thread each: forks, and equal bits, need that."""
    before = os.environ.copy()
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)


def start(function, *arguments):
    """Starts `function(*arguments)` in a process of its own, in the present environment."""
    process = CONTEXT.Process(target=_run, args=(dict(os.environ), function, *arguments))
    process.start()
    return process


def run(function, *arguments, timeout=120):
    """The exit code of `function(*arguments)` in a process of its own; it may not hang."""
    process = start(function, *arguments)
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"{function.__name__}{arguments} still ran after {timeout} s")
    return process.exitcode


def seewhy(arguments, prepare=None, timeout=120):
    """Exit code and output (up to 64 KB) of `seewhy ARGUMENTS`, with `prepare()` called before."""
    receive, send = CONTEXT.Pipe(duplex=False)
    with receive:
        with send:  # a pipe, as it has no size that could be limited
            code = run(_seewhy, [str(a) for a in arguments], send, prepare, timeout=timeout)
        with open(receive.fileno(), closefd=False) as output:
            return code, output.read()


def _seewhy(arguments, output, prepare):
    from seewhy.cli import main

    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(output.fileno(), number)
        setattr(sys, name, os.fdopen(number, "w", 1, closefd=False))
    if prepare is not None:
        prepare()
    main(arguments)


def _run(environment, function, *arguments):
    os.environ.clear()
    os.environ.update(environment, OMP_NUM_THREADS="1")
    render_nothing(pytest.MonkeyPatch())
    os.fsync = lambda handle: None  # the process is killed, and never the machine
    function(*arguments)
