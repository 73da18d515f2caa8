"""Statistics: intervals, the bootstrap, tests, and summaries of several runs."""
