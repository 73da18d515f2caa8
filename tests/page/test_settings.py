import shlex
from dataclasses import replace

import pytest
from page.conftest import made
from page.test_story import causes, with_causes
from plots.test_robustness import tried

from seewhy.config.options import parse_value
from seewhy.config.recipe import load_recipe, recipe_names
from seewhy.page.advice import advice
from seewhy.page.report import render
from seewhy.page.settings import settings


def read(words: list[str]):
    """The recipe that such words of a command ask for."""
    changes = [word.removeprefix("--set=").split("=", 1) for word in words[2:]]
    return load_recipe(words[1], {name: parse_value(text) for name, text in changes})


@pytest.mark.parametrize("name", recipe_names())
def test_the_words_give_the_recipe_of_the_run_back(name: str) -> None:
    plain = load_recipe(name)
    assert settings(plain) == ["--recipe", name]
    changes = {
        "train.epochs": 3,
        "train.weight_decay": 1e-5,
        "augment.flip": None,
        "views": ["identity"],
    }
    run = load_recipe(name, changes)
    assert read(settings(run)) == run


def test_what_is_asked_for_wins_over_what_the_run_had() -> None:
    run = load_recipe("deep-augmented", {"augment.rotate": None})
    assert read(settings(run, {"augment.rotate": 20})).augment.rotate == 20


def test_no_training_is_printed_by_a_recipe_that_is_not_shipped() -> None:
    stored = with_causes(made(("ant", "bee"))[0], causes())
    stored = replace(stored, robustness=tried())
    assert (
        "seewhy train" in (page := render(stored, "photos", None)) and "data labels photos" in page
    )
    stored = replace(stored, recipe=stored.recipe.model_copy(update={"name": "my-own"}))
    page = render(stored, "photos", None)
    assert "seewhy train" not in page and "data labels photos" not in page and "my-own" in page
    commands = [shlex.split(item.command) for item in advice(stored, "photos") if item.command]
    assert not any("my-own" in words for words in commands)
