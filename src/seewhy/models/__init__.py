"""The networks, one family a file, and the registry that builds them by name."""
