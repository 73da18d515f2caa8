"""What answers at once: nothing slow is loaded to print help, or to list what is stored."""

import subprocess
import sys

import pytest

from seewhy.cli import VERBS

CODE = """
import sys
from seewhy.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
heavy = {"torch", "rich"} if "--help" in sys.argv else {"torch"}
assert not heavy & set(sys.modules)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *([verb, "--help"] for verb in VERBS),
        ["models"],
        ["models", "--json"],
        ["models", "show", "--help"],
        ["recipes"],
        ["recipes", "show", "fast"],
        ["info", "fast"],
        ["completion", "zsh"],
    ],
    ids=" ".join,
)
def test_nothing_slow_is_loaded(arguments):
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout
