"""How fast recipes train: parts that add up, arithmetic that fits the schedule, a trace."""

import json

import pytest
from helpers import call

import seewhy
from seewhy.errors import UsageError


def test_recipes_are_measured_drawn_and_traced(tmp_path):
    out, trace = tmp_path / "out", tmp_path / "trace.json"
    printed = call(
        *("benchmark", "train", "digits", "simple-cnn", "--steps", "10", "--device", "cpu"),
        *("--out", str(out), "--profile", str(trace)),
    )
    record = json.loads((out / "benchmark.json").read_text())
    first, second = record["speeds"]
    assert (first["recipe"], second["recipe"]) == ("digits", "simple-cnn")
    for speed in (first, second):
        assert sum(speed["parts"].values()) == pytest.approx(1 / speed["images_per_second"])
        assert set(speed["parts"]) == {"batch", "forward", "backward", "optimiser", "rest"}
        assert all(seconds > 0 for seconds in speed["parts"].values())
        assert speed["conv_gflops"] > 0 and speed["memory_mb"] > 10
        reached = 3 * speed["flops"] * speed["images_per_second"] / 1e9
        assert speed["conv_share"] == pytest.approx(reached / speed["conv_gflops"])
    assert (out / "training-speeds.png").is_file()
    assert any("conv" in event["name"] for event in json.loads(trace.read_text())["traceEvents"])
    assert "simple-cnn" in printed.out


def test_smaller_images_of_a_schedule_count_as_less_arithmetic(tmp_path):
    recipe = tmp_path / "small.yaml"
    recipe.write_text(
        "extends: fast\nmodel: {name: speednet, width: 0.2}\n"
        "train: {progressive: 0.6, epochs: 5, batch_size: 4}\n"
    )
    (speed,) = seewhy.benchmark_training([recipe], steps=10, device="cpu").speeds
    whole = 3 * speed.flops * speed.images_per_second / 1e9 / speed.conv_gflops
    assert 0.5 * whole < speed.conv_share < 0.95 * whole


def test_too_few_steps_unknown_recipes_and_files_that_exist_are_refused(tmp_path):
    with pytest.raises(UsageError, match="give 10 or more"):
        seewhy.benchmark_training(steps=9)
    with pytest.raises(UsageError, match="did you mean fast"):
        seewhy.benchmark_training(["fsat"])
    (tmp_path / "trace.json").touch()
    with pytest.raises(UsageError, match="already exists"):
        seewhy.benchmark_training(profile=tmp_path / "trace.json")
