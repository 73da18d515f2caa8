"""`seewhy completion`, and what a shell completes beside verbs, flags and files."""

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes verbs, flags, recipes, networks, models and runs.

    \b
    bash, last in ~/.bashrc            eval "$(seewhy completion bash)"
    zsh, after compinit in ~/.zshrc    eval "$(seewhy completion zsh)"
    fish, in config.fish               seewhy completion fish | source
    """
    made = get_completion_class(shell)
    assert made is not None
    root = context.find_root().command
    click.echo(made(root, {}, "seewhy", "_SEEWHY_COMPLETE").source())


def complete(names: Callable[[], Iterable[str]]) -> Complete:
    """Completes one of these names, or else the path of a file."""

    def items(_: click.Context, __: click.Parameter, start: str) -> list[CompletionItem]:
        known = [CompletionItem(name) for name in names() if name.startswith(start)]
        return known or [CompletionItem(start, type="file")]

    return items


def _models() -> Iterable[str]:
    """The shipped models, and the finished runs in runs/."""
    import seewhy

    yield from seewhy.shipped_models()
    for path in sorted(Path("runs").glob("*/model.safetensors")):
        yield str(path.parent)


def _recipes() -> Iterable[str]:
    from seewhy.config.recipe import recipe_names

    return recipe_names()


models, recipes = complete(_models), complete(_recipes)
data_sets, files = complete(lambda: ("cifar10", "digits")), complete(tuple)
