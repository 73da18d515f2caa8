"""`seewhy models`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.options import PATH, as_json, refuse_given, show
from seewhy.cli.screen import Part, Rows
from seewhy.config.networks import ModelConfig
from seewhy.config.options import options_of, parse_value

if TYPE_CHECKING:
    from seewhy.models.network import Layer


@click.group(invoke_without_command=True)
@click.option("--size", default=32, show_default=True, help="input side in pixels")
@click.option("--classes", default=10, show_default=True, help="number of classes")
@click.option(
    "--out", type=PATH, help="also draw what they reach in the time they take as a PNG file"
)
@as_json
@click.pass_context
def command(
    context: click.Context, size: int, classes: int, out: Path | None, as_json: bool
) -> None:
    """List the networks with their parameters and FLOPs per image, what they reach on CIFAR-10 in five
    epochs of training in how much time, and the shipped models."""
    if (verb := context.invoked_subcommand) is not None:
        flags = {"size": "--size", "classes": "--classes", "out": "--out", "as_json": "--json"}
        refuse_given(flags, f"has no effect before {verb}: put it after the name of the network")
        return
    record = {
        "size": size,
        "networks": seewhy.network_costs(size, classes),
        "measured": seewhy.measured_networks(out),
        "shipped": seewhy.shipped_models(),
    }
    show(record, as_json, _list)


def _list(record: dict[str, Any]) -> list[Part]:
    measured, machine = record["measured"], record["measured"]["machine"]
    rows = [("network", "parameters", f"MFLOPs at {record['size']}", "accuracy", "minutes")]
    for name, cost in record["networks"].items():
        figures = measured["networks"].get(name)
        reached = (
            (f"{figures['accuracy']:.1%}", f"{figures['seconds'] / 60:.1f}")
            if figures
            else ("", "")
        )
        rows.append((name, f"{cost['parameters']:,}", f"{cost['flops'] / 1e6:,.1f}", *reached))
    return [
        Rows(rows),
        "",
        f"accuracy (validation) and minutes: {measured['epochs']} epochs of {measured['data']}, 1 seed,",
        f"all trained alike, on {machine['cores']} cores of {machine['processor']}",
        "",
        "timm/NAME: any network of timm, with `pip install 'seewhy[timm]'`",
        f"shipped, trained: {', '.join(record['shipped'])} (`seewhy info NAME`)",
    ]


def _network_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds a flag for each option of a network."""
    for option in reversed(options_of(ModelConfig)):
        if option.name not in ("name", "weights"):
            command = click.option(
                f"--{option.name}",
                option.name,
                metavar=option.kind,
                help=option.field.description,
            )(command)
    return command


@command.command(name="show")
@click.argument("name")
@click.option("--size", default=32, show_default=True, help="input side in pixels")
@click.option("--classes", default=10, show_default=True, help="number of classes")
@_network_flags
@click.option("--out", type=PATH, help="also draw the network as a PNG file")
@as_json
def show_layers(
    name: str, size: int, classes: int, out: Path | None, as_json: bool, **values: str | None
) -> None:
    """List the layers of a network with their output shapes, parameters and FLOPs, or draw them."""
    options = {key: parse_value(text) for key, text in values.items() if text is not None}
    layers = seewhy.network_layers(name, size=size, classes=classes, options=options, out=out)
    show({"network": name, "layers": layers}, as_json, lambda _: _table(layers))


def _table(layers: "list[Layer]") -> list[Part]:
    rows = [("layer", "kind", "output", "parameters", "MFLOPs")]
    for layer in layers:
        shape = "x".join(map(str, layer.output_shape))
        costs = (f"{layer.parameters:,}", f"{layer.flops / 1e6:,.2f}")
        rows.append((layer.name, layer.kind, shape, *costs))
    parameters, flops = sum(x.parameters for x in layers), sum(x.flops for x in layers)
    return [Rows([*rows, ("sum", "", "", f"{parameters:,}", f"{flops / 1e6:,.2f}")], "lllr")]
