"""Media files: their streams and times, what containers hold, encoding, joining and verification."""
