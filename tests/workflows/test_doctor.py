"""The doctor finds what hinders on this machine, and says what to do about it."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
from helpers import call

import seewhy
from seewhy.workflows import doctor as module
from seewhy.workflows.doctor import EXTRAS

NOT_FOR_USERS = {"all", "audit", "dev", "docs", "notebooks"}
HERE = {"torch": "2.13.0", "gpus": [], "auto": "cpu", "bf16": False, "threads": 1}


@pytest.fixture
def found(monkeypatch):
    """Gives the checks by name, with a PyTorch that answers `facts`, or fails with this text."""

    def of(facts=HERE):
        done = subprocess.CompletedProcess([], 0, json.dumps(facts), "")
        if isinstance(facts, str):
            done = subprocess.CompletedProcess([], 1, "", facts)
        monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: done)
        return {check.name: check for check in seewhy.doctor()}

    return of


def test_the_machine_of_the_tests_is_fit(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    record = json.loads(call("doctor", "--json").out)
    checks = {check["name"]: check for check in record["checks"]}
    assert record["usable"] is True and set(record["checks"][0]) == {
        *("name", "status", "detail", "remedy")
    }
    assert {"python", "libraries", "device", "bfloat16", "cores", "memory"} <= checks.keys()
    assert {"disk here", "cache", "disk of the cache", "fonts", "open files"} <= checks.keys()
    assert "torch 2." in checks["libraries"]["detail"]
    assert "--device auto is " in checks["device"]["detail"]
    assert {f"extra {name}" for name in EXTRAS} <= checks.keys()
    for check in checks.values():
        assert (check["status"] == "ok") == (check["remedy"] == ""), check


def test_every_extra_for_users_is_known():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) - NOT_FOR_USERS == set(EXTRAS)


def test_what_is_missing_or_old_has_its_install_line(found, monkeypatch):
    real = module._version
    versions = {"safetensors": "0.7", "click": None, "optuna": None, "onnx": "1.0"}
    monkeypatch.setattr(module, "_version", lambda name: versions.get(name, real(name)))
    checks = found()
    assert checks["libraries"].status == "fail"
    assert checks["libraries"].remedy == "pip install 'click>=8.2' 'safetensors>=0.8'"
    assert checks["extra tune"].status == "off"
    assert checks["extra tune"].remedy == "for `seewhy tune`: pip install 'seewhy[tune]'"
    assert checks["extra export"].status == "warn"


def test_a_pytorch_that_does_not_start_is_named(found):
    checks = found("Traceback ...\nImportError: libtorch.so: not there\n")
    assert checks["device"].status == "fail" and "libtorch.so: not there" in checks["device"].detail
    assert "bfloat16" not in checks


def test_the_device_its_format_and_its_threads(found, monkeypatch):
    monkeypatch.setattr(module, "workers", lambda: 2)
    monkeypatch.setattr(module, "cpu_quota", lambda: 1.5)
    gpu = found({**HERE, "gpus": ["H200"], "auto": "cuda", "bf16": True, "threads": 8})
    assert gpu["device"].detail == "--device auto is cuda (H200), PyTorch 2.13.0"
    assert gpu["bfloat16"].detail.endswith("--amp auto is bf16")
    assert gpu["threads"].remedy == "export OMP_NUM_THREADS=2"
    assert gpu["cores"].detail.endswith("the container has 1.5")
    monkeypatch.setattr(module.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    cpu = found()
    assert cpu["device"].status == "warn" and "CUDA build" in cpu["device"].remedy
    assert "threads" not in cpu and cpu["bfloat16"].detail.endswith("--amp auto is fp32")


def test_little_memory_disk_and_files_are_warned_of(found, monkeypatch):
    monkeypatch.setattr(module, "memory_limit", lambda: 10**9)
    monkeypatch.setattr(module, "ENOUGH_DISK", 10**18)
    monkeypatch.setattr(module, "ENOUGH_FILES", 10**9)
    checks = found()
    names = {name for name, check in checks.items() if check.status == "warn"}
    assert {"memory", "disk here", "disk of the cache", "open files"} <= names
    assert "the container may take 1.0 GB" in checks["memory"].detail


def test_a_cache_that_cannot_be_made_is_warned_of(found, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "file" / "cache"))
    assert found()["cache"].status == "warn"


def test_scripts_without_a_font_are_named(found, monkeypatch):
    monkeypatch.setattr("seewhy.plots.scripts.SCRIPTS", {"Greek": "ω", "no script": "\U000e0041"})
    check = found()["fonts"]
    assert check.status == "warn" and "no script are boxes" in check.detail


def test_the_command_exits_1_where_something_is_missing(monkeypatch):
    check = module.Check("device", "fail", "[red]no\x1b[31m torch", "install it")
    monkeypatch.setattr(seewhy, "doctor", lambda: (check,))
    line = call("doctor", code=1).out
    assert line == "device  fail  [red]no\\x1b[31m torch; install it\n"
