"""What a user asks after a training: how good is it really, where does it fail, why, and what next.

Pure functions of `Predictions` and the images, plus the network where gradients are needed. All of it
is worked out on validation images or out of fold; the test split is never read here.
"""
