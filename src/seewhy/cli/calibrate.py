"""`seewhy calibrate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.progress import Terminal
from seewhy.cli.tables import with_interval

if TYPE_CHECKING:
    from seewhy.evaluation.decision.fit import Calibration
    from seewhy.evaluation.stats.intervals import Interval


@click.command()
@click.argument("model")
@click.option("--data", required=True, help="digits, cifar10, a folder or an archive")
@click.option("--precision", type=click.FloatRange(0, 1), help="share of the answers to be right")
@click.option("--coverage", type=click.FloatRange(0, 1), help="share of the pictures to answer")
@click.option("--out-of-scope", metavar="PICTURES", help="data, or any folder, of another kind")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="the new model file")
@click.option("--figures", type=click.Path(path_type=Path), help="a folder for the pictures")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
def command(
    model: str,
    data: str,
    out: Path,
    figures: Path | None,
    as_json: bool,
    device: str,
    **options: Any,
) -> None:
    """Make MODEL's confidence honest, and let it say "not sure" and "out of scope".

    Fitted on the validation split and written to a new file. A threshold for --precision holds beyond
    the pictures it was fitted on, with 95% certainty.
    """
    result = seewhy.calibrate(
        model, data, out=out, figures=figures, device=device, on_event=Terminal(), **options
    )
    if as_json:
        record = {"file": str(out), "digest": result.digest, **seewhy.to_json(result.calibration)}
        click.echo(json.dumps(record))
    else:
        click.echo("\n".join(_lines(result.calibration)))
        click.echo(f"\nmodel: {out}   next: seewhy predict {out} PICTURE")


def _lines(found: "Calibration") -> list[str]:
    curve = found.risk_coverage
    lines = [
        f"validation: {found.n:,} pictures",
        f"  temperature        {found.temperature:.3f}",
        f"  calibration error  {with_interval(found.ece_before)} before, "
        f"{with_interval(found.ece_after)} with it",
        f"  log loss           {_number(found.nll_before)} before, {_number(found.nll_after)} with it",
        f"  risk-coverage area {curve.aurc:.4f}   ({curve.oracle:.4f} if confidence knew every mistake, "
        f"{curve.chance:.4f} if it knew nothing)",
    ]
    if found.threshold is not None:
        kept = found.threshold
        lines += [
            f"  not sure           below {kept.confidence:.1%} confidence",
            f"  then answered      {with_interval(kept.coverage)}",
            f"  of these right     {with_interval(kept.precision)}",
        ]
    if found.scope is not None:
        scope = found.scope
        areas = ", ".join(f"{name} {area:.3f}" for name, area in scope.areas.items())
        lines += [
            f"  scope score        {scope.score}   (ROC area of {areas})",
            f"  ROC area           {_number(scope.auroc)}",
            f"  kept in scope      {with_interval(scope.kept)} of validation",
            f"  found out of scope {with_interval(scope.caught)} of the others",
        ]
    return lines


def _number(interval: "Interval") -> str:
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"
