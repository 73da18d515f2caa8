"""`seewhy data labels` and `seewhy data apply-review`: labels that look wrong, and their correction."""

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.experiments import table
from seewhy.cli.flags import config_of, fields, overrides, recipe_flags
from seewhy.cli.progress import Terminal, shown
from seewhy.text import visible

if TYPE_CHECKING:
    from seewhy.workflows.labels import LabelFindings

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
    with shown() as terminal:
        found = seewhy.find_label_issues(
            data, recipe, count, out=out, overrides=overrides(given), on_event=terminal
        )
    click.echo(json.dumps(seewhy.to_json(found)) if as_json else _text(found))


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
    config = config_of(given, layout=layout, on_bad="skip", max_bad=1)
    made = seewhy.apply_review(data, review, out, config, on_event=Terminal())
    if as_json:
        click.echo(json.dumps(seewhy.to_json(made)))
        return
    counts = {name: getattr(made, name) for name in ("corrected", "left_out", "confirmed", "open")}
    click.echo(", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in counts.items()))
    click.echo(f"{visible(str(out))}: {made.note}")
    own = [f"--data.{name}={value}" for name, value in given.items() if value is not None]
    click.echo(f"next: {visible(shlex.join(['seewhy', 'train', '--data', str(out), *own]))}")


def _text(findings: "LabelFindings") -> str:
    suspects, home, command = findings.suspects, findings.path, findings.command
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
