"""Weak slices: parts of the images in which a model errs more than elsewhere, tested.

A part is a class, a fifth of the images by something measured (the darkest, the least sharp), or what
two of these have in common. Each is tested against the rest by Fisher's exact test, which is the permutation
test of shuffled mistakes in closed form; what two have in common must be worse than the rest of either. All
p-values together are corrected by Holm's method, so that 5% is the chance of any false alarm.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import Interval, exact
from seewhy.evaluation.stats.significance import SIGNIFICANT, holm

PARTS = 5
SMALLEST = 30  # images: below, a part is not tested
KEPT = 60  # slices, the surest first, besides the real ones
EXAMPLES = 8
_FIFTHS = ("lowest", "second", "middle", "fourth", "highest")


@dataclass(frozen=True)
class Slice:
    """A part of the images: its name, how often the model errs there, and in the rest.

    `factors` are what it is cut by (one or two). `rest` is the rate outside; of two factors that of the
    worse parent outside the slice. `p` is corrected for all parts tested. `examples` are rows of mistakes
    in it, the most confident first.
    """

    name: str
    factors: tuple[str, ...]
    n: int
    errors: int
    rate: Interval
    rest: Interval
    p: float
    examples: tuple[int, ...] = ()

    @property
    def weak(self) -> bool:
        """Whether it is significantly worse than the rest."""
        return self.p < SIGNIFICANT


@dataclass(frozen=True)
class Slices:
    """The parts of a split, the significantly weak ones first; `tested` counts all tests."""

    n: int
    rate: Interval
    tested: int
    slices: tuple[Slice, ...]

    @property
    def weak(self) -> tuple[Slice, ...]:
        """Those that are significantly worse than the rest."""
        return tuple(found for found in self.slices if found.weak)


@dataclass(frozen=True, eq=False)
class _Factor:
    """One way to cut the images: the part of each, (N,), -1 for none, and the parts' names."""

    name: str
    codes: NDArray[np.int64]
    parts: tuple[str, ...]


def find_slices(predictions: Predictions, attributes: Mapping[str, NDArray[np.floating]]) -> Slices:
    """Cuts labelled images by class and by each attribute (N,), alone and in pairs, and tests the parts.

    An attribute that is NaN for an image, or the same for all, cuts nothing there.
    """
    labels = predictions.labels
    assert labels is not None
    counted = (labels >= 0) & (predictions.predicted >= 0)
    wrong = (predictions.predicted != labels) & counted
    classes = _Factor("class", np.where(counted, labels, -1), predictions.classes)
    factors = [classes]
    factors += [_fifths(name, values, counted) for name, values in attributes.items()]
    pieces = [piece for factor in factors for piece in _alone(factor, wrong, counted)]
    for first, second in combinations(factors, 2):
        pieces += _together(first, second, wrong)
    corrected = holm([piece.slice.p for piece in pieces])
    tested = [
        replace(piece, slice=replace(piece.slice, p=p))
        for piece, p in zip(pieces, corrected, strict=True)
    ]
    tested.sort(key=lambda piece: (piece.slice.p, -piece.slice.rate.value))
    weak = sum(piece.slice.weak for piece in tested)
    sure = predictions.confidence()
    return Slices(
        n=int(counted.sum()),
        rate=exact(int(wrong.sum()), int(counted.sum())),
        tested=len(tested),
        slices=tuple(_with_examples(piece, wrong, sure) for piece in tested[: max(weak, KEPT)]),
    )


@dataclass(frozen=True, eq=False)
class _Piece:
    """A slice with the factors and parts that it is made of."""

    slice: Slice
    cut: tuple[tuple[_Factor, int], ...]


def _alone(
    factor: _Factor, wrong: NDArray[np.bool_], counted: NDArray[np.bool_]
) -> Iterator[_Piece]:
    """The parts of one factor, each against all else."""
    n, e = int(counted.sum()), int(wrong.sum())
    inside = factor.codes >= 0
    sizes = np.bincount(factor.codes[inside], minlength=len(factor.parts))
    errors = np.bincount(factor.codes[inside & wrong], minlength=len(factor.parts))
    for part in np.flatnonzero((sizes >= SMALLEST) & (n - sizes >= SMALLEST)):
        size, mistakes = int(sizes[part]), int(errors[part])
        tested = Slice(
            name=factor.parts[part],
            factors=(factor.name,),
            n=size,
            errors=mistakes,
            rate=exact(mistakes, size),
            rest=exact(e - mistakes, n - size),
            p=_worse(mistakes, size, e, n),
        )
        yield _Piece(tested, ((factor, int(part)),))


def _together(first: _Factor, second: _Factor, wrong: NDArray[np.bool_]) -> Iterator[_Piece]:
    """What parts of two factors have in common, against the rest of either."""
    a, b = len(first.parts), len(second.parts)
    inside = (first.codes >= 0) & (second.codes >= 0)
    cells = first.codes * b + second.codes
    sizes = np.bincount(cells[inside], minlength=a * b).reshape(a, b)
    errors = np.bincount(cells[inside & wrong], minlength=a * b).reshape(a, b)
    for i, j in zip(*np.nonzero(sizes >= SMALLEST), strict=True):
        n, e = int(sizes[i, j]), int(errors[i, j])
        parents = [
            (int(sizes[i].sum()), int(errors[i].sum())),
            (int(sizes[:, j].sum()), int(errors[:, j].sum())),
        ]
        if any(size - n < SMALLEST for size, _ in parents):
            continue
        # Worse than both: the larger p-value is that of the claim (an intersection-union test).
        ps = [_worse(e, n, mistakes, size) for size, mistakes in parents]
        rests = [exact(mistakes - e, size - n) for size, mistakes in parents]
        tested = Slice(
            name=f"{first.parts[i]}, {second.parts[j]}",
            factors=(first.name, second.name),
            n=n,
            errors=e,
            rate=exact(e, n),
            rest=max(rests, key=lambda rest: rest.value),
            p=max(ps),
        )
        yield _Piece(tested, ((first, int(i)), (second, int(j))))


def _worse(errors: int, n: int, all_errors: int, total: int) -> float:
    """Fisher's one-sided p-value: n of `total` images have so many of the mistakes by chance."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(errors - 1, total, all_errors, n))


def _fifths(name: str, values: NDArray[np.floating], counted: NDArray[np.bool_]) -> _Factor:
    """Cuts by the quantiles of an attribute; equal values stay together."""
    known = counted & np.isfinite(values)
    codes = np.full(len(values), -1, np.int64)
    if not known.any():
        return _Factor(name, codes, ())
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, PARTS + 1)[1:-1]))
    edges = edges[edges > values[known].min()]
    if not len(edges):
        return _Factor(name, codes, ())
    codes[known] = np.searchsorted(edges, values[known], side="right")
    inner = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    bounds = [f"below {edges[0]:.3g}", *inner, f"from {edges[-1]:.3g}"]
    if len(bounds) == PARTS:
        parts = (f"{f} fifth of {name} ({b})" for f, b in zip(_FIFTHS, bounds, strict=True))
    else:
        parts = (f"{name} {bound}" for bound in bounds)
    return _Factor(name, codes, tuple(parts))


def _with_examples(piece: _Piece, wrong: NDArray[np.bool_], sure: NDArray[np.float64]) -> Slice:
    inside = wrong.copy()
    for factor, part in piece.cut:
        inside &= factor.codes == part
    rows = np.flatnonzero(inside)
    rows = rows[np.argsort(-sure[rows], kind="stable")][:EXAMPLES]
    return replace(piece.slice, examples=tuple(rows.tolist()))
