"""`seewhy models`."""

import json
from dataclasses import asdict

import click

from seewhy.classifier import shipped_models
from seewhy.models import NETWORKS, build, cost, describe


@click.group(invoke_without_command=True)
@click.option("--size", default=32, show_default=True, help="input side in pixels")
@click.option("--classes", default=10, show_default=True, help="number of classes")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@click.pass_context
def command(context: click.Context, size: int, classes: int, as_json: bool) -> None:
    """List the nets with their parameters and FLOPs for one picture, and the shipped models."""
    if context.invoked_subcommand is not None:
        return
    costs = {
        name: cost(name, num_classes=classes, size=size)
        for name, network in NETWORKS.items()
        if size >= network.minimum_size
    }
    if as_json:
        nets = {name: asdict(c) for name, c in costs.items()}
        click.echo(json.dumps({"size": size, "networks": nets, "shipped": shipped_models()}))
        return
    click.echo(f"{'net':<18}{'parameters':>12}{'MFLOPs at ' + str(size):>16}")
    for name, c in costs.items():
        click.echo(f"{name:<18}{c.parameters:>12,}{c.flops / 1e6:>16,.1f}")
    click.echo(f"\nshipped, trained: {', '.join(shipped_models())}")


@command.command()
@click.argument("name")
@click.option("--size", default=32, show_default=True, help="input side in pixels")
@click.option("--classes", default=10, show_default=True, help="number of classes")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
def show(name: str, size: int, classes: int, as_json: bool) -> None:
    """List the layers of a net with their output shapes, parameters and FLOPs."""
    layers = describe(build(name, num_classes=classes, size=size))
    if as_json:
        click.echo(json.dumps({"network": name, "layers": [asdict(layer) for layer in layers]}))
        return
    click.echo(f"{'layer':<28}{'kind':<20}{'output':<16}{'parameters':>12}{'MFLOPs':>10}")
    for layer in layers:
        shape = "x".join(map(str, layer.output_shape))
        click.echo(
            f"{layer.name:<28}{layer.kind:<20}{shape:<16}{layer.parameters:>12,}"
            f"{layer.flops / 1e6:>10,.2f}"
        )
    parameters, flops = sum(x.parameters for x in layers), sum(x.flops for x in layers)
    click.echo(f"{'sum':<64}{parameters:>12,}{flops / 1e6:>10,.2f}")
