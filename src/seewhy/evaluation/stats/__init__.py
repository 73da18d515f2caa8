"""Statistics: intervals, the bootstrap, tests, and what several runs say together."""
