"""`seewhy explain`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from click.core import ParameterSource

import seewhy
from seewhy.cli.progress import Terminal
from seewhy.config.names import METHODS
from seewhy.errors import UsageError

if TYPE_CHECKING:
    from seewhy.workflows.explain import Explained


@click.command()
@click.argument("model")
@click.argument("pictures", nargs=-1)
@click.option("--data", help="pictures from labelled data, in place of named ones")
@click.option("--split", type=click.Choice(["train", "val"]), default="val", show_default=True)
@click.option("--only", type=click.Choice(["wrong", "right"]), help="of --data [half of each]")
@click.option("--n", "count", type=click.IntRange(1, 1000), default=8, show_default=True)
@click.option(
    "--method",
    "names",
    default="grad_cam",
    show_default=True,
    help=f"one or more, with commas: {', '.join(METHODS)}",
)
@click.option("--target", metavar="CLASS", help="the class to explain [the predicted one]")
@click.option("--features", is_flag=True, help="also draw what the network's layers have learnt")
@click.option("--check/--no-check", default=True, show_default=True, help="test each map")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="a new folder")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
@click.pass_context
def command(
    context: click.Context,
    model: str,
    pictures: tuple[str, ...],
    data: str | None,
    split: Literal["train", "val"],
    only: Literal["wrong", "right"] | None,
    count: int,
    names: str,
    target: str | None,
    features: bool,
    check: bool,
    out: Path,
    as_json: bool,
    device: str,
) -> None:
    """Show why MODEL takes PICTURES, or pictures of a split, for what it says.

    Draws each picture with its map by every method, over it and alone, beside the most probable
    classes; tests each map, and stamps those that fail as unreliable. With --features also the first
    filters, the layers' maps, and with --data the channels that matter and each class's mean map.
    """
    if pictures and not data:
        _refuse_idle(context)
    result = seewhy.explain(
        model,
        pictures,
        out=out,
        data=data,
        split=split,
        only=only,
        count=count,
        methods=[name.strip() for name in names.split(",")],
        target=target,
        features=features,
        check=check,
        device=device,
        on_event=Terminal(),
    )
    click.echo(json.dumps(result.record) if as_json else "\n".join(_lines(result)))


def _refuse_idle(context: click.Context) -> None:
    """Raises `UsageError` for options that choose from --data beside pictures that are named."""
    options = {"split": "--split", "only": "--only", "count": "--n"}
    given = [
        option
        for name, option in options.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(
            f"{' and '.join(given)} would choose pictures from --data, and these are named: leave "
            f"{'it' if len(given) == 1 else 'them'} out, or give --data in place of pictures"
        )


def _lines(result: "Explained") -> Iterator[str]:
    found = result.explanations
    for row in range(len(found)):
        label = found.label(row)
        top = ", ".join(f"{name} {probability:.0%}" for name, probability in found.top(row))
        yield f"{found.predictions.ids[row]}: {top}" + (f"; is {label}" if label else "")
        for name, check in found.checks.items():
            faults = check.faults(row)
            yield f"  {name:<22}" + (f"unreliable: {', '.join(faults)}" if faults else "reliable")
    if found.checks:
        yield ""
        yield "  means, and moved         deletion     insertion  shuffled  reliable"
    for name, check in found.checks.items():
        mean = check.means()
        yield (
            f"  {name:<22}{mean['deletion']:>6.2f}, {mean['random_deletion']:.2f}"
            f"{mean['insertion']:>8.2f}, {mean['random_insertion']:.2f}"
            f"{mean['randomised']:>+10.2f}{mean['reliable']:>10.0%}"
        )
    yield f"\n{result.folder}: explanations.json, {', '.join(result.files)}"
