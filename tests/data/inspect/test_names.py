"""Names of classes that deceive are told, plain ones are not."""

import unicodedata

import pytest

from seewhy.data.inspect.names import name_findings


def found(*classes: str, merged: tuple[str, ...] = ()) -> dict[str, list[tuple[str, str]]]:
    return {
        finding.kind: [(example.name, example.detail) for example in finding.examples]
        for finding in name_findings(classes, merged)
    }


@pytest.mark.parametrize(
    "classes",
    [
        ("cat", "dog"),
        ("猫", "犬", "кошка", "قطة"),
        ("chat noir", "chat blanc", "n° 1", "a'b", "ä", "a"),
        ("0", "1", "2", "9"),
        ("01", "02", "10"),
        ("1", "10", "two"),
        ("class_1", "class_2"),
        (),
    ],
)
def test_plain_names_are_left_alone(classes):
    assert found(*classes) == {}


@pytest.mark.parametrize(
    "one, other",
    [
        ("Cat", "cat"),
        ("straße", "STRASSE"),
        ("ﬁsh", "fish"),
        ("ｃａｔ", "cat"),
        ("red fox", "red_fox"),
        ("red fox", "red  fox"),
        ("cat", "cat "),
        ("cat", "ca\u200bt"),
        ("cat", "\ufeffcat"),
        ("no\u00a0fox", "no fox"),
    ],
)
def test_names_that_look_like_one_are_told(one, other):
    assert found("ant", one, other)["alike-names"][0][0] == one


def test_those_that_differ_by_an_accent_do_not_look_alike():
    names = [unicodedata.normalize("NFC", name) for name in ("résumé", "resume")]
    assert found(*names) == {}


@pytest.mark.parametrize(
    "name, detail",
    [
        (" cat", "space at an end"),
        ("cat\u3000", "space at an end"),
        ("red  fox", "two spaces in a row"),
        ("ca\u200bt", "has U+200B"),
        ("a\u00a0b", "has U+00A0"),
        ("a\tb", "has U+0009"),
        ("\u202egnp", "has U+202E"),
    ],
)
def test_what_does_not_show_is_told(name, detail):
    assert found("dog", name) == {"odd-names": [(name, detail)]}


def test_an_empty_name_is_no_trap_of_its_own():
    assert found("", "a") == {}  # training refuses it


def test_two_forms_of_unicode_are_told():
    assert list(found("é", "a", merged=("é",))) == ["unicode-names"]


def test_numbers_out_of_order_are_a_note():
    (finding,) = name_findings(("0", "1", "10", "2"))
    assert (finding.kind, finding.severity) == ("number-names", "note")
    assert finding.examples[0].name == "10"
    assert finding.examples[0].detail == "number 2, where counting gives 2"
