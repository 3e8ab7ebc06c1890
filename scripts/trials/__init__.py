"""Trials of what files, machines and people can do to a conversion."""
