import json
from pathlib import Path

import pytest
from helpers import call

import seewhy
from seewhy.errors import UsageError
from seewhy.workflows import benchmark


def test_models_take_turns_and_are_drawn(
    exported: Path, trained: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(benchmark, "ROUNDS", 10)
    out = tmp_path / "out"
    models = [str(trained), str(exported)]
    printed = call("benchmark", "infer", *models, "--threads", "1", "--out", str(out))
    record = json.loads((out / "benchmark.json").read_text())
    one, other = record["speeds"]
    assert (one["runtime"], other["runtime"]) == ("torch", "onnx")
    assert one["parameters"] == other["parameters"] and record["threads"] == 1
    assert one["bytes"] == (trained / "model.safetensors").stat().st_size
    for speed in (one, other):
        assert 0 < speed["p50_ms"] <= speed["p99_ms"] and speed["images_per_second"] > 0
    assert other["startup_s"] < one["startup_s"]  # it loads no torch
    assert other["memory_mb"] < one["memory_mb"]
    assert (out / "speeds.png").is_file() and "onnx" in printed.out


def test_a_process_that_cannot_start_is_one_line(exported: Path, monkeypatch) -> None:
    monkeypatch.setattr(benchmark, "FIRST_ANSWER", "raise SystemExit('too little memory')")
    with pytest.raises(UsageError, match=f"cannot load {exported}: too little memory"):
        seewhy.benchmark_inference([exported])


def test_a_model_named_twice_is_refused(exported: Path) -> None:
    with pytest.raises(UsageError, match="named twice"):
        seewhy.benchmark_inference([exported, exported])
