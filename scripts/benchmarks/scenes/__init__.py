"""Accuracy of the detector of scene cuts."""
