"""What a person is given to say which labels are right: `review.html`, and `review.csv` that it makes."""

from pathlib import Path

from seewhy.analysis.labels.review import write_review
from seewhy.analysis.labels.suspects import Suspects
from seewhy.cli.progress import say
from seewhy.files import write_atomic


def give_for_review(
    suspects: Suspects, command: str, home: Path, *, mistakes: bool = False
) -> None:
    """Writes both into a directory; a review.csv that is there stays as it is.

    `command` is what corrects the labels by the answers; `mistakes` says whose the suspicion is.
    """
    from seewhy.page.review import render_review

    page = render_review(suspects, command, mistakes=mistakes)
    write_atomic(home / "review.html", page.encode())
    review = home / "review.csv"
    if review.exists():
        say(f"{review} is there already, perhaps filled in: kept as it is")
    else:
        write_review(suspects.found, review)
