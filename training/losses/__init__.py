"""Losses of pictures and flow, and the network that a run may learn from."""
