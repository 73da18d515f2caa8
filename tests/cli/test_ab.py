"""`seewhy ab`: what an A/B test shows so far, and the command that acts on it."""

import json
import shlex
from dataclasses import replace

import pytest
from answers import ANSWER
from helpers import call

import seewhy
from seewhy.errors import RegistryError
from seewhy.inference.registered import open_feedback
from seewhy.registry.records import now


@pytest.fixture
def digests(tmp_path, monkeypatch):
    """The digests of the champion and of the challenger of `photos`."""
    monkeypatch.setenv("SEEWHY_REGISTRY", str(tmp_path / "registry.db"))
    found = [seewhy.register(model, "photos").digest for model in ("fast", "simple-cnn")]
    with seewhy.open_registry() as registry:
        registry.promote("photos", 1)
        registry.promote("photos", 2, "challenger")
    return found


def served(digests, said, *, agreed=0, labels=(), source="person", **facts):
    """Records images of which the challenger says `said` and the champion "ant", and others; labels some."""
    beside = {"digest": digests[0], "shadow_digest": digests[1], "shadow_confidence": 0.5, **facts}
    everything = [*said, *["ant"] * agreed]
    answers = [
        replace(ANSWER, request_id=f"{number:04}", at=now(), shadow_label=label, **beside)
        for number, label in enumerate(everything)
    ]
    with open_feedback() as feedback:
        feedback.record(answers)
        for number, label in enumerate(labels):
            if label:
                feedback.label(f"{number:04}", label, source=source)


def status(*flags):
    return json.loads(call("ab", "status", "photos", "--json", *flags).out)


def test_a_better_challenger_is_promoted_by_the_next_command(digests):
    served(digests, ["bee"] * 40, agreed=360, labels=["bee"] * 18 + ["ant"] * 2 + ["wasp"])
    text = call("ab", "status", "photos").out
    assert "photos: champion photos@1, challenger photos@2 (shadow)" in text
    assert "You may stop: the challenger is right more often" in text
    assert (
        "400 images answered by both. They disagree on 40 (10.0%), of which 21 have a label" in text
    )
    assert (
        "18 that only the challenger got right, 2 that only the champion did, 1 that neither"
        in text
    )
    first, second = text.split("next: ")[1].split(" | ")
    evidence = call(*shlex.split(first)[1:]).out
    call(*shlex.split(second)[1:], stdin=evidence)
    (event,) = json.loads(call("registry", "history", "photos", "--json").out)["events"][-1:]
    assert (event["kind"], event["version"], event["previous"]) == ("promote", 2, 1)
    assert event["evidence"]["test"]["verdict"] == "challenger"
    assert event["evidence"]["test"]["evidence"] > event["evidence"]["test"]["enough"] == 20


def test_the_next_command_keeps_the_flags_that_it_was_found_by(digests, tmp_path):
    served(digests, ["bee"] * 40, agreed=360, labels=["bee"] * 30, source="client")
    flags = ("--clients", "--margin", "0.02", "--registry", str(tmp_path / "registry.db"))
    first, second = map(shlex.split, status(*flags)["next"].split(" | "))
    assert set(flags) < set(first)
    assert set(flags[3:]) < set(second)


def test_it_says_what_is_missing_and_what_it_costs_to_be_wrong(digests):
    served(digests, ["bee"] * 40, agreed=360, labels=["bee", "bee", "ant"] * 4)
    found = status()
    assert found["test"]["verdict"] == "open" and found["next"] is None
    assert found["test"]["labels_needed"] > 28 and found["test"]["images_needed"] > 0
    told = " ".join(found["text"])
    assert "It cannot be told yet which is right more often" in told
    assert "If it goes on so, about" in told and "more images must be answered" in told
    assert "To promote the challenger now costs at worst" in told


def test_labels_of_clients_do_not_count_unless_asked(digests):
    served(digests, ["bee"] * 40, agreed=360, labels=["bee"] * 30, source="client")
    found = status()
    assert found["test"]["verdict"] == "open" and found["test"]["labels"] == 0
    assert "30 labels were sent by clients and left out" in " ".join(found["text"])
    assert status("--clients")["test"]["verdict"] == "challenger"


def test_a_larger_margin_makes_two_models_equal(digests):
    served(digests, ["bee"] * 2, agreed=998)
    assert status()["test"]["verdict"] == "open"
    found = status("--margin", "0.02")
    assert (
        found["test"]["verdict"] == "equal"
        and "You may stop: they differ by less" in found["text"][0]
    )


def test_the_audit_share_shows_how_good_both_are(digests):
    served(digests, ["bee"] * 10, labels=["bee"] * 4 + ["ant"], audit=True)
    assert "On images drawn at random (5 of 10 have a label)" in " ".join(status()["text"])


def test_the_pair_that_is_promoted_now_is_shown(digests):
    served(digests, ["bee"])
    with open_feedback() as feedback:
        later = replace(ANSWER, request_id="z", digest="e" * 64, at=now())
        feedback.record([replace(later, shadow_digest="f" * 64, shadow_label="bee")])
    assert status()["champion"] == digests[0]
    with seewhy.open_registry() as registry:
        registry.promote("photos", 2)
    assert status()["champion"] == "e" * 64  # none is: the last one


def test_split_units_tell_too(digests):
    with open_feedback() as feedback:
        feedback.record(
            [
                replace(
                    ANSWER,
                    request_id=f"{number:04}",
                    unit=f"unit-{number}",
                    digest=digests[number % 2],
                    shadow_digest=digests[1],
                    at=now(),
                )
                for number in range(600)
            ]
        )
        for number in range(600):
            right = "ant" if number % 2 or number % 4 == 0 else "bee"
            feedback.label(f"{number:04}", right)
    found = status()
    assert found["test"]["kind"] == "split" and found["test"]["verdict"] == "challenger"
    assert found["test"]["difference"]["value"] == pytest.approx(0.5)
    assert found["clients_count"] is True


def test_without_a_challenger_it_says_how_to_serve_one(digests):
    with pytest.raises(RegistryError) as error:
        seewhy.ab_status("photos")
    assert error.value.code == "no_test"
    assert "--challenger registry:photos@challenger" in call("ab", "status", "photos", code=2).err


@pytest.mark.parametrize("text", ["[1]", "no json", ""])
def test_evidence_is_one_json_object(digests, text):
    line = ("registry", "promote", "photos", 2, "--evidence", "-")
    assert (
        "--evidence -: expected a file with one JSON object" in call(*line, stdin=text, code=2).err
    )
