"""How many threads compute a training on a machine on which other processes run too.

Each parallel region of a step waits for its slowest thread. Where another process takes a core, that thread
waits for its turn, and two threads on two cores need several times as long as one (docs/log.md).
"""

import os
import re
import time
from pathlib import Path

import torch

STAT = Path("/proc/stat")  # Linux's
SAMPLES, SECONDS = 3, 0.2
LINE = re.compile(r"cpu(\d+) (.+)")


def free_threads() -> int:
    """As many threads as PyTorch takes, less a thread for each core that others keep busy; at least one.

    Those that the user sets by OMP_NUM_THREADS hold. Looks for 0.6 seconds, in which this process must
    rest; a core counts where it was busy in each of three parts of them.
    """
    threads = torch.get_num_threads()
    if threads == 1 or "OMP_NUM_THREADS" in os.environ or not STAT.exists():
        return threads
    busy = min(_busy_cores() for _ in range(SAMPLES))
    return max(1, threads - round(busy))


def _busy_cores() -> float:
    """The number of cores, of those of this process, that were busy in the next `SECONDS`."""
    before = _ticks()
    time.sleep(SECONDS)
    shares = []
    for core, (work, idle) in _ticks().items():
        work, idle = work - before[core][0], idle - before[core][1]
        shares.append(work / max(work + idle, 1))
    return sum(shares)


def _ticks() -> dict[int, tuple[int, int]]:
    """The ticks at work and idle of each core that this process may use, since the machine started."""
    found = {}
    for core, numbers in LINE.findall(STAT.read_text()):
        user, nice, system, idle, waiting, *rest = map(int, numbers.split())
        if int(core) in os.sched_getaffinity(0):
            found[int(core)] = (user + nice + system + sum(rest[:3]), idle + waiting)
    return found
