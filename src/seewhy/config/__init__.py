"""Every record of a recipe, and the recipes that come with the package; loads no torch."""
