"""Motion of a frame pair without a network of its own."""
