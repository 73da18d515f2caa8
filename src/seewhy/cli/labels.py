"""`seewhy data labels` and `seewhy data apply-review`: labels that look wrong, and what came of looking."""

import json
import shlex
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

import seewhy
from seewhy.analysis.experiments.repetition import OUT_OF_FOLD
from seewhy.analysis.labels.review import read_review, write_suspects, write_version
from seewhy.analysis.labels.suspects import Suspects
from seewhy.cli.experiments import shown, table
from seewhy.cli.flags import config_of, fields, overrides, recipe_flags
from seewhy.cli.progress import ReadingBar
from seewhy.config.recipe import load_recipe
from seewhy.data import load_data
from seewhy.files import refuse_existing, write_atomic
from seewhy.page.settings import review_command
from seewhy.run import Run
from seewhy.text import visible
from seewhy.workflows.labels import find_suspects, give_for_review

PAIRS, SUREST = 5, 5  # lines on the terminal


@click.command(context_settings={"max_content_width": 110})
@click.argument("data")
@click.option("--recipe", help="a recipe's name or YAML file [fast]")
@click.option("--folds", "count", type=int, help="trainings, each judging another part [5]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="the folds and what they find; finished ones are taken as they are [runs/RECIPE-folds]",
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@recipe_flags
def labels(
    data: str,
    recipe: str | None,
    count: int | None,
    out: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Find labels of DATA that look wrong, by networks each of which has not seen what it judges.

    Trains --folds networks as `seewhy train --folds` does, goes on with stopped ones, and takes finished
    ones as they are. Writes label-issues.csv, .json and .png, and for a person review.html, which makes
    review.csv, for `seewhy data apply-review`. Test stays sealed.
    """
    changes = overrides(given)
    home = out or Path("runs", f"{load_recipe(recipe or 'fast', changes).name}-folds")
    asked = recipe is not None or count is not None or changes
    if asked or not (home / OUT_OF_FOLD).is_file():
        with shown() as line:
            seewhy.folds(
                data,
                recipe or "fast",
                5 if count is None else count,
                out=home,
                overrides=changes,
                show=line,
                loading=ReadingBar("reading"),
            )
    suspects = find_suspects(
        data, home, loading=ReadingBar("reading"), progress=ReadingBar("comparing")
    )
    found = to_json(suspects, data)
    command = review_command(data, Run(home / "fold-0").config["recipe"], str(home / "review.csv"))
    _write(suspects, found, command, home)
    click.echo(json.dumps(found) if as_json else _told(suspects, command, home))


@click.command(name="apply-review")
@click.argument("data")
@click.argument("review", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="the new version, a new directory"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@fields("layout", "group_from", "val", "test", "split_seed")
def apply_review(
    data: str, review: Path, out: Path, as_json: bool, layout: str | None, **given: str | None
) -> None:
    """Make a version of DATA with the labels of REVIEW, a filled review.csv; DATA stays as it is.

    The right label "none of these" leaves a picture out.

    The version is a small file that names the pictures by their content. `--data OUT` trains on it. Split
    as for the training, by the same flags: the labels of test stay as they are.
    """
    refuse_existing(out)
    config = config_of(given, layout=layout, on_bad="skip", max_bad=1)
    splits = load_data(data, config, trainable=False, progress=ReadingBar("reading"))
    said = read_review(review, splits)
    version = write_version(data, layout, said, out)
    dropped = sum(one.label is None for one in said.corrections)
    counts = {
        "corrected": len(said.corrections) - dropped,
        "left_out": dropped,
        "confirmed": said.confirmed,
        "open": said.open,
    }
    if as_json:
        click.echo(json.dumps({"data": data, "version": str(out), **counts}))
        return
    click.echo(", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in counts.items()))
    click.echo(f"{visible(str(out))}: {version.note}")
    own = [f"--data.{name}={value}" for name, value in given.items() if value is not None]
    click.echo(f"next: {visible(shlex.join(['seewhy', 'train', '--data', str(out), *own]))}")


def to_json(suspects: Suspects, data: str) -> dict[str, Any]:
    """What was found, as JSON values."""
    return {
        "data": data,
        "n": suspects.n,
        "agreed": suspects.agreed,
        "weak": suspects.weak,
        "noise": suspects.noise,
        "count": len(suspects.found),
        "issues": [asdict(one) for one in suspects.found],
    }


def _write(suspects: Suspects, found: dict[str, Any], command: str, home: Path) -> None:
    from seewhy.plots.sheets import draw_suspects

    write_suspects(suspects.found, home / "label-issues.csv")
    write_atomic(home / "label-issues.json", json.dumps(found, indent=1).encode())
    give_for_review(suspects, command, home)
    if suspects.found:
        write_atomic(home / "label-issues.png", draw_suspects(suspects.found, suspects.shown))


def _told(suspects: Suspects, command: str, home: Path) -> str:
    found = suspects.found
    lines = [
        f"{len(found):,} of {suspects.n:,} labels look wrong to networks that had not seen the pictures",
        f"they agree with {suspects.agreed:.1%} of the labels; the fewer, the more right ones they doubt",
    ]
    if suspects.weak:
        lines.append(
            "that is no better than always naming the commonest class, so these suspicions are noise: give "
            "more --epochs, or another --recipe"
        )
    if not found:
        return "\n".join(lines)
    pairs = Counter((one.label, one.suggested) for one in found).most_common(PAIRS)
    rows = [("labelled", "looks like", "")]
    rows += [(visible(a), visible(b), f"{n:,}") for (a, b), n in pairs]
    surest = [("the surest", "labelled", "looks like")]
    surest += [(visible(o.id), visible(o.label), visible(o.suggested)) for o in found[:SUREST]]
    files = "label-issues.csv, .json, .png, review.csv, review.html"
    lines += ["", table(rows), "", table(surest), "", f"{visible(str(home))}: {files}"]
    lines.append(
        f"next: open {visible(str(home / 'review.html'))} in a browser, save review.csv there, then"
    )
    lines.append(f"      {visible(command)}")
    return "\n".join(lines)
