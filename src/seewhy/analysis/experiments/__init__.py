"""Results of several trainings: records, fits and tables."""
