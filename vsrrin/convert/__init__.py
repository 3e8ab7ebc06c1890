"""Files in, files out, resumable."""
