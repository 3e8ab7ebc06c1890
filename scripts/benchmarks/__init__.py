"""Measurements of speed, memory and quality, run by hand."""
