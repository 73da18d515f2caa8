"""Processes to kill, starve and race, forked from one server that has imported PyTorch once."""

import multiprocessing
import os

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["pytest", "pyarrow.parquet", "scipy.optimize", "sklearn.metrics", "torch._dynamo"]
    + ["seewhy.cli.train", "seewhy.cli.predict", "seewhy.cli.evaluate"]
)


def start(function, *arguments):
    """Starts `function(*arguments)` in a process of its own, with one thread."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    process = CONTEXT.Process(target=function, args=arguments)
    process.start()
    return process


def run(function, *arguments, timeout=60):
    """The exit code of `function(*arguments)` in a process of its own; it may not hang."""
    process = start(function, *arguments)
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"{function.__name__}{arguments} still ran after {timeout} s")
    return process.exitcode


def seewhy(arguments, said, prepare=None):
    """`seewhy ARGUMENTS`, for `start` and `run`: output goes to the file `said`, `prepare` first."""
    from seewhy.cli import main

    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if prepare is not None:
        prepare()
    main([str(argument) for argument in arguments])
