from pathlib import Path

import pytest

from seewhy.config.plan import load_plan, make_plan, variants
from seewhy.config.recipe import load_recipe
from seewhy.errors import UsageError
from seewhy.models.registry import cost

BASE = "regularized-cnn"


def plan(rows, **fields):
    return make_plan({"recipe": BASE, "rows": rows, **fields}, "the plan")


def overrides(rows, **fields):
    given = fields.pop("given", {})
    return {v.name: dict(v.overrides) for v in variants(plan(rows, **fields), BASE, given)}


def test_rows_add_options_and_take_them_away():
    found = overrides(
        {
            "no flips": {"without": "augment.flip"},
            "no augmentation": {"without": ["augment"]},
            "averaged": {"with": {"train.ema": 0.99}, "without": ["augment.flip"]},
        }
    )
    assert found == {
        "regularized-cnn": {},
        "no flips": {"augment.flip": None},
        "no augmentation": {
            "augment.flip": None,
            "augment.crop_padding": None,
            "augment.padding_mode": None,
        },
        "averaged": {"train.ema": 0.99, "augment.flip": None},
    }


def test_a_row_can_build_on_another_and_is_compared_with_it():
    rows = {
        "wider": {"with": {"model.dropout": 0.3}},
        "wider, longer": {"after": "wider", "with": {"train.epochs": 9}},
    }
    found = variants(plan(rows), BASE, {})
    assert dict(found[2].overrides) == {"model.dropout": 0.3, "train.epochs": 9}
    assert [one.after for one in found] == [None, "regularized-cnn", "wider"]
    assert found[2].changes == "train.epochs=9"


def test_a_row_can_start_from_another_recipe():
    rows = {"plain": {"recipe": "simple-cnn", "with": {"train.lr": 0.5}}}
    found = variants(plan(rows, set={"train.epochs": 3}), BASE, {})
    assert (found[0].recipe, found[1].recipe) == ("regularized-cnn", "simple-cnn")
    assert dict(found[1].overrides) == {"train.epochs": 3, "train.lr": 0.5}
    assert found[1].changes == "simple-cnn, train.lr=0.5"


def test_what_is_set_for_all_rows_yields_to_the_command_and_to_the_row():
    rows = {"longer": {"with": {"train.epochs": 9}}}
    found = overrides(rows, set={"train.epochs": 3, "train.lr": 0.1}, given={"train.epochs": 2})
    assert found == {
        "regularized-cnn": {"train.epochs": 2, "train.lr": 0.1},
        "longer": {"train.epochs": 9, "train.lr": 0.1},
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"x": {"with": {"train.lrr": 1}}}, r"row 'x'.*did you mean train\.lr"),
        ({"x": {"with": {"train.epochs": 0}}}, r"row 'x'.*train\.epochs"),
        ({"x": {"with": {"augment.flip": 0.5}}}, "augment.flip is 0.5 already"),
        ({"x": {"without": "train.ema"}}, "not set, so there is nothing to remove"),
        ({"x": {"without": "augmentation"}}, "no recipe field or section 'augmentation'"),
        ({"x": {"without": "augment.crop_padding"}}, "padding_mode has no effect"),
        ({"x": {}}, "changes nothing"),
        ({"x": {"with": {"train.seed": 7}}}, "row 'x'.*train.seed is that of each run"),
        ({"x": {"after": "y", "with": {"train.lr": 1}}}, "no row above it"),
        ({"x": {"recipe": "none-such"}}, "no recipe or file 'none-such'"),
        ({"regularized-cnn": {"recipe": "fast"}}, "two rows 'regularized-cnn'"),
        (
            {"a/b": {"with": {"train.lr": 1}}, "a b": {"with": {"train.lr": 2}}},
            "share a folder",
        ),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_name(rows, message):
    with pytest.raises(UsageError, match=message):
        variants(plan(rows), BASE, {})


def test_a_plan_is_read_from_yaml_with_recipes_beside_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: simple-cnn\n")
    (tmp_path / "plan.yaml").write_text(
        "about: x\nrecipe: mine.yaml\nseeds: 2\ntarget: 0.6\nset: {train.epochs: 3}\n"
        "rows:\n  other: {recipe: mine.yaml, with: {train.lr: 0.1}}\n  fast: {recipe: fast}\n"
    )
    found = load_plan(tmp_path / "plan.yaml")
    assert (found.seeds, found.target, found.set_) == (2, 0.6, {"train.epochs": 3})
    recipes = [one.recipe for one in variants(found, found.recipe, {})]
    assert recipes == [str(tmp_path / "mine.yaml")] * 2 + ["fast"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: {}", "rows"),
        ("rows: {x: {wth: {train.lr: 1}}}", r"rows\.x\.wth"),  # codespell:ignore
        ("rows: {x: {with: {train.lr: 1}}}\nseeds: 0", "seeds"),
        ("rows: {x: {with: {train.lr: 1}}}\ntarget: 60", "target"),
        ("[1, 2]", "it: "),
        ("rows: {x: ", "not YAML"),
        ("rows:\n x: {with: {train.lr: 1}}\n x: {without: augment}", "x is there twice"),
    ],
)
def test_a_wrong_plan_is_refused_with_the_place(tmp_path, text, message):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_plan(tmp_path / "plan.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        load_plan(tmp_path / "none.yaml")


SHIPPED = sorted((Path(__file__).parents[2] / "benchmarks" / "ablations").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_plans_of_the_benchmarks_fit_their_recipes_and_nets(path):
    found = load_plan(path)
    assert found.about
    for variant in variants(found, found.recipe, {}):
        recipe = load_recipe(variant.recipe, variant.overrides)
        options = recipe.model.model_dump(exclude={"name"})
        assert cost(recipe.model.name, num_classes=10, size=recipe.data.size, **options).parameters


def test_the_base_can_have_a_name_of_its_own():
    found = variants(plan({"x": {"with": {"train.lr": 1}}}, base="as it was"), BASE, {})
    assert [one.name for one in found] == ["as it was", "x"] and found[1].after == "as it was"
