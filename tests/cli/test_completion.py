"""What a shell completes, asked as its script asks."""

import shutil
import subprocess

import pytest
from helpers import call

import seewhy
from seewhy.cli import VERBS
from seewhy.config.networks import NETWORKS
from seewhy.config.recipe import recipe_names


@pytest.fixture
def completed(monkeypatch):
    """Gives what is completed at the end of a line."""

    def of(line):
        words = line.split(" ")
        monkeypatch.setenv("_SEEWHY_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        return call().out.split()

    return of


def plain(names):
    return [f"plain,{name}" for name in names]


def test_verbs_and_their_own_verbs(completed):
    assert completed("seewhy ") == plain(VERBS)
    assert completed("seewhy re") == plain(["report", "recipes", "registry", "retrain"])
    assert completed("seewhy data l") == plain(["labels"])


def test_flags_and_their_values(completed):
    assert completed("seewhy train --data.fi") == plain(["--data.fit"])
    assert completed("seewhy train --data.fit ") == plain(["crop", "pad", "squash", "none"])
    assert completed("seewhy train --train.lr 0") == ["file,0"]
    networks = [name for name in NETWORKS if name.startswith("res")]
    assert completed("seewhy train --model.name res") == plain(networks)
    assert completed("seewhy evaluate fast --split t") == plain(["train", "test"])


def test_recipes_data_models_and_runs(completed, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "done").mkdir(parents=True)
    (tmp_path / "runs" / "unfinished").mkdir()
    shutil.copy(trained / "model.safetensors", tmp_path / "runs" / "done")
    assert completed("seewhy train --recipe ") == plain(recipe_names())
    assert completed("seewhy train --data d") == plain(["digits"])
    assert completed("seewhy predict ") == plain([*seewhy.shipped_models(), "runs/done"])
    assert completed("seewhy train --init runs/d") == plain(["runs/done"])
    assert completed("seewhy predict fast im") == ["file,im"]
    assert completed("seewhy predict here/") == ["file,here/"]


def test_an_unknown_verb_completes_nothing_of_its_own(completed):
    assert completed("seewhy dance --he") == plain(["--help"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_one(shell, tmp_path):
    script = call("completion", shell).out
    assert "_SEEWHY_COMPLETE" in script and "%(" not in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        assert subprocess.run([shell, "-n", tmp_path / "script"]).returncode == 0
    call("completion", "tcsh", code=2)
