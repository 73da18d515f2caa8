"""What is read for an A/B test, the same on SQLite and on Postgres."""

from dataclasses import replace

from answers import ANSWER

from seewhy.registry import ab

CHAMPION, CHALLENGER = "c" * 64, "d" * 64


def shadowed(number, said, **facts):
    """The `number`th answer, "ant", of which the challenger says what it says."""
    beside = {"digest": CHAMPION, "shadow_digest": CHALLENGER}
    beside |= {"shadow_label": said, "shadow_confidence": 0.5}
    at = f"2026-11-29T12:00:{number:02}.000+00:00"
    return replace(ANSWER, request_id=f"r{number}", at=at, **{**beside, **facts})


def shown(number, unit, digest):
    """An answer to a unit that was shown the model of a digest, one of two that are split."""
    beside = {"unit": unit, "shadow_digest": CHALLENGER, "digest": digest}
    return replace(ANSWER, request_id=f"s{number}", **beside)


def test_what_both_said_is_read_in_the_order_of_the_answers(feedback):
    feedback.record(
        [
            *(shadowed(3, "bee"), shadowed(1, "bee"), shadowed(2, "ant"), shadowed(4, "wasp")),
            *(shadowed(5, None, shadow_digest=None), shadowed(6, "bee", name="others")),
        ]
    )
    feedback.label("r3", "bee", source="person")
    feedback.label("r1", "none of these")
    with feedback.database.reading() as connection:
        (pair,) = ab.pairs_of(connection, "photos")
        assert (pair.kind, pair.champion, pair.challenger) == ("shadow", CHAMPION, CHALLENGER)
        assert pair.images == 4 and pair.last[17:19] == "04"
        assert ab.count_disagreements(connection, "photos", pair) == 3
        found = ab.disagreements(connection, "photos", pair)
        assert ab.pairs_of(connection, "nothing") == []
    assert [(one.challenger, one.label, one.source) for one in found] == [
        *(("bee", "none of these", "client"), ("bee", "bee", "person"), ("wasp", None, None))
    ]
    assert {one.champion for one in found} == {"ant"}


def test_another_model_is_another_pair_and_the_last_comes_first(feedback):
    feedback.record([shadowed(1, "bee"), shadowed(2, "bee", digest="e" * 64), shadowed(3, "bee")])
    with feedback.database.reading() as connection:
        pairs = ab.pairs_of(connection, "photos")
    assert [(pair.champion[0], pair.images) for pair in pairs] == [("c", 2), ("e", 1)]


def test_the_audit_share_says_who_was_right(feedback):
    feedback.record([shadowed(number, "bee", audit=number < 4) for number in range(1, 6)])
    for number, label in ((1, "ant"), (2, "bee"), (3, "wasp"), (4, "ant")):
        feedback.label(f"r{number}", label, source="client" if number == 3 else "review")
    with feedback.database.reading() as connection:
        (pair,) = ab.pairs_of(connection, "photos")
        drawn, right = ab.audited(connection, "photos", pair, clients=False)
        assert drawn == 3 and right == [(True, False), (False, True)]
        _, right = ab.audited(connection, "photos", pair, clients=True)
    assert right == [(True, False), (False, True), (False, False)]


def test_units_are_read_with_what_they_were_shown(feedback):
    feedback.record([shown(1, "u", CHAMPION), shown(2, "v", CHALLENGER), shown(3, "v", CHALLENGER)])
    feedback.label("s2", "ant")
    feedback.label("s1", "bee")
    with feedback.database.reading() as connection:
        (pair,) = ab.pairs_of(connection, "photos")
        found = ab.judged(connection, "photos", pair)
    assert (pair.kind, pair.images) == ("split", 3)
    assert [(one.unit, one.challenger, one.right) for one in found] == [
        *(("v", True, True), ("u", False, False))
    ]
