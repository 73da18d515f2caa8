"""What the environment says of the processes that train one model, as torchrun sets it; loads no torch."""

import os

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def in_group() -> bool:
    """Whether this process is one of several that train one model, by the variables that torchrun sets."""
    return all(name in os.environ for name in VARIABLES) and os.environ["WORLD_SIZE"] != "1"


def rank() -> int:
    """The number of this process among those that train one model; 0 for the first, or the only one."""
    return int(os.environ["RANK"]) if in_group() else 0


def restarted() -> bool:
    """Whether torchrun started this process again, after one had failed."""
    return in_group() and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
