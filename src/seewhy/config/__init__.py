"""The records of a recipe, and the recipes that are shipped; loads no torch."""
