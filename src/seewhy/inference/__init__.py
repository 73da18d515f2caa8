"""Trained models: the one interface of everything that predicts, and the model file."""
