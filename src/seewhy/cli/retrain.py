"""`seewhy retrain`."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import data_sets, recipes
from seewhy.cli.flags import recipe_flags
from seewhy.cli.options import DATA, PATH, Bounded, as_json, data_option, show
from seewhy.cli.progress import shown
from seewhy.cli.registry import place_option
from seewhy.cli.screen import Part, Rows
from seewhy.text import command_line, registry_flags

if TYPE_CHECKING:
    from seewhy.workflows.retrain import Retraining

POINTS = Bounded(0, 100)


@click.command()
@click.argument("name")
@data_option
@click.option("--recipe", shell_complete=recipes, help="a recipe's name or file [the champion's]")
@click.option("--out", type=PATH, help="folder for what is under way [runs/retrain-NAME]")
@click.option(
    "--feedback",
    is_flag=True,
    help="train on served images that have a label, too (serve --keep-images)",
)
@click.option(
    "--hold-out",
    shell_complete=data_sets,
    help=f"compare on these images, not on val: {DATA}",
)
@click.option(
    "--promote",
    type=click.Choice(["never", "gate", "ab"]),
    default="never",
    show_default=True,
    help="gate: what passes becomes the champion at once; ab: when it has won its A/B test",
)
@click.option(
    "--margin",
    type=POINTS,
    default=1.0,
    show_default=True,
    help="points of accuracy that the new model could lose at most, with 95% confidence",
)
@click.option(
    "--class-limit",
    type=POINTS,
    default=5.0,
    show_default=True,
    help="points of recall that a class may lose",
)
@click.option(
    "--robust-margin",
    type=POINTS,
    default=2.0,
    show_default=True,
    help="as --margin, on corrupted images",
)
@click.option("--precision", type=float, help="as for calibrate [as many answers as the champion]")
@click.option("--coverage", type=float, help="as for calibrate")
@click.option("--out-of-scope", metavar="DATA", help="as for calibrate")
@place_option
@as_json
@recipe_flags
def command(
    name: str,
    data: str,
    margin: float,
    class_limit: float,
    robust_margin: float,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train NAME@champion on new data; the result replaces it only if it is no worse.

    Checks the data, trains from the champion, calibrates, and compares both models on images that neither
    was trained on. What passes becomes NAME@challenger. Run it again after an interruption, or as often as
    you like: the same data, recipe and champion train once. Exits 1 if the new model is rejected.
    """
    limits = seewhy.GateLimits(margin, class_limit, robust_margin)
    with shown() as terminal:
        result = seewhy.retrain(name, data, limits=limits, on_event=terminal, **settings)
    show(result, as_json, lambda result: _text(result, settings["registry"]))
    sys.exit(1 if result.outcome == "rejected" and not result.repeated else 0)


def _text(result: "Retraining", registry: str | None) -> Iterator[Part]:
    verdict = {
        "promoted": f"{result.name}@champion is version {result.version}",
        "challenger": f"version {result.version} passed, and is {result.name}@challenger",
        "passed": f"version {result.version} passed",
        "rejected": f"version {result.version} is rejected",
        "unchanged": "nothing to do",
    }
    yield verdict[result.outcome]
    yield ""
    yield from (f"  {reason}" for reason in result.reasons)
    gate = result.gate
    if gate is None:
        return
    yield ""
    rows = [("", "champion", "candidate")]
    accuracies = {"accuracy": (gate.champion.value, gate.candidate.value), **gate.corruptions}
    for what, (champion, candidate) in accuracies.items():
        rows.append((what.replace("_", " "), f"{champion:.1%}", f"{candidate:.1%}"))
    for one in gate.classes[:3]:
        rows.append((f"recall of {one.name}", f"{one.champion:.1%}", f"{one.candidate:.1%}"))
    yield Rows(rows)
    if result.outcome == "challenger":
        yield ""
        promote = ("registry", "promote", result.name, result.version, "--expect", result.parent)
        yield f"next: {command_line(*promote, *registry_flags(registry))}"
