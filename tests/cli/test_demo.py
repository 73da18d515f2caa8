"""The demo: a training on the digits, its evaluation on test, its report, and what to do next."""

import shlex
from functools import partial
from unittest.mock import patch

import pytest
from helpers import call

import seewhy
from seewhy.cli import VERBS


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The run of a short demo, and what was printed."""
    out = tmp_path_factory.mktemp("demo") / "run"
    short = {"train.epochs": 1, "data.size": 8}
    with patch.object(seewhy, "train", partial(seewhy.train, overrides=short)):
        printed = call("demo", "--out", out)
    return seewhy.Run(out), printed


def test_a_demo_trains_evaluates_on_test_and_reports(demo):
    run, printed = demo
    assert run.finished and run.config["data"] == "digits"
    assert run.metrics.keys() == {"val", "test"} and run.metrics["test"]["reading"] == 1
    assert "test: 447 images" in printed.out
    page = run.path / "report.html"
    assert str(page) in printed.out and "447" in page.read_text("utf-8")


def test_a_demo_ends_with_commands_to_copy(demo):
    _, printed = demo
    following = printed.out.partition("next:\n")[2].splitlines()
    commands = [shlex.split(line, comments=True) for line in following]
    assert len(commands) == 3 and all(program == "seewhy" for program, *_ in commands)
    for _, verb, *arguments in commands:
        flags = [word for word in arguments if word.startswith("--")]
        assert all(flag in call(verb, "--help").out for flag in flags)
    assert "fast" in seewhy.shipped_models()


def test_the_demo_is_the_first_verb_of_the_help():
    assert next(iter(VERBS)) == "demo"
    verbs = call("--help").out.partition("Verbs:\n")[2]
    assert verbs.split()[0] == "demo"
