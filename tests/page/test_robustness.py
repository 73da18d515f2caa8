from dataclasses import replace

import pytest
from page.conftest import made
from plots.test_robustness import tried

from seewhy.analysis.robustness_record import Robustness
from seewhy.config.augment import AugmentConfig
from seewhy.config.recipe import load_recipe, recipe_names
from seewhy.evaluation.stats.intervals import Interval
from seewhy.events import Diagnostic
from seewhy.files import from_json, to_json
from seewhy.page.advice import advice
from seewhy.page.report import render
from seewhy.page.robustness import CURES, MILD, corruption_rows, doubts, hardest, headline, held


@pytest.fixture(scope="module")
def found() -> Robustness:
    return tried()


def test_the_worst_corruption_is_first_and_shaded_deepest(found) -> None:
    rows = corruption_rows(found)
    assert rows[0].name == "fog" and rows[-1].name == "JPEG compression"
    shades = [shade for _, shade in rows[0].cells]
    assert shades == sorted(shades) and shades[0] == 0 and shades[-1] == 9
    assert headline(found) == "Most harmful: fog (accuracy 50% instead of 90%)"


def test_a_change_that_nobody_sees_is_told_at_one_grey_level(found) -> None:
    assert "at most 1 of 255" in held(found) and held(found).endswith("the accuracy to 70.0%.")


def test_what_makes_the_results_doubtful_is_on_the_page(found) -> None:
    stored, images = made(("ant", "bee"))
    masking = Diagnostic("gradient masking", "gradient masking: so", "do <that>")
    for diagnostics in ((), (masking,)):
        record = replace(found, diagnostics=diagnostics)
        html = render(replace(stored, robustness=record), "photos", images)
        assert ("Gradient masking: so; do &lt;that&gt;." in html) == bool(diagnostics)
    old = to_json(found)
    del old["diagnostics"]
    assert doubts(from_json(Robustness, old)) == []


def test_each_harm_has_a_cure_that_augmentation_knows(found) -> None:
    assert set(CURES) == {*found.corruptions, *MILD}
    for field, value in CURES.values():
        assert AugmentConfig(**{field: value})
    for name, (strengths, _) in MILD.items():
        assert set(strengths) <= set(found.transformations[name].strengths)


def test_what_costs_little_is_not_advised(found) -> None:
    assert [field for _, field, _ in hardest(found)] == ["contrast", "rotate"]
    sure = Interval(0.85, 0.8, 0.9)
    corruptions = dict.fromkeys(found.corruptions, (sure,) * 5)
    curves = {
        name: replace(curve, accuracy=(sure,) * len(curve.accuracy))
        for name, curve in found.transformations.items()
    }
    assert hardest(replace(found, corruptions=corruptions, transformations=curves)) == []


def test_the_advice_is_a_command_until_the_augmentation_is_on(found) -> None:
    stored = made(("ant", "bee"))[0]
    stored = replace(stored, robustness=found)
    item = next(item for item in advice(stored, "my photos") if "Fog" in item.finding)
    assert item.command == (
        "seewhy train --data 'my photos' --recipe fast --set=train.epochs=3 --set=augment.contrast=0.3"
    )
    recipe = load_recipe("fast", {"train.epochs": 3, "augment.contrast": 0.3})
    stored = replace(stored, recipe=recipe)
    item = next(item for item in advice(stored, "my photos") if "Fog" in item.finding)
    assert item.command == "" and "on already" in item.action


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("field, value", sorted(set(CURES.values())))
def test_every_cure_is_taken_by_every_recipe(name, field, value) -> None:
    chosen = load_recipe(name, {f"augment.{field}": value})
    assert getattr(chosen.augment, field) == value


def test_the_page_has_the_section_where_it_was_run(found) -> None:
    stored, pictures = made(("ant", "bee"))
    assert 'id="robustness"' not in render(stored, "photos", pictures)
    stored = replace(stored, robustness=found)
    html = render(stored, "photos", pictures, figures="figures")
    assert 'id="robustness"' in html and 'href="#robustness"' in html
    for name in ("corruptions", "attacks", "transformations"):
        assert f'href="figures/robustness-{name}.svg"' in html
