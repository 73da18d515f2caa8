"""The page on which a person confirms or corrects suspected labels, and saves `review.csv`."""

import hashlib

from seewhy.analysis.labels.review import HEADER, NONE
from seewhy.analysis.labels.suspects import Suspects
from seewhy.page.pictures import thumbnail
from seewhy.page.template import embedded, page
from seewhy.text import visible


def render_review(suspects: Suspects, command: str, *, mistakes: bool = False) -> str:
    """The page as HTML; it asks for nothing, and keeps answers in the browser until they are saved.

    `command` is what makes a corrected version by the saved answers. `mistakes` says that the suspects
    are a model's mistakes on validation, and not what networks say that were trained to judge labels.
    """
    shown = suspects.shown
    found = suspects.found[: len(shown.images)]
    digests = "".join(one.hash for one in suspects.found)
    pictures = [
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
            found, shown.images, shown.near_labels, shown.near, strict=True
        )
    ]
    return page(
        "review.html.jinja",
        ["report.css", "review.css"],
        "review.js",
        count=len(suspects.found),
        shown=len(found),
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
                "pictures": pictures,
            }
        ),
    )
