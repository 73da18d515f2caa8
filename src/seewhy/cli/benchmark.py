"""`seewhy benchmark infer`."""

from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import PATH, as_json, show, trust_option
from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Part, Rows

if TYPE_CHECKING:
    from seewhy.workflows.benchmark import InferenceBenchmark


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
