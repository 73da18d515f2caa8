import json

import numpy as np
import pytest
from attacks import bundles as attacks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seewhy.config.input_rule import InputRule
from seewhy.errors import ModelFileError
from seewhy.evaluation.decision.record import Decision, Scope
from seewhy.inference import container
from seewhy.inference.bundle import Metadata
from seewhy.inference.metadata import Architecture

# Whatever metadata can be written can be read, and is the same.

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=256)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
DEPTHS = st.tuples(st.floats(0, 30_000), st.floats(30_001, 65_535))
RULES = st.integers(1, 1024).flatmap(
    lambda size: st.builds(
        InputRule,
        size=st.just(size),
        store=st.integers(size, 2048),
        fit=st.sampled_from(["crop", "pad", "squash"]),
        depth=st.none() | DEPTHS,
    )
)
SCOPES = st.builds(
    Scope,
    score=st.sampled_from(["probability", "max_logit", "energy"]),
    threshold=st.floats(allow_nan=False, allow_infinity=False),
)
METADATA = st.builds(
    Metadata,
    created_by=TEXT,
    architecture=st.builds(
        Architecture, name=TEXT, arguments=st.dictionaries(TEXT, JSON, max_size=3)
    ),
    classes=st.lists(NAMES, min_size=1, max_size=6, unique=True).map(tuple),
    rule=RULES,
    stored=DIGESTS,
    decision=st.builds(
        Decision,
        temperature=st.floats(0, 1000, exclude_min=True),
        threshold=st.none() | st.floats(0, 1),
        scope=st.none() | SCOPES,
    ),
    views=st.sampled_from([("identity",), ("flip",), ("identity", "flip")]),
    facts=st.dictionaries(TEXT, JSON, max_size=4),
    fingerprint=st.just("") | DIGESTS,
    parents=st.lists(DIGESTS, max_size=3).map(tuple),
)


@settings(max_examples=70)
@given(metadata=METADATA)
def test_metadata_come_back_as_they_were_written(metadata: Metadata) -> None:
    data = container.encode(metadata, {"golden.logits": np.zeros((8, 1), np.float32)})
    header, _ = container.parse(bytearray(data))
    assert header.metadata == metadata


@pytest.mark.parametrize(
    ("score", "means", "fits"),
    [
        ("similarity", ((1.0, 0.0), (0.0, 1.0)), True),
        ("similarity", (), False),
        ("energy", ((1.0, 0.0), (0.0, 1.0)), False),
        ("similarity", ((1.0, 0.0),), False),
        ("similarity", ((1.0, 0.0), (0.0,)), False),
    ],
)
def test_class_means_go_with_similarity_and_fit_the_classes(score, means, fits) -> None:
    fields = {
        "created_by": "a test",
        "architecture": {"name": "custom"},
        "classes": ("a", "b"),
        "rule": {"size": 8, "store": 8},
        "stored": "0" * 64,
        "decision": {"scope": {"score": score, "threshold": 0.5, "means": means}},
        "views": ("identity",),
        "facts": {},
        "fingerprint": "",
        "parents": (),
    }
    if fits:
        assert Metadata.model_validate(fields).decision.scope.means == means
    else:
        with pytest.raises(ValidationError, match="similarity"):
            Metadata.model_validate(fields)


def changed(metadata: Metadata, draw: st.DataObject) -> str:
    """The metadata as JSON with one value, somewhere, replaced by any other."""
    tree = json.loads(metadata.model_dump_json())
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw.draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and draw.draw(st.booleans()):
            node = node[key]
            continue
        node[key] = draw.draw(JSON | st.just([""] * 100_001) | st.just(10**400))
        return json.dumps(tree)


def check_changed_metadata(metadata: Metadata, draw: st.DataObject, tiny: bytes) -> None:
    header, body = attacks.split(tiny)
    header["__metadata__"]["seewhy"] = changed(metadata, draw)
    try:
        found, _ = container.parse(bytearray(attacks.join(header, body)))
    except ModelFileError as error:
        assert "\n" not in str(error)
        return
    again = container.encode(found.metadata, {"golden.logits": np.zeros((8, 1), np.float32)})
    assert container.parse(bytearray(again))[0].metadata == found.metadata


@settings(max_examples=70, suppress_health_check=list(HealthCheck))
@given(metadata=METADATA, draw=st.data())
def test_changed_metadata_are_refused_or_come_back(metadata, draw, tiny: bytes) -> None:
    check_changed_metadata(metadata, draw, tiny)


@pytest.mark.long
@settings(max_examples=10_000, suppress_health_check=list(HealthCheck))
@given(metadata=METADATA, draw=st.data())
def test_changed_metadata_at_full_size(metadata, draw, tiny: bytes) -> None:
    check_changed_metadata(metadata, draw, tiny)
