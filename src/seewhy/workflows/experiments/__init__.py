"""Many trainings that answer one question, each over `seewhy.train`, none of which opens test."""
