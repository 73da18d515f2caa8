"""From predictions to honest figures: pure functions of one record, `Predictions`; loads no torch."""
