"""Metrics with confidence intervals: pure functions of one record, `Predictions`; loads no torch."""
