"""The input rule by itself: its geometry, and what names the stored pixels."""

import pytest
from pydantic import ValidationError

from seewhy.config.input_rule import InputRule


@pytest.mark.parametrize(
    "fit, box",
    [
        ("crop", (50.0, 0.0, 150.0, 100.0)),
        ("squash", (0.0, 0.0, 200.0, 100.0)),
        ("pad", (0.0, -50.0, 200.0, 150.0)),  # grey above and below
    ],
)
def test_the_part_that_is_seen_is_a_box_of_the_whole_image(fit, box):
    rule = InputRule(size=64, store=64, fit=fit)
    assert rule.seen(200, 100) == box
    left, top, right, bottom = box
    assert rule.seen(100, 200) == (top, left, bottom, right)
    assert rule.seen(100, 100) == (0, 0, 100, 100)


def test_evaluation_sees_the_centre_of_what_is_stored():
    assert InputRule(size=50, store=100).seen(300, 100) == (125, 25, 175, 75)
    assert InputRule(size=50, store=100, fit="squash").seen(300, 100) == (75, 25, 225, 75)
    assert InputRule(size=100, store=150, fit="pad").seen(300, 100) == (50, -50, 250, 150)


def test_a_thin_image_keeps_a_line_between_its_bars():
    across, down = InputRule(size=8, store=8, fit="pad").sides(1000, 1)
    assert across == (0, 1000, 0, 8) and down == (0, 1, 3, 1)


def test_the_key_of_a_bicubic_rule_is_that_of_before_there_was_another():
    assert InputRule(size=8, store=9).key == "store-9-7987b502b5d4af14"


def test_rules_of_one_key_store_the_same():
    rule = InputRule(size=8, store=9)
    assert rule.key != InputRule(size=8, store=9, interpolation="bilinear").key
    assert rule.key == InputRule(size=7, store=9).key
    others = [
        InputRule(size=8, store=8),
        InputRule(size=8, store=9, fit="pad"),
        InputRule(size=8, store=9, fit="squash"),
        InputRule(size=8, store=9, depth=(0, 4096)),
        InputRule(size=8, store=9, depth=(0, 4095)),
    ]
    assert len({rule.key, *(other.key for other in others)}) == 6


@pytest.mark.parametrize("depth", [(5, 5), (9, 3), (-1, 3), (0, 65_536), (0, float("nan"))])
def test_a_depth_is_a_range_within_16_bits(depth):
    with pytest.raises(ValidationError):
        InputRule(size=8, store=8, depth=depth)


def test_a_rule_of_the_first_format_crops_and_keeps_the_upper_byte():
    rule = InputRule.model_validate({"size": 8, "store": 9, "version": 1})
    assert rule.fit == "crop" and rule.depth is None


def test_a_rule_is_shown_in_words():
    rule = InputRule(size=8, store=9, fit="pad", depth=(16, 4096))
    assert str(rule) == "9x9 (pad), the network sees 8x8, more than 8 bits from 16 to 4096"
