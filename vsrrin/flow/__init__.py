"""Motion of a frame pair, found without a network."""
