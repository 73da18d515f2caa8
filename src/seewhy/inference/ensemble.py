"""Several models that answer as one: the mean of their calibrated probabilities."""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import UsageError
from seewhy.evaluation.decision.answers import decides
from seewhy.evaluation.decision.record import Decision
from seewhy.evaluation.predictions import log_softmax
from seewhy.inference.predictor import Outputs, Predictor

LEAST = float(np.finfo(np.float32).tiny)  # probability, so that each has a finite logarithm

# Settings that move no image between splits; the input rules of members are equal anyway.
CHOOSING = ("size", "fit", "depth", "limit", "on_bad", "max_bad")
# The facts that models trained on one split of the same data share; others, as metrics, are each one's own.
SHARED = ("data", "train_pictures")


@dataclass(frozen=True, eq=False, kw_only=True)
class Ensemble(Predictor):
    """Its logits are the logarithms of the mean of its members' calibrated probabilities.

    So its temperature is 1; it has no threshold, and no embeddings. Its `facts` are those that its members
    share, and name no data settings (None) where these were trained on different splits.
    """

    runtime = "ensemble"

    members: tuple[Predictor, ...]

    @staticmethod
    def of(members: Sequence[Predictor]) -> "Ensemble":
        """An ensemble of two models or more; classes are matched by name, in the order of the first.

        Raises `UsageError` where they know other classes, or need images of another form.
        """
        first, *others = members
        for other in others:
            if set(other.classes) != set(first.classes):
                apart = (
                    set(first.classes) - {*other.classes},
                    set(other.classes) - {*first.classes},
                )
                one, two = (", ".join(sorted(names)[:5]) or "none" for names in apart)
                raise UsageError(
                    f"the models of an ensemble have different classes (only in one: {one}; only in another: "
                    f"{two}): combine models with the same classes"
                )
            if other.rule != first.rule:
                raise UsageError(
                    "the models of an ensemble take images by different rules "
                    f"({first.rule} and {other.rule}): combine models of one input rule"
                )
        same_data = len({member.fingerprint for member in members}) == 1
        settings = [_split_settings(member) for member in members]
        same_split = settings[0] is not None and all(one == settings[0] for one in settings)
        facts: dict[str, Any] = {"recipe": {"data": settings[0] if same_split else None}}
        if same_data and same_split:
            recipe = {"recipe": {"data": first.data_settings}} if "recipe" in first.facts else {}
            shared = {name: first.facts[name] for name in SHARED if name in first.facts}
            facts = recipe | shared
        digests = tuple(member.digest for member in members)
        return Ensemble(
            members=tuple(members),
            classes=first.classes,
            rule=first.rule,
            decision=Decision(),
            views=("identity",),
            digest=hashlib.sha256(" ".join(digests).encode()).hexdigest(),
            facts=facts,
            fingerprint=first.fingerprint if same_data else "",
            parents=digests,
            parameters=sum(member.parameters for member in members),
        )

    @property
    def no_network(self) -> str:
        return (
            "several models are not a single network: use one of them, or to calibrate and to export the "
            "file that `seewhy ensemble` makes of them"
        )

    def in_full_precision(self) -> AbstractContextManager[None]:
        # That of one member, which holds none: the setting is the process's own.
        in_torch = (one for one in self.members if one.runtime == "torch")
        return next(in_torch, self.members[0]).in_full_precision()

    def outputs(self, images: NDArray[np.uint8], embed: bool = False) -> Outputs:
        total = np.zeros((len(images), len(self.classes)))
        for member in self.members:
            logits, temperature = member.outputs(images)[0], member.decision.temperature
            order = [member.classes.index(name) for name in self.classes]
            total += np.exp(log_softmax(logits, temperature))[:, order]
        mean = np.maximum(total / len(self.members), LEAST)
        return np.log(mean).astype(np.float32), None


def members_decide(predictor: Predictor) -> bool:
    """Whether it is an ensemble of models that may abstain, which the ensemble does not."""
    members = predictor.members if isinstance(predictor, Ensemble) else ()
    return any(decides(member.decision) for member in members)


def _split_settings(member: Predictor) -> dict[str, Any] | None:
    """How the data of a member was split, without what only chose among its training images.

    None for an ensemble whose own members were split in different ways.
    """
    settings = member.data_settings
    if settings is None:
        return None
    return {name: value for name, value in settings.items() if name not in CHOOSING}
