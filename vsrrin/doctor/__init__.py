"""Checks of this machine and of what is installed on it, with advice."""
