"""`seewhy info`."""

from typing import TYPE_CHECKING

import click

import seewhy
from seewhy.cli.options import as_json, show

if TYPE_CHECKING:
    from seewhy.workflows.models import ModelInfo


@click.command()
@click.argument("model")
@as_json
def command(model: str, as_json: bool) -> None:
    """Show what MODEL contains: network, classes, input rule, training facts, and its digest."""
    show(seewhy.info(model), as_json, _text)


def _text(result: "ModelInfo") -> str:
    path, header, about = result.file, result.header, result.header.metadata
    recipe = about.facts.get("recipe", {})
    lines = {
        "file": f"{path} ({header.size / 1e6:.1f} MB)",
        "digest": header.digest,
        "network": f"{about.architecture.name} {about.architecture.arguments}",
        "classes": f"{len(about.classes):,}: {', '.join(about.classes[:12])}"
        + (", ..." if len(about.classes) > 12 else ""),
        "input": str(about.rule),
        "TTA views": ", ".join(about.views),
        "temperature": f"{about.decision.temperature:.3f}",
        "recipe": recipe.get("name", "-") if isinstance(recipe, dict) else "-",
        "trained": ", ".join(f"{k} {v}" for k, v in about.facts.items() if k != "recipe"),
        "parents": ", ".join(about.parents) or "none",
        "made by": about.created_by,
    }
    return "\n".join(f"{name:<12}{text}" for name, text in lines.items())
