"""`seewhy info`."""

import json

import click

import seewhy


@click.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
def command(model: str, as_json: bool) -> None:
    """Say what MODEL holds: network, classes, input rule, how it was trained, and its digest."""
    result = seewhy.info(model)
    if as_json:
        click.echo(json.dumps(seewhy.to_json(result)))
        return
    path, header, about = result.file, result.header, result.header.metadata
    recipe = about.facts.get("recipe", {})
    lines = {
        "file": f"{path} ({header.size / 1e6:.1f} MB)",
        "digest": header.digest,
        "network": f"{about.architecture.name} {about.architecture.arguments}",
        "classes": f"{len(about.classes):,}: {', '.join(about.classes[:12])}"
        + (", ..." if len(about.classes) > 12 else ""),
        "input": f"{about.rule.size}x{about.rule.size} from {about.rule.store}x{about.rule.store} RGB",
        "views": ", ".join(about.views),
        "temperature": f"{about.decision.temperature:.3f}",
        "recipe": recipe.get("name", "-") if isinstance(recipe, dict) else "-",
        "trained": ", ".join(f"{k} {v}" for k, v in about.facts.items() if k != "recipe"),
        "parents": ", ".join(about.parents) or "none",
        "made by": about.created_by,
    }
    for name, text in lines.items():
        click.echo(f"{name:<12}{text}")
