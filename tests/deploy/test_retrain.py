"""The files in deploy/retrain: accepted by the tools that run them, and their commands run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import QUICK, write_folder

import seewhy

FILES = Path(__file__).parents[2] / "deploy" / "retrain"
WORKFLOW = FILES / "github-actions.yml"
PROGRAMS = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def found(program):
    path = shutil.which(program, path=PROGRAMS)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def test_systemd_takes_the_units(tmp_path):
    for kind in ("service", "timer"):
        unit = (FILES / f"seewhy-retrain@.{kind}").read_text()
        (tmp_path / f"seewhy-retrain@.{kind}").write_text(
            unit.replace("/opt/seewhy/bin/seewhy", "/bin/true")
        )
    command = [found("systemd-analyze"), "verify", tmp_path / "seewhy-retrain@photos.timer"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_actionlint_takes_the_workflow():
    command = [found("actionlint"), "-no-color", WORKFLOW]
    done = subprocess.run(
        command, env={**os.environ, "PATH": PROGRAMS}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    ci = (FILES.parents[1] / ".github" / "workflows" / "ci.yml").read_text()
    for used in re.findall(r"uses: (.+)", WORKFLOW.read_text()):
        assert f"uses: {used}\n" in ci  # those that are tried


@pytest.fixture
def run(tmp_path):
    """Runs a command of one of the files where images are in photos/, and the champion is always wrong."""
    old = write_folder(tmp_path / "old", classes=("bee", "cow", "ant"))
    write_folder(tmp_path / "photos", count=60)  # other colours for the same names
    place = tmp_path / "registry.db"
    trained = seewhy.train(old, "regularized-cnn", out=tmp_path / "run", overrides=QUICK)
    seewhy.register(trained, "photos", registry=place)
    with seewhy.open_registry(place) as opened:
        opened.promote("photos", 1)
    program = tmp_path / "bin" / "seewhy"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m seewhy "$@"\n')
    program.chmod(0o755)

    def run(shell, command):
        for named, here in {
            "/opt/seewhy/bin/seewhy": str(program),
            "/srv/seewhy": str(tmp_path),
            "%i": "photos",
        }.items():
            command = command.replace(named, here)
        done = subprocess.run(
            [*shell, command],
            cwd=tmp_path,
            env={
                **os.environ,
                "PATH": f"{program.parent}:{os.environ['PATH']}",
                "SEEWHY_REGISTRY": str(place),
                "STATE_DIRECTORY": str(tmp_path / "state"),
                "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.long
def test_what_the_files_run_retrains_once(run, tmp_path):
    (line,) = [one for one in (FILES / "crontab").read_text().splitlines() if one[0].isdigit()]
    assert run(["sh", "-c"], line.split(maxsplit=5)[5]) == ""
    assert "photos@champion is version 2" in (tmp_path / "retrain.log").read_text()
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["retrain"]["steps"]
    for step in steps:
        if "run" in step and step["name"] != "Install":
            run(["bash", "-eo", "pipefail", "-c"], step["run"])
    assert (tmp_path / "summary").read_text().startswith("    nothing to do")
    unit = (FILES / "seewhy-retrain@.service").read_text()
    (command,) = re.findall(r"ExecStart=(.*)", unit)
    assert run(["sh", "-c"], command).startswith("nothing to do")
