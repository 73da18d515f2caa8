"""`seewhy benchmark infer` and `seewhy benchmark train`."""

from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.completion import recipes as names_of_recipes
from seewhy.cli.options import PATH, as_json, device_option, show, trust_option
from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Part, Rows

if TYPE_CHECKING:
    from seewhy.workflows.benchmark import InferenceBenchmark
    from seewhy.workflows.benchmark_training import TrainingBenchmark


@click.group()
def command() -> None:
    """Measure speed on this machine."""


@command.command("infer")
@click.argument("models", nargs=-1, required=True, shell_complete=models)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="of one batch, in ONNX Runtime and OpenVINO [one a core]",
)
@click.option(
    "--runtime",
    "runtimes",
    type=click.Choice(["auto", "openvino"]),
    multiple=True,
    default=["auto"],
    help="openvino: compute ONNX files by OpenVINO; name both to compare them [auto]",
)
@click.option("--out", type=PATH, help="a new folder for the metrics and a figure")
@as_json
@trust_option
def infer(models: tuple[str, ...], as_json: bool, **settings: Any) -> None:
    """Measure how fast MODELS answer: latency, throughput, start-up, memory.

    From prepared arrays, by turns, so that all share the load of the machine.
    """
    result = seewhy.benchmark_inference(models, **settings, on_event=Terminal())
    show(result, as_json, _text)


def _text(result: "InferenceBenchmark") -> list[Part]:
    titles = ("model", "runtime", "ms p50", "ms p99", "images/s", "at batch", "start s", "RSS MB")
    rows = [(*titles, "file MB", "parameters")]
    for one in result.speeds:
        times = (f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", f"{one.images_per_second:,.0f}")
        sizes = (f"{one.memory_mb:,.0f}", f"{one.bytes / 1e6:.2f}", f"{one.parameters:,}")
        start = (str(one.batch), f"{one.startup_s:.1f}")
        rows.append((one.model, one.runtime, *times, *start, *sizes))
    return [Rows(rows, "llr")]


@command.command("train")
@click.argument("recipes", nargs=-1, shell_complete=names_of_recipes)
@click.option("--steps", type=int, default=60, show_default=True, help="of each recipe, about")
@click.option("--profile", type=PATH, help="a new .json file for a trace of the first recipe")
@click.option("--out", type=PATH, help="a new folder for the metrics and a figure")
@device_option
@as_json
def train(recipes: tuple[str, ...], as_json: bool, **settings: Any) -> None:
    """Measure how fast RECIPES train [fast], and what the time goes into.

    On random images of their size, through their whole schedule in about --steps steps.
    """
    result = seewhy.benchmark_training(recipes or ("fast",), **settings, on_event=Terminal())
    show(result, as_json, _training_text)


def _training_text(result: "TrainingBenchmark") -> list[Part]:
    parts = list(result.speeds[0].parts)
    rows: list[tuple[str, ...]] = [
        ("recipe", "network", "format", "pixels", "batch", "images/s", "of peak", "MB", *parts)
    ]
    for one in result.speeds:
        whole = sum(one.parts.values())
        memory = "-" if one.memory_mb is None else f"{one.memory_mb:,.0f}"
        rate = (f"{one.images_per_second:,.0f}", f"{one.conv_share:.0%}", memory)
        shares = (f"{one.parts[part] / whole:.0%}" for part in parts)
        about = (one.recipe, one.network, one.format, str(one.size), str(one.batch))
        rows.append((*about, *rate, *shares))
    return [Rows(rows, "lllr")]
