"""`seewhy calibrate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import (
    PATH,
    Bounded,
    as_json,
    data_option,
    device_option,
    reading_options,
    refuse_given,
    show,
)
from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Part, facts
from seewhy.cli.tables import with_interval
from seewhy.text import command_line, counted

if TYPE_CHECKING:
    from seewhy.evaluation.decision.fit import Calibration


@click.command()
@click.argument("model", shell_complete=models)
@data_option
@click.option(
    "--precision", type=Bounded(0, 1), help="required accuracy of the answers, such as 0.9"
)
@click.option("--coverage", type=Bounded(0, 1), help="share of the images to answer, such as 0.8")
@click.option("--out-of-scope", metavar="IMAGES", help="a data set or folder of other images (OOD)")
@click.option("--force", is_flag=True, help="accept an OOD score that tells too little")
@click.option("--out", required=True, type=PATH, help="the new model file")
@click.option("--figures", type=PATH, help="a folder for the plots")
@as_json
@reading_options
@device_option
def command(model: str, data: str, out: Path, as_json: bool, **settings: Any) -> None:
    """Calibrate MODEL's confidence, and let it answer "not sure" and "out of distribution".

    Fitted on the validation split and written to a new file. The threshold for --precision also holds for
    new images of the same kind, with 95% one-sided confidence; where there is no such threshold, nothing is
    written. The temperature needs 30 images and a mistake; else it stays 1. The OOD score needs a ROC area of
    0.7, and a threshold that accepts 95% of validation and detects more than 5% of --out-of-scope.
    """
    if settings["out_of_scope"] is None:
        refuse_given({"force": "--force"}, "is for an OOD score: give --out-of-scope, too")
    result = seewhy.calibrate(model, data, out=out, on_event=Terminal(), **settings)
    calibration = result.calibration
    show(
        {"file": out, "digest": result.digest, **seewhy.to_json(calibration)},
        as_json,
        lambda _: [
            *_lines(calibration),
            "",
            f"model: {out}   next: {command_line('predict', out, 'IMAGE')}",
        ],
    )


def _lines(calibration: "Calibration") -> list[Part]:
    curve = calibration.risk_coverage
    pairs = [
        ("temperature", f"{calibration.temperature:.3f}"),
        (
            "calibration error",
            f"{with_interval(calibration.ece_before)} before, "
            f"{with_interval(calibration.ece_after)} after",
        ),
        (
            "log loss",
            f"{with_interval(calibration.nll_before, '.4f')} before, "
            f"{with_interval(calibration.nll_after, '.4f')} after",
        ),
        (
            "risk-coverage area",
            f"{curve.aurc:.4f}   ({curve.oracle:.4f} for a perfect ranking, "
            f"{curve.chance:.4f} for a random one)",
        ),
    ]
    if calibration.threshold is not None:
        kept = calibration.threshold
        pairs += [
            ("not sure", f"below {kept.confidence:.1%} confidence"),
            ("answered", with_interval(kept.coverage)),
            ("of these correct", with_interval(kept.precision)),
        ]
    if calibration.scope is not None:
        scope = calibration.scope
        areas = ", ".join(f"{name} {area:.3f}" for name, area in scope.areas.items())
        pairs += [
            ("OOD score", f"{scope.score}   (chosen on half of the images: ROC area of {areas})"),
            ("on the other half", ""),
            ("ROC area", with_interval(scope.auroc, ".4f")),
            ("accepted", f"{with_interval(scope.kept)} of validation"),
            ("detected as OOD", f"{with_interval(scope.caught)} of the other images"),
        ]
    return [f"validation: {counted(calibration.n, 'image')}", facts(pairs)]
