"""What is promised on Windows, without what Windows lacks: import, train, predict."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import seewhy

PYTHONPATH = os.pathsep.join(
    str(folder) for folder in (Path(seewhy.__file__).parents[1], Path(__file__).parents[1])
)

# The modules of Python that are there on Unix alone, and such names of the others.
MODULES = ("fcntl", "grp", "pwd", "resource", "syslog", "termios")
LACKING = {
    "mmap": "MAP_ANONYMOUS MAP_PRIVATE MAP_SHARED PROT_READ PROT_WRITE",
    "os": (
        "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK chown fchmod fork getloadavg getpgid getuid killpg "
        "mkfifo nice pread preadv pwrite register_at_fork sched_getaffinity setsid sysconf uname"
    ),
    "signal": "SIGALRM SIGHUP SIGKILL SIGUSR1 pthread_sigmask sigwait",
}
AS_ON_WINDOWS = f"""
import importlib, os, sys
import multiprocessing.util, random, subprocess, tempfile, threading, torch  # for Unix here, as Python's are
for name in {MODULES}:
    sys.modules[name] = None
for module, names in {LACKING}.items():
    for name in names.split():
        if hasattr(importlib.import_module(module), name):
            delattr(importlib.import_module(module), name)
tempfile.TemporaryFile = tempfile.NamedTemporaryFile
opened, sync, replace, unlink = os.open, os.fsync, os.replace, os.unlink
def open_no_directory(path, flags, mode=0o777, **options):
    assert not os.path.isdir(path), f"Windows opens no directory: {{path}}"
    return opened(path, flags, mode, **options)
def sync_what_may_be_written(handle):
    os.write(handle, b"")  # raises for what is open to be read
    sync(handle)
def replace_closed(first, second, **options):
    require_closed(first), require_closed(second)
    replace(first, second, **options)
def unlink_closed(path, **options):
    if "dir_fd" not in options:
        require_closed(path)
    unlink(path, **options)
def require_closed(path):
    "Windows renames and removes no file that is open, or in memory."
    path = os.path.realpath(path)
    handles = [f"/proc/self/fd/{{number}}" for number in os.listdir("/proc/self/fd")]
    files = [os.readlink(handle) for handle in handles if os.path.islink(handle)]
    mapped = [line.split(maxsplit=5)[5:] for line in open("/proc/self/maps").read().splitlines()]
    files += [name for line in mapped for name in line]
    assert not [file for file in files if file == path or file.startswith(f"{{path}}/")], path
os.open, os.fsync = open_no_directory, sync_what_may_be_written
if os.path.isdir("/proc/self/fd"):
    os.replace, os.unlink = replace_closed, unlink_closed
"""


@pytest.mark.long
def test_all_is_imported_digits_are_trained_and_an_image_is_predicted_on_windows(tmp_path):
    image, run = tmp_path / "image.png", tmp_path / "run"
    Image.new("RGB", (32, 32), "red").save(image)
    code = """
import pkgutil, pytest, seewhy
served = ("seewhy.serving", "seewhy.inference.onnx_trial", "seewhy.__main__")
for module in pkgutil.walk_packages(seewhy.__path__, "seewhy."):
    if not module.name.startswith(served):
        importlib.import_module(module.name)
from rendering import render_nothing
from seewhy.cli import main
image, run = sys.argv[1:]
render_nothing(pytest.MonkeyPatch())
def call(*arguments):
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code, end.code
short = ("--train.epochs", "1", "--data.size", "8")
call("train", "--recipe", "digits", "--data", "digits", *short, "--out", run)
call("predict", "fast", image)
call("predict", run, image)
"""
    command = [sys.executable, "-c", AS_ON_WINDOWS + code, image, run]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (run / "report.html").is_file()
    assert done.stdout.count(f"{image},ok,") == 2
