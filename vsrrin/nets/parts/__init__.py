"""Pieces that networks share; none of them is a network."""
