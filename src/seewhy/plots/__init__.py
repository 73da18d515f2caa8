"""Figures of results: stored records in, PNG and SVG out."""
