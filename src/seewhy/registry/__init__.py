"""Versions of models, the aliases that point at them, and what happened: a database that knows no network."""
