"""Pictures of results: stored figures in, PNG files out."""
