"""SeeWhy: from images to a classifier that you understand and can ship."""

__version__ = "0.1.0"
