"""Self-contained HTML pages: records in, HTML out."""
