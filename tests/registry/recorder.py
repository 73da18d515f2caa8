"""Records answers and labels, each twice: `python recorder.py PLACE`; prints each number that is durable."""

import itertools
import sys
from dataclasses import replace

from sqlalchemy import func, select

from seewhy.registry.feedback import Feedback
from seewhy.registry.records import ServedAnswer, now
from seewhy.registry.schema import labels

with Feedback(sys.argv[1]) as feedback:
    with feedback.database.reading() as connection:
        first = connection.scalar(select(func.count()).select_from(labels))
    print("begun", flush=True)
    for number in itertools.count(max(first - 1, 0)):  # the last again, as who does not know would
        served = ServedAnswer(f"r{number}", 0, "photos", "d", now(), "ant", "ant", 0.9, ("ant",))
        for _ in range(2):
            feedback.record([served, replace(served, image=1)])
            feedback.label(served.request_id, "bee")
        print(number, flush=True)
