"""The self-contained page of a run: records in, HTML out."""
