"""Inspects data before training: statistics, and what is wrong with it."""

from seewhy.data.inspect.findings import Example, Finding, is_wrong, write_findings
from seewhy.data.inspect.gathered import Gathered, gather
from seewhy.data.inspect.statistics import Statistics, statistics

__all__ = [
    "Example",
    "Finding",
    "Gathered",
    "Statistics",
    "gather",
    "is_wrong",
    "statistics",
    "write_findings",
]
