"""Mirrors runs to trackers that others have: MLflow and TensorBoard."""
