"""The page on which a user confirms or corrects suspected labels and saves `review.csv`."""

import hashlib

from seewhy.analysis.labels.review import HEADER
from seewhy.analysis.labels.suspects import Suspects
from seewhy.data.sources.corrected import NONE
from seewhy.page.images import thumbnail
from seewhy.page.template import embedded, page
from seewhy.text import visible


def render_review(suspects: Suspects, command: str, *, mistakes: bool = False) -> str:
    """The page as HTML; it loads nothing and keeps the answers in the browser until they are saved.

    `command` creates a corrected version from the saved answers. With `mistakes`, the suspects are a model's
    mistakes on validation; otherwise they come from networks that were not trained on these images.
    """
    shown = suspects.shown
    listed = suspects.found[: len(shown.images)]
    digests = "".join(one.hash for one in suspects.found)
    images = [
        [
            visible(one.id),
            one.hash,
            suspects.classes.index(one.label),
            suspects.classes.index(one.suggested),
            f"{one.score:.4f}",
            round(one.label_probability, 4),
            round(one.suggested_probability, 4),
            thumbnail(image),
            [[visible(name), thumbnail(near)] for name, near in zip(names, nearest, strict=True)],
        ]
        for one, image, names, nearest in zip(
            listed, shown.images, shown.near_labels, shown.near, strict=True
        )
    ]
    return page(
        "review.html.jinja",
        ["report.css", "review.css"],
        "review.js",
        count=len(suspects.found),
        shown=len(listed),
        n=suspects.n,
        agreed=suspects.agreed,
        weak=suspects.weak,
        mistakes=mistakes,
        classes=len(suspects.classes),
        command=command,
        review=embedded(
            {
                "key": f"seewhy-review-{hashlib.sha256(digests.encode()).hexdigest()[:16]}",
                "header": HEADER,
                "none": NONE,
                "classes": suspects.classes,
                "names": [visible(name) for name in suspects.classes],
                "images": images,
            }
        ),
    )
