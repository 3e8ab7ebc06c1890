"""Optimiser, learning rate, running mean of the weights, and guard against failed steps."""
