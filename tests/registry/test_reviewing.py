"""Which answers a person is asked about, the same on SQLite and on Postgres."""

from dataclasses import replace

import pytest
from answers import ANSWER

from seewhy.registry.feedback import Feedback
from seewhy.registry.records import KeptImage
from seewhy.registry.reviewing import LabelledAnswer

KINDS = {
    "sure": {},
    "agreed": {"shadow_label": "ant"},
    "disagreement": {"shadow_label": "bee"},
    "unsure": {"answer": "not sure"},
    "unsure disagreement": {"answer": "not sure", "shadow_label": "bee"},
    "audit": {"audit": True},
    "unsure audit": {"audit": True, "answer": "out of distribution"},
}


@pytest.fixture
def feedback(place):
    """Three answers of each kind, the oldest first; an image of the last of each."""
    with Feedback(place, make=True) as opened:
        for number in range(3):
            for kind, facts in KINDS.items():
                one = replace(
                    ANSWER, request_id=f"{kind} {number}", at=f"2026-01-0{number}", **facts
                )
                image = KeptImage(one.request_id, 0, b"jpeg")
                opened.record([one], [image] if number == 2 else [])
        yield opened


def test_disagreements_unsure_answers_and_the_audit_come_by_turns(feedback):
    asked = feedback.to_review(100)
    assert len(asked) == 15 and not {"sure", "agreed"} & {one.request_id[:-2] for one in asked}
    assert feedback.count_to_review() == {"disagreement": 6, "unsure": 6, "audit": 3}
    assert [one.reason for one in asked[:3]] == ["disagreement", "unsure", "audit"]
    assert [one.kept for one in asked] == [True] * 5 + [False] * 10  # what can be looked at first
    dates = {}
    for one in asked[5:]:
        dates.setdefault(one.reason, []).append(one.at)
    assert all(found == sorted(found) for found in dates.values())  # the oldest first
    assert len(feedback.to_review(4)) == 4


@pytest.mark.parametrize("kind", ["disagreement", "audit", "unsure audit"])
def test_what_is_labelled_is_not_asked_again(feedback, kind):
    first = next(one for one in feedback.to_review(100) if one.request_id.startswith(kind))
    feedback.label(first.request_id, "bee")
    assert first in feedback.to_review(100)  # a client's word is not enough
    assert feedback.label(first.request_id, "bee", source="review") == "unchanged"
    assert first not in feedback.to_review(100)
    assert sum(feedback.count_to_review().values()) == 14
    feedback.label(first.request_id, None)
    assert first in feedback.to_review(100)


def test_a_client_says_what_an_unsure_answer_is(feedback):
    feedback.label("unsure 0", "bee")
    assert "unsure 0" not in {one.request_id for one in feedback.to_review(100)}


def test_what_was_said_is_read_by_the_name_of_the_model(feedback):
    feedback.label("sure 2", "bee", source="review")
    feedback.label("audit 0", "ant")
    feedback.record([replace(ANSWER, request_id="other", name="others")])
    feedback.label("other", "bee")
    assert list(feedback.labelled("photos")) == [
        LabelledAnswer("audit 0", 0, "2026-01-00", "ant", True, "ant", "client", None),
        LabelledAnswer("sure 2", 0, "2026-01-02", "ant", False, "bee", "review", b"jpeg"),
    ]
