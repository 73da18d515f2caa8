"""What is counted while images are labelled, and which of them the model is least sure of."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seewhy.evaluation.decision.answers import NOT_SURE, OUT_OF_DISTRIBUTION
from seewhy.workflows.class_folders import ClassFolders
from seewhy.workflows.label_tables import Row


@dataclass(frozen=True)
class Labelled:
    """What was labelled: `images` rows, of which `bad` could not be read, by their codes in `errors`.

    `by_class` counts the others by their likeliest class; `not_sure` and `out_of_scope` those with such an
    answer. `resumed` rows are of an earlier call; `seconds` and `images_per_second` are of the others, and
    `bottleneck` is what they waited for most: "reading" (and decoding), "network" or "writing". `copied` are
    the images with a copy, `explained` those with a map.
    """

    images: int
    bad: int
    errors: Mapping[str, int]
    by_class: Mapping[str, int]
    not_sure: int
    out_of_scope: int
    resumed: int
    seconds: float
    images_per_second: float
    bottleneck: str
    digest: str
    out: str | None
    copied: int
    explained: int


@dataclass(frozen=True)
class Times:
    """Where the time of a call went: `seconds` for so many `images`, beside those `resumed`.

    The network waited `reading` seconds for images and computed for `network` seconds; the rest was writing.
    """

    resumed: int
    images: int
    seconds: float
    reading: float
    network: float

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds if self.seconds else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """The share of the time that each part took, the largest first."""
        parts = {"reading": self.reading, "network": self.network}
        parts["writing"] = max(self.seconds - sum(parts.values()), 0.0)
        order = sorted(parts, key=parts.__getitem__, reverse=True)
        return {part: parts[part] / max(self.seconds, 1e-9) for part in order}

    @property
    def text(self) -> str:
        """The rate, and which part was the bottleneck."""
        what = {
            "reading": "waiting for images to be read and decoded",
            "network": "the network",
            "writing": "writing rows and copies",
        }
        part, share = next(iter(self.shares.items()))
        return (
            f"{self.rate:,.0f} images/s; {share:.0%} of the time was {what[part]}, the bottleneck"
        )


class Tally:
    """Counts rows, hands those of readable images to `copies`, and notes the least sure ones."""

    def __init__(self, columns: Sequence[str], copies: ClassFolders | None, most: int) -> None:
        self.columns = columns
        self._copies = copies
        self._most = most
        self._rows = 0
        self._errors, self._classes, self._answers = (Counter[str]() for _ in range(3))
        self._least_sure: list[tuple[float, int, str]] = []  # a heap, the surest first
        self._code, self._decides = columns.index("code"), columns[-1] == "answer"

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._rows += 1
            path, status, label, confidence = row[:4]
            if status != "ok":
                self._errors[row[self._code]] += 1
                continue
            answer = row[-1] if self._decides else label
            self._classes[label] += 1
            self._answers[answer if answer != label else ""] += 1
            if self._copies is not None:
                self._copies.add(path, label, unsure=answer != label)
            if answer != label or not self._decides:
                heapq.heappush(self._least_sure, (-confidence, -self._rows, path))
                if len(self._least_sure) > self._most:
                    heapq.heappop(self._least_sure)

    @property
    def least_sure(self) -> list[str]:
        """Of the images that the model is not sure of the least sure, or of all where it always answers."""
        return [path for _, _, path in sorted(self._least_sure, reverse=True)]

    def result(self, digest: str, out: Path | None, times: Times, explained: int) -> Labelled:
        return Labelled(
            images=self._rows,
            bad=self._errors.total(),
            errors=dict(self._errors),
            by_class=dict(self._classes.most_common()),
            not_sure=self._answers[NOT_SURE],
            out_of_scope=self._answers[OUT_OF_DISTRIBUTION],
            resumed=times.resumed,
            seconds=round(times.seconds, 3),
            images_per_second=round(times.rate, 1),
            bottleneck=next(iter(times.shares)),
            digest=digest,
            out=None if out is None else str(out),
            copied=self._copies.copied if self._copies is not None else 0,
            explained=explained,
        )
