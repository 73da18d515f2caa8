"""Training: batches, objectives, optimisers and averages, driven by one flat loop."""
