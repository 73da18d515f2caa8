"""An A/B test in plain sentences, for the terminal and for its page."""

from collections.abc import Iterator

from seewhy.analysis.ab import ABTest
from seewhy.text import counted


def sentences(test: ABTest, audit: tuple[int, int], left_out: int) -> Iterator[str]:
    """What a test shows.

    `audit` is how many images of the audit share have a label, and how many were drawn; `left_out` how many
    labels of clients do not count.
    """
    yield _verdict(test)
    if test.evidence is not None:
        evidence, enough = min(test.evidence, 1e6), test.enough
        yield (
            f"Evidence {evidence:,.1f} of {enough}: at {enough} you may stop. At most one such test in "
            f"{enough} is wrong, however often you look."
        )
    yield from _spent(test)
    if test.verdict == "open":
        yield _needed(test)
    yield (
        f"To promote the challenger now costs at worst {_points(-test.difference.low)} of accuracy, to keep "
        f"the champion at worst {_points(test.difference.high)}."
    )
    if test.accuracies is not None:
        champion, challenger = (
            f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]" for one in test.accuracies
        )
        yield (
            f"On images drawn at random ({audit[0]:,} of {audit[1]:,} have a label) the champion is right in "
            f"{champion}, the challenger in {challenger}."
        )
    if left_out:
        yield (
            f"{counted(left_out, 'label', 'were')} sent by clients and left out: let a person look, or count "
            "what clients send by --clients."
        )


def _verdict(test: ABTest) -> str:
    difference = test.difference
    low, high = (round(100 * bound, 1) + 0.0 for bound in (difference.low, difference.high))
    interval = f"95% interval {low:+.1f} to {high:+.1f} points"
    if test.verdict == "challenger":
        ahead = f"the challenger is right more often, by {_points(difference.value)}"
        return f"You may stop: {ahead}; {interval}."
    if test.verdict == "champion":
        ahead = f"the champion is right more often, by {_points(-difference.value)}"
        return f"You may stop: {ahead}; the challenger's {interval}."
    if test.verdict == "equal":
        return f"You may stop: they differ by less than {_points(test.margin)}; {interval}."
    reason = difference.reason or f"the challenger's {interval}"
    return f"It cannot be told yet which is right more often: {reason}."


def _spent(test: ABTest) -> Iterator[str]:
    if test.disagreements is None or test.pairs is None:
        yield f"{counted(test.images, 'image')} answered, {counted(test.labels, 'label')}."
        return
    lost, won = test.pairs
    yield (
        f"{counted(test.images, 'image')} answered by both. They disagree on {test.disagreements:,} "
        f"({test.disagreements / test.images:.1%}), of which {test.labels:,} have a label: {won:,} that only "
        f"the challenger got right, {lost:,} that only the champion did, {test.labels - lost - won:,} that "
        "neither did."
    )


def _needed(test: ABTest) -> str:
    if test.labels_needed is None:
        return "How many labels will decide cannot be told yet: too little sets them apart so far."
    labels = f"If it goes on so, about {counted(test.labels_needed, 'more label')} will decide"
    if not test.images_needed:
        return f"{labels}; as many images wait for one."
    return (
        f"{labels}, for which about {counted(test.images_needed, 'more image')} must be answered."
    )


def _points(share: float) -> str:
    if share < 0.0005:
        return "less than 0.1 points"
    return f"{100 * share:.1f} points ({1000 * share:.0f} in 1,000 answers)"
