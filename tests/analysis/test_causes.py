"""A mistake is made for each cause, and the cause is found; what was not looked for is said."""

import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from data.pictures import scenes
from helpers import image_set
from PIL import Image

from seewhy.analysis.causes import Evidence, find_causes
from seewhy.analysis.labels.review import Suspect
from seewhy.analysis.mistakes import mistakes
from seewhy.config.input_rule import InputRule
from seewhy.evaluation.decision.record import Scope
from seewhy.evaluation.predictions import Predictions

CLASSES = ("ant", "bee")
DUPLICATE, LABEL, PICTURE, SCOPE, CONFUSION = range(5)


def pictures_of(images, labels, ids):
    made = image_set(np.array(labels), size=32, classes=CLASSES)
    return replace(made, images=images, ids=np.array(ids, object))


def predicted(images, wrong, embeddings):
    """Predictions of a set in which the first `wrong` are mistaken, the surest first."""
    labels = images.labels
    said = np.where(np.arange(len(labels)) < wrong, 1 - labels, labels)
    logits = np.eye(2, dtype=np.float32)[said] * np.linspace(9, 3, len(labels))[:, None]
    return Predictions(logits.astype(np.float32), labels, CLASSES, images.ids, embeddings)


@pytest.fixture
def evidence():
    """Five mistakes, one for each cause, among 200 validation images; 100 training images."""
    rng = np.random.default_rng(0)
    shown = scenes(300)
    val = pictures_of(shown[:200].copy(), [0] * 100 + [1] * 100, [f"v{n}" for n in range(200)])
    train = pictures_of(shown[200:].copy(), [0, 1] * 50, [f"t{n}" for n in range(100)])
    train = replace(train, hashes=np.array([b"t%031d" % n for n in range(100)], "S32"))
    val.images[PICTURE] //= 8
    train.images[1] = val.images[DUPLICATE][:, ::-1]  # mirrored, a bee where it is an ant
    directions = np.eye(8, dtype=np.float32)[train.labels]
    known = directions + 0.1 * rng.normal(size=(100, 8)).astype(np.float32)
    found = np.eye(8, dtype=np.float32)[val.labels] + 0.1 * rng.normal(size=(200, 8)).astype(
        np.float32
    )
    found[DUPLICATE] = known[1]
    found[SCOPE] = -1
    found[CONFUSION] = known[3] + 0.01
    digest = val.hashes[LABEL].decode()
    return Evidence(
        val=val,
        train=train,
        found=predicted(val, 5, found.astype(np.float32)),
        known=predicted(train, 0, known.astype(np.float32)),
        compared=np.arange(100),
        rule=InputRule(size=32, store=32),
        suspects={digest.encode(): Suspect("v1", digest, "ant", "bee", 0.9, 0.05, 0.95)},
        folder="folds",
    )


def causes(evidence):
    return find_causes(mistakes(evidence.found).worst, evidence)


def test_each_cause_is_found_where_it_was_made(evidence) -> None:
    found = causes(evidence)
    assert [one.row for one in found.mistakes] == [0, 1, 2, 3, 4]
    assert [one.cause for one in found.mistakes] == [
        *("duplicate", "label", "picture", "scope", "confusion")
    ]
    assert set(found.counts.values()) == {1} and found.unknown == ()
    said = [one.reasons[0] for one in found.mistakes]
    assert said == [
        "looks the same as t1 in training, labelled bee",
        "networks that had not seen it say bee, 95%",
        "nearly black",
        "of the 1% least like the images of any class",
        "4 of its 4 nearest training images are bee",
    ]


def test_the_nearest_training_images_are_the_evidence(evidence) -> None:
    near = causes(evidence).mistakes[DUPLICATE].nearest
    assert (near[0].row, near[0].id, near[0].label, near[0].same) == (1, "t1", "bee", True)
    assert near[0].similarity == pytest.approx(1) and not any(one.same for one in near[1:])


def test_the_same_image_is_found_where_the_network_sees_another(evidence) -> None:
    blind = evidence.known.embeddings.copy()
    blind[1] = -blind[1]  # of the copy, which is in JPEG
    known = replace(evidence.known, embeddings=blind)
    buffer = io.BytesIO()
    Image.fromarray(evidence.val.images[DUPLICATE]).save(buffer, "JPEG", quality=75)
    images = evidence.train.images.copy()
    images[1] = np.asarray(Image.open(buffer))
    train = replace(evidence.train, images=images)
    found = causes(replace(evidence, known=known, train=train)).mistakes[DUPLICATE]
    assert found.cause == "duplicate" and len(found.nearest) == 4
    first = found.nearest[0]
    assert (first.row, first.same, first.similarity) == (1, True, None)


def test_looks_are_compared_one_mistake_at_a_time(evidence) -> None:
    val, train = (
        replace(part, images=part.images.repeat(4, axis=1).repeat(4, axis=2))
        for part in (evidence.val, evidence.train)
    )
    found = predicted(val, 100, evidence.found.embeddings)
    tracemalloc.start()
    assert len(causes(replace(evidence, val=val, train=train, found=found)).mistakes) == 100
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100e6  # of all at a time it would be more than 200


def test_features_are_compared_with_a_part_of_many_training_images(evidence) -> None:
    compared = evidence.train.drawn_rows(50)
    assert len(set(compared.tolist())) == 50 and 1 not in compared
    known = predicted(evidence.train.take(compared), 0, evidence.known.embeddings[compared].copy())
    found = causes(replace(evidence, known=known, compared=compared))
    assert found.mistakes[DUPLICATE].nearest[0].row == 1  # found by its look among all
    near = found.mistakes[CONFUSION].nearest
    assert {one.row for one in near} <= set(compared.tolist())
    assert all(one.label == CLASSES[evidence.train.labels[one.row]] for one in near)
    assert found.mistakes[CONFUSION].reasons == (
        "4 of its 4 nearest of 50 training images are bee",
    )


def test_the_same_image_under_the_same_label_is_no_cause(evidence) -> None:
    train = replace(evidence.train, labels=np.zeros(100, np.int64))
    found = causes(replace(evidence, train=train)).mistakes[DUPLICATE]
    assert found.cause == "confusion" and found.nearest[0].same


def test_images_that_are_alike_by_nature_are_not_called_duplicates(evidence) -> None:
    noise = np.random.default_rng(0).integers(0, 8, (100, 32, 32, 3), np.uint8)
    train = replace(evidence.train, images=evidence.val.images[[DUPLICATE]] // 2 + noise)
    found = causes(replace(evidence, train=train))
    assert found.mistakes[DUPLICATE].cause == "confusion"
    assert found.counts["duplicate"] == 0 and found.unknown == ("duplicate",)


def test_without_other_opinions_labels_are_not_known(evidence) -> None:
    found = causes(replace(evidence, suspects=None))
    assert found.unknown == ("label",) and found.labels is None
    assert found.counts["label"] == 0 and found.mistakes[LABEL].cause == "confusion"


def test_doubted_labels_are_counted_in_training_too(evidence) -> None:
    suspect = evidence.suspects[bytes(evidence.val.hashes[LABEL])]
    more = {**evidence.suspects, bytes(evidence.train.hashes[8]): suspect}
    found = causes(replace(evidence, suspects=more)).labels
    assert (found.count, found.train, found.folder) == (2, 1, "folds")


def test_a_label_that_was_corrected_is_no_longer_doubted(evidence) -> None:
    suspect = evidence.suspects[bytes(evidence.val.hashes[LABEL])]
    key = bytes(evidence.val.hashes[LABEL])
    suspects = {key: replace(suspect, label="bee", suggested="ant")}
    suspects[bytes(evidence.train.hashes[9])] = suspect  # doubted as an ant, a bee now
    suspects[b"f" * 32] = suspect  # of other data
    found = causes(replace(evidence, suspects=suspects))
    assert found.mistakes[LABEL].cause == "confusion"
    assert (found.labels.count, found.labels.train) == (0, 0)


def test_of_few_images_the_least_familiar_is_not_called_out_of_scope(evidence) -> None:
    def first(n):
        few = evidence.val.take(np.arange(n))
        found = predicted(few, 5, evidence.found.embeddings[:n])
        return causes(replace(evidence, val=few, found=found))

    assert "scope" in first(99).unknown and first(99).counts["scope"] == 0
    assert "scope" not in first(100).unknown and first(100).counts["scope"] == 1


def test_the_least_familiar_is_found_however_many_features_and_classes_there_are(evidence) -> None:
    def wide(p):  # more numbers in the means than a model file carries
        return replace(p, embeddings=np.pad(p.embeddings, ((0, 0), (0, 10_000))))

    found = causes(replace(evidence, found=wide(evidence.found), known=wide(evidence.known)))
    assert found.unknown == () and found.mistakes[SCOPE].cause == "scope"


def test_networks_that_are_not_sure_make_no_label_likely_wrong(evidence) -> None:
    suspects = {
        key: replace(one, suggested_probability=0.89) for key, one in evidence.suspects.items()
    }
    found = causes(replace(evidence, suspects=suspects))
    assert found.mistakes[LABEL].cause == "confusion" and found.labels.count == 0
    assert found.unknown == ("label",)  # weak networks tell nothing
    assert causes(replace(evidence, suspects={})).unknown == ()  # sure ones that doubt none do


def test_the_model_s_own_rule_of_scope_is_taken_where_it_has_one(evidence) -> None:
    strict = Scope(score="probability", threshold=1.1)  # nothing is in scope
    found = causes(replace(evidence, scope=strict, suspects=None))
    assert found.counts["scope"] == 3 and found.counts["confusion"] == 0


def test_a_network_without_features_leaves_its_causes_unknown(evidence) -> None:
    bare = replace(
        evidence,
        found=replace(evidence.found, embeddings=None),
        known=replace(evidence.known, embeddings=None),
    )
    found = causes(bare)
    assert found.unknown == ("duplicate", "scope")
    assert all(one.nearest == () for one in found.mistakes)
    assert found.mistakes[CONFUSION].reasons == ("nothing else was found",)


def test_no_mistakes_have_no_causes(evidence) -> None:
    assert (
        causes(
            replace(evidence, found=predicted(evidence.val, 0, evidence.found.embeddings))
        ).mistakes
        == ()
    )


@pytest.mark.parametrize("place", ["left_out", "val"])
def test_an_identical_image_with_another_label_is_the_cause(evidence, place) -> None:
    val = evidence.val
    if place == "val":  # the ants 0 to 99 are mistakes; the bee is right
        hashes = val.hashes.copy()
        hashes[150] = hashes[CONFUSION]
        changed = replace(evidence, val=replace(val, hashes=hashes))
        reason = "the same image as v150, labelled bee, in validation"
    else:
        copies = val.take(np.array([CONFUSION, CONFUSION, CONFUSION]))
        copies = replace(
            copies, labels=np.array([-1, 0, 1]), ids=np.array(["none", "same", "other"], object)
        )
        changed = replace(evidence, left_out=copies)
        reason = "the same image as other, labelled bee, which was left out of train, as it is in"
    found = causes(changed)
    assert found.mistakes[CONFUSION].cause == "duplicate"
    assert found.mistakes[CONFUSION].reasons[0].startswith(reason)
    assert found.counts["duplicate"] == 2 and found.counts["confusion"] == 0
