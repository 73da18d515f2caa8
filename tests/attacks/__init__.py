"""Hostile files, made by hand or by seed; a test that finds a new one keeps it in this folder."""
