import math
import re

import pytest
import yaml

from seewhy.config.networks import NETWORKS
from seewhy.config.optimisers import OPTIMISERS
from seewhy.config.options import parse_value
from seewhy.config.recipe import (
    Recipe,
    load_recipe,
    options,
    parse_fields,
    recipe_names,
    to_yaml,
)
from seewhy.errors import UsageError
from seewhy.models.registry import cost


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_whole(name):
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.about and recipe.model.name in NETWORKS


def test_the_recipes_that_were_promised_are_there():
    promised = {
        *("digits", "simple-cnn", "regularized-cnn", "resnet18", "photos"),
        *("quick", "fast", "best"),
        *("advanced-cnn", "photo-cnn", "strided-cnn"),
        *("deep-baseline", "deep-batchnorm", "deep-dropout", "deep-augmented"),
    }
    assert promised <= set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipes_net_takes_its_options_and_its_images(name):
    recipe = load_recipe(name)
    options = recipe.model.options.model_dump()
    assert cost(recipe.model.name, num_classes=10, size=recipe.data.size, **options).parameters > 0


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_no_option_takes_a_number_that_a_model_file_could_not_store(value):
    for option in options():
        with pytest.raises(UsageError, match=re.escape(option.name)):
            load_recipe("simple-cnn", {option.name: value})


def test_each_deep_recipe_adds_one_thing_to_the_one_before():
    def changed(after, before):
        old, new = (load_recipe(name).model_dump() for name in (before, after))
        return {
            f"{section}.{field}"
            for section in ("data", "model", "augment", "train")
            for field in new[section]
            if new[section][field] != old[section][field]
        }

    assert changed("deep-batchnorm", "deep-baseline") == {"model.batch_norm", "train.epochs"}
    assert changed("deep-dropout", "deep-batchnorm") == {"train.dropout_schedule"}
    augmented = {"augment.flip", "augment.rotate", "augment.shift", "augment.padding_mode"}
    assert changed("deep-augmented", "deep-dropout") == {*augmented, "train.epochs"}


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_its_yaml(name, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(to_yaml(load_recipe(name)))
    assert load_recipe(path) == load_recipe(name)


def test_a_users_recipe_extends_another_and_is_extended(tmp_path):
    (tmp_path / "base.yaml").write_text("extends: simple-cnn\ntrain: {epochs: 3}\n")
    (tmp_path / "top.yaml").write_text("extends: base.yaml\ntrain: {lr: 0.5}\n")
    recipe = load_recipe(tmp_path / "top.yaml")
    assert (recipe.train.epochs, recipe.train.lr, recipe.model.name) == (3, 0.5, "simple_cnn")
    assert recipe.name == "top"


def test_none_clears_an_inherited_option_unless_it_is_quoted(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: fast\ntrain: {optimizer: sgd, fixed_norm: none, adamw_lr: None, unfreeze: none}\n"
        "data: {label_column: 'none'}\nsearch: {train.clip: {choices: [none, 1]}}\n"
    )
    recipe = load_recipe(path)
    assert (recipe.train.fixed_norm, recipe.train.adamw_lr, recipe.train.unfreeze) == (None,) * 3
    assert recipe.data.label_column == "none"
    assert recipe.search["train.clip"].choices == (None, 1)


def test_recipes_that_extend_in_a_circle_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(UsageError, match="circle"):
        load_recipe(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trian: {epochs: 3}", "unknown field trian"),  # codespell:ignore
        ("train: {epoch: 3}", r"unknown field train\.epoch: did you mean train\.epochs"),
        ("train: {epochs: many}", r"train\.epochs"),
        ("train: {epochs: 0}", r"train\.epochs"),
        ("train: {unfreeze: some}", r"train\.unfreeze: .*'auto' or 'all', or none \(got"),
        ("[1, 2]", "expected sections"),
        ("train: {epochs: 3", "not YAML"),
        ("train: {epochs: 3}\ndata: {}\ntrain: {lr: 1}", "train is there twice"),
        ("train: {epochs: 3, lr: 1, epochs: 4}", "epochs is there twice"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("about: 2024-31-01", "not YAML: month must be in 1..12"),
        ("model: {name: speednet}\nviews: [sideways]", "views"),
        ("views: [flip, flip]", "views: a view is named twice"),
        (
            "model: {name: speednet, channels: 12}",
            r"channels: .*a list, such as '\[1, 2\]' \(got 12",
        ),
    ],
)
def test_a_wrong_recipe_is_refused_with_the_place(tmp_path, text, message):
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_recipe(tmp_path / "wrong.yaml")


def test_an_unknown_name_lists_the_known_and_the_nearest():
    with pytest.raises(UsageError, match=r"did you mean simple-cnn\?.*resnet18"):
        load_recipe("simple-cn")


def test_overrides_go_by_dotted_name():
    recipe = load_recipe("fast", {"train.epochs": 2, "augment.flip": None, "model.width": 0.5})
    assert (recipe.train.epochs, recipe.augment.flip, recipe.model.width) == (2, None, 0.5)
    with pytest.raises(UsageError, match=r"train\.lr"):
        load_recipe("fast", {"train.lrr": 2})


def test_a_fault_of_an_override_blames_no_recipe(tmp_path):
    with pytest.raises(UsageError, match=r"^train\.lr: .*got 'abc'"):
        load_recipe("fast", {"train.lr": "abc"})
    (tmp_path / "wrong.yaml").write_text("train: {epochs: many}")
    with pytest.raises(UsageError, match=r"^recipe .*wrong\.yaml: train\.epochs"):
        load_recipe(tmp_path / "wrong.yaml", {"train.lr": 0.1})


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, 224),
        ({"model.name": "efficientnet_lite1"}, 240),
        ({"model.name": "efficientnet_lite1", "data.size": 160}, 160),
        ({"model.name": "photo_cnn", "model.weights": None}, 32),
    ],
)
def test_images_are_of_the_size_that_the_weights_were_trained_with(changes, size):
    assert load_recipe("transfer", changes).data.size == size


def test_values_as_typed():
    assert [parse_value(t) for t in ("3", "1e-3", "none", "null", "sgd", "[identity, flip]")] == [
        *(3, "1e-3", None, None, "sgd"),
        ["identity", "flip"],
    ]
    assert load_recipe("fast", {"train.lr": parse_value("1e-3")}).train.lr == 0.001
    with pytest.raises(UsageError, match="not a value"):
        parse_value("[1")
    with pytest.raises(UsageError, match="'2024-31-01' is not a value"):
        parse_value("2024-31-01")


def test_a_recipe_that_the_system_does_not_open_is_refused():
    with pytest.raises(UsageError, match="cannot be read: File name too long"):
        load_recipe("long" * 100)


@pytest.mark.parametrize(
    ("file", "name"),
    [("my recipe (2)", "my-recipe-2"), ("Äpfel_.v2", "Apfel_.v2"), ("苹果", "custom")],
)
def test_a_recipe_has_the_name_of_its_file_whatever_its_letters(tmp_path, file, name):
    (tmp_path / f"{file}.yaml").write_text("extends: digits\n")
    assert load_recipe(tmp_path / f"{file}.yaml").name == name


@pytest.mark.parametrize(
    "text", [r"[a-z]+(\d+)_", "(a): b", "*", "2024", "yes", "2024-01-01", "a #2"]
)
def test_a_field_of_text_takes_it_as_typed(text):
    for typed in (text, f'"{text}"'.replace("\\", "\\\\")):
        fields = parse_fields({"data.group_from": typed, "train.lr": "1e-3"})
        recipe = load_recipe("fast", fields)
        assert recipe.data.group_from == text and recipe.train.lr == 0.001


@pytest.mark.parametrize("text", ["", "none", "None", "null", "~"])
def test_a_field_of_text_is_turned_off(text):
    assert parse_fields({"train.teacher": text}) == {"train.teacher": None}


def test_options_are_all_the_leaves():
    names = {option.name for option in options()}
    leaves = set()

    def walk(tree, prefix=""):
        for key, value in tree.items():
            walk(value, f"{prefix}{key}.") if isinstance(value, dict) else leaves.add(prefix + key)

    walk(yaml.safe_load(to_yaml(Recipe())))
    assert names == leaves - {"name", "about"}
    assert all(option.field.description for option in options())
    assert next(o.kind for o in options() if o.name == "train.optimizer") == "|".join(OPTIMISERS)


def test_a_search_space_is_inherited_and_changes_no_run(tmp_path):
    text = "extends: fast\nsearch: {train.lr: {low: 0.2}, model.width: {choices: [1, 2]}}\n"
    (tmp_path / "mine.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "mine.yaml")
    assert (recipe.search["train.lr"].low, recipe.search["train.lr"].high) == (0.2, 0.5)
    assert recipe.search["model.width"].choices == (1, 2)
    assert "search" not in recipe.model_dump() and "search" not in {o.name for o in options()}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("train.lrr: {low: 1, high: 2}", r"no recipe field 'train\.lrr': did you mean train\.lr"),
        ("train.lr: {low: 1}", "low and high, or choices"),
        ("train.lr: {low: 1, high: 2, choices: [1, 2]}", "low and high, or choices"),
        ("train.lr: {low: 2, high: 1}", "must be below"),
        ("train.lr: {low: -1, high: 1, log: true}", "above 0"),
        ("train.lr: {low: 0, high: 1}", "0 does not fit"),
        ("train.lr: {low: 1, high: 2, step: 1}", "step"),
        ("train.epochs: {low: 1.5, high: 3}", "1.5 does not fit"),
        ("train.lr: {low: 1, high: .inf}", "finite"),
        ("train.lr: {choices: [1, .nan]}", "got nan"),
        ("train.optimizer: {low: 1, high: 2}", "give choices"),
        ("train.optimizer: {choices: [sgd, nothing]}", "'nothing' does not fit"),
        ("train.optimizer: {choices: [sgd]}", "choices"),
        ("train.optimizer: {choices: [sgd, adam], log: true}", "log has no effect"),
        ("train.seed: {low: 0, high: 9}", "cannot be compared"),
        ("data.val: {low: 0.1, high: 0.2}", "cannot be compared"),
    ],
)
def test_a_search_space_that_does_not_fit_its_field_is_refused(tmp_path, space, message):
    (tmp_path / "wrong.yaml").write_text(f"search:\n  {space}\n")
    with pytest.raises(UsageError, match=message):
        load_recipe(tmp_path / "wrong.yaml")
