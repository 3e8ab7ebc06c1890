"""Media files: what is in them, which streams a container can hold, encoding, joining and checking."""
