"""A trained model at work: the one seam of everything that predicts, and the file it comes from."""
