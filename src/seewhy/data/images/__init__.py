"""One picture: its bytes, its colours, and what looks like it."""
