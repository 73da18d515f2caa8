"""`seewhy recipes`."""

import click

from seewhy.cli.options import as_json, refuse_given, show
from seewhy.cli.screen import facts
from seewhy.config.recipe import load_recipe, recipe_names, to_yaml


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the recipes; `show NAME` prints one in full, ready to be saved and edited."""
    if context.invoked_subcommand is not None:
        refuse_given({"as_json": "--json"}, "lists the recipes: `show` prints one as YAML")
        return
    recipes = {name: load_recipe(name).about for name in recipe_names()}
    show(recipes, as_json, lambda _: [facts(recipes.items())])


@command.command(name="show")
@click.argument("name")
def show_recipe(name: str) -> None:
    """Print a recipe in full."""
    click.echo(to_yaml(load_recipe(name)), nl=False)
