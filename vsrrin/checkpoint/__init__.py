"""Checkpoint files to networks, and back."""
