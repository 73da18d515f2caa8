"""`seewhy recipes`."""

import json

import click

from seewhy.config.recipe import load_recipe, recipe_names, to_yaml


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the recipes; `show NAME` prints one in full, ready to be saved and changed."""
    if context.invoked_subcommand is not None:
        return
    recipes = {name: load_recipe(name).about for name in recipe_names()}
    if as_json:
        click.echo(json.dumps(recipes))
        return
    for name, about in recipes.items():
        click.echo(f"{name:<18}{about}")


@command.command()
@click.argument("name")
def show(name: str) -> None:
    """Print a recipe in full."""
    click.echo(to_yaml(load_recipe(name)), nl=False)
