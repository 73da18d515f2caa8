"""A use case a file: data, models and analysis brought together; what `seewhy`'s functions are."""
