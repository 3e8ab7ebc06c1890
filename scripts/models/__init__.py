"""Weights of the networks: the bundled draft, random ones, and a picture that compares them."""
