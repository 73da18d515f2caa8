"""Looking at data before anything is trained on it: figures, and what is wrong with it."""

from seewhy.data.inspect.checks import Report, check
from seewhy.data.inspect.findings import Example, Finding, is_wrong, to_json, write_findings
from seewhy.data.inspect.gathered import Gathered, gather
from seewhy.data.inspect.statistics import Statistics, statistics

__all__ = [
    "Example",
    "Finding",
    "Gathered",
    "Report",
    "Statistics",
    "check",
    "gather",
    "is_wrong",
    "statistics",
    "to_json",
    "write_findings",
]
