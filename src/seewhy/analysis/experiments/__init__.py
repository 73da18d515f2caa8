"""What several trainings tell: records, fits and tables."""
