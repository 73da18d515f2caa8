"""Several models that answer as one: the mean of their calibrated probabilities."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import UsageError
from seewhy.evaluation.decision.record import Decision
from seewhy.evaluation.predictions import log_softmax
from seewhy.inference.predictor import Outputs, Predictor

LEAST = float(np.finfo(np.float32).tiny)  # probability, so that each has a finite logarithm


@dataclass(frozen=True, eq=False, kw_only=True)
class Ensemble(Predictor):
    """Its logits are the logarithms of the mean of its members' calibrated probabilities.

    So its temperature is 1; it has no threshold, and no embeddings.
    """

    members: tuple[Predictor, ...]

    @staticmethod
    def of(members: Sequence[Predictor]) -> "Ensemble":
        """An ensemble of two models or more; classes are matched by name, in the order of the first.

        Raises `UsageError` where they know other classes, or need images of another form.
        """
        first, *others = members
        for other in others:
            if set(other.classes) != set(first.classes):
                apart = sorted(set(other.classes) ^ set(first.classes))
                raise UsageError(
                    f"the models of an ensemble know different classes ({', '.join(apart[:10])}): combine "
                    "models that were trained on the same classes"
                )
            if other.rule != first.rule:
                raise UsageError(
                    "the models of an ensemble take images of different sizes "
                    f"({first.rule.size} and {other.rule.size} pixels): combine models of one input rule"
                )
        alike = len({member.fingerprint for member in members}) == 1
        digests = tuple(member.digest for member in members)
        return Ensemble(
            members=tuple(members),
            classes=first.classes,
            rule=first.rule,
            decision=Decision(),
            views=("identity",),
            digest=hashlib.sha256(" ".join(digests).encode()).hexdigest(),
            facts=first.facts if alike else {},
            fingerprint=first.fingerprint if alike else "",
            parents=digests,
            parameters=sum(member.parameters for member in members),
        )

    def outputs(self, images: NDArray[np.uint8], embed: bool = False) -> Outputs:
        total = np.zeros((len(images), len(self.classes)))
        for member in self.members:
            logits, temperature = member.outputs(images)[0], member.decision.temperature
            order = [member.classes.index(name) for name in self.classes]
            total += np.exp(log_softmax(logits, temperature))[:, order]
        mean = np.maximum(total / len(self.members), LEAST)
        return np.log(mean).astype(np.float32), None
