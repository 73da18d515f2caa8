"""Moves an alias again and again: `python changer.py PLACE OPERATIONS SEED`; prints what was moved."""

import json
import random
import sys
import time

from seewhy.errors import RegistryError
from seewhy.registry.registry import Registry

place, operations, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng, moved, seconds = random.Random(seed), 0, []
with Registry(place) as registry:
    print("begun", flush=True)
    for _ in range(operations):
        start = time.perf_counter()
        try:
            if rng.random() < 0.3:
                registry.rollback("photos")
                moved += 1
            else:
                current = registry.find("photos").version
                version = rng.choice([one for one in (1, 2, 3, 4) if one != current])
                registry.promote("photos", version, expected=current)
                moved += 1
        except RegistryError as error:
            if error.code not in ("alias_moved", "no_earlier_version"):
                raise
        seconds.append(time.perf_counter() - start)
print(json.dumps({"moved": moved, "seconds": seconds}))
